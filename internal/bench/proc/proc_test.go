package proc

import (
	"slices"
	"strings"
	"testing"
)

// A figure whose key has no row would never be shown.
func TestRows(t *testing.T) {
	seen, err := Table().IDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, figure := range []string{"printed", "lost", "cpu", "pays", "rss"} {
		if !seen["storm."+figure] {
			t.Errorf("no row for storm.%s", figure)
		}
	}
}

// On a machine whose kernel others use too, no tool may show what other processes do.
func TestToolsWatchOneGroup(t *testing.T) {
	b := &Bench{group: "/sys/fs/cgroup/mine"}
	for _, tool := range Tools("/build/sonde") {
		argv := b.command(tool).Argv
		if n := len(argv); argv[n-1] != b.group || !slices.Contains([]string{"--cgroup", "-c"}, argv[n-2]) {
			t.Errorf("%s: %q", tool.Key, argv)
		}
	}
}

// What the tools print of a process of the storm is counted, and of others not.
func TestCount(t *testing.T) {
	for key, lines := range map[string]string{
		judged: "TIME     EVENT COMM             PID     PPID    DURATION(MS)      AGE(MS) FILENAME/EXIT CODE\n" +
			"20:27:14 EXIT  sh               17732   17724              -        0.101 [117]\n" +
			"20:27:14 EXIT  sh               17733   17724              -        0.101 [0]\n" +
			"20:27:14 FORK  sh               17734   17724              -            -\n",
		libbpf: "PCOMM            PID     PPID    TID     AGE(s)  EXIT_CODE\n" +
			"sh               17732   17724   17732   0.00    code 117\n" +
			"sh               17733   17724   17733   0.00    0\n",
	} {
		for _, tool := range Tools("sonde") {
			n, err := count(strings.NewReader(lines), tool.ended)
			if want := map[bool]int{true: 1}[tool.Key == key]; err != nil || n != want {
				t.Errorf("%s in the output of %s: %d (%v), want %d", tool.Key, key, n, err, want)
			}
		}
	}
}
