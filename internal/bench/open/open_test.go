package open

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/workload"
)

// A figure whose key has no row would never be shown.
func TestRows(t *testing.T) {
	seen, err := Table().IDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range floods {
		for _, figure := range []string{".printed", ".lost", ".cpu", ".pays", ".longer", ".rss"} {
			if !seen["flood."+f.key+figure] {
				t.Errorf("no row for %s%s", f.key, figure)
			}
		}
	}
}

// Every file of a flood is opened as often as every other: so what came twice can be told.
func TestFloodIsEven(t *testing.T) {
	if floodOpens%workload.Files != 0 || floodOpens > workload.MaxMissing {
		t.Errorf("%d opens of %d files", floodOpens, workload.Files)
	}
}

func TestRestrict(t *testing.T) {
	const script = "tracepoint:syscalls:sys_enter_openat,\ntracepoint:syscalls:sys_enter_openat2\n{\n  @f[tid] = 1;\n}\n"
	const want = "tracepoint:syscalls:sys_enter_openat,\ntracepoint:syscalls:sys_enter_openat2\n/pid == $1/\n{\n  @f[tid] = 1;\n}\n"
	got, err := restrict([]byte(script))
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	for _, other := range []string{"", want, script + script} {
		if _, err := restrict([]byte(other)); err == nil {
			t.Errorf("%q is no error", other)
		}
	}
}

// On a machine whose kernel others use too, no tool may show what other processes do.
func TestToolsWatchOneProcess(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"tmp", "usr/sbin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/sbin/opensnoop.bt"), lastEntry, 0o644); err != nil {
		t.Fatal(err)
	}
	b := &Bench{Tools: Tools("/build/sonde"), Root: peers.Root{Dir: root}, dir: "/tmp/x", caller: &workload.Caller{PID: 7}}
	want := map[string]process.Command{
		judged:         {Argv: []string{"/build/sonde", "open", "-p", "7"}},
		libbpf:         {Root: root, Argv: []string{"/usr/sbin/opensnoop-libbpf", "-p", "7"}},
		"opensnoop.bt": {Root: root, Argv: []string{"/usr/bin/bpftrace", "/tmp/x-opensnoop.bt", "7"}},
		"bpftrace":     {Root: root, Argv: []string{"/usr/bin/bpftrace", "-e", oneLiner, "7"}},
	}
	for _, tool := range b.Tools {
		if diff := cmp.Diff(want[tool.Key], b.command(tool)); diff != "" {
			t.Errorf("%s: %s", tool.Key, diff)
		}
		if tool.Small != nil && !slices.Contains(b.withArguments(tool, tool.Small).Argv, "7") {
			t.Errorf("%s watches everybody with a small buffer", tool.Key)
		}
	}
	if !strings.Contains(oneLiner, "/pid == $1/") {
		t.Error("the one line watches everybody")
	}
	remove, err := b.restrictScripts()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(root, "tmp/x-opensnoop.bt")
	if got, err := os.ReadFile(copied); string(got) != string(filtered) || err != nil {
		t.Errorf("the script in the root: %q, %v", got, err)
	}
	remove()
	if _, err := os.Stat(copied); !os.IsNotExist(err) {
		t.Errorf("the script is left behind: %v", err)
	}
}

func TestCommas(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 200000: "200,000", 1234567: "1,234,567"} {
		if got := commas(n); got != want {
			t.Errorf("%d: got %s", n, got)
		}
	}
}
