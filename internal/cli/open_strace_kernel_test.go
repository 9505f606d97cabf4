package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/vmtest"
)

// straceOpens runs a command under strace and returns the opens of each of its processes, in the order in which the processes
// came up: as openRecord.String has them.
func straceOpens(t *testing.T, dir string, argv ...string) (processes [][]string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "strace")
	cmd := exec.Command("strace", append([]string{"-f", "-s", "5000", "-xx", "-e", "trace=open,openat,openat2,creat,open_by_handle_at",
		"-o", file, "--"}, argv...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); cmd.ProcessState == nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	line := regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) = (-?\d+)(?: (E[A-Z0-9]+) .*)?$`)
	for text := range strings.Lines(string(data)) {
		text = strings.TrimSuffix(text, "\n")
		if strings.Contains(text, " +++ ") || strings.Contains(text, " --- ") {
			continue
		}
		m := line.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("strace says %q", text)
		}
		i, known := at[m[1]]
		if !known {
			i = len(processes)
			at[m[1]], processes = i, append(processes, nil)
		}
		args := strings.Split(m[3], ", ")
		switch m[2] {
		case "openat":
			args = args[1:]
		case "creat":
			args[1] = "O_WRONLY|O_CREAT|O_TRUNC"
		case "open":
		default:
			t.Fatalf("no command of this test calls %s: %q", m[2], text)
		}
		path, err := strconv.Unquote(args[0])
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		end := m[5]
		if end == "" {
			end = m[4]
		}
		processes[i] = append(processes[i], path+" "+sortedFlags(args[1])+" "+end)
	}
	return processes
}

// sortedFlags are flags in an order that both can have.
func sortedFlags(flags string) string {
	words := strings.Split(flags, "|")
	slices.Sort(words)
	return strings.Join(words, "|")
}

// What sonde shows of a command is what strace shows of it: each open of each of its processes, in order, with its flags and
// how it ended.
func TestKernelOpenLikeStrace(t *testing.T) {
	needOpen(t)
	if vmtest.Guest() != "" {
		t.Skip("guests have no strace")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("no strace; scripts/deps.sh test installs it")
	}
	dir := openDir(t)
	script := filepath.Join(dir, "configure")
	if err := os.WriteFile(script, []byte(configureLike), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"ls", "/"},
		{"ls", "-l", "/"},
		{"cat", "/etc/passwd", "missing", "link", "sub/inside", "sub"},
		{"grep", "-r", "nothing like it", dir},
		{"find", dir, "-name", "x"},
		{"sort", "/etc/passwd", "/nonexistent"},
		{"tar", "-cf", "/dev/null", dir},
		{"sh", "-c", "cat plain; ls sub; (cat link); echo x >/dev/null"},
		{script},
	} {
		t.Run(filepath.Base(argv[0]), func(t *testing.T) {
			want := straceOpens(t, dir, argv...)
			got := openJSONIn(t, dir, append([]string{"--"}, argv...)...)
			if got.summary.Lost != 0 {
				t.Errorf("%d lost", got.summary.Lost)
			}
			var have [][]string
			at := map[int]int{}
			for i := range got.records {
				r := &got.records[i]
				if strings.Contains(strings.Join(r.Flags, "|"), "__FMODE_EXEC") {
					continue // the opens that an exec does are no system calls
				}
				n, known := at[*r.PID]
				if !known {
					n = len(have)
					at[*r.PID], have = n, append(have, nil)
				}
				r.Flags = []string{sortedFlags(strings.Join(r.Flags, "|"))}
				have[n] = append(have[n], r.String())
			}
			opens := 0
			for _, p := range want {
				opens += len(p)
			}
			if diff := cmp.Diff(want, have); diff != "" || opens < 3 {
				t.Errorf("%d opens (-strace +sonde):\n%s", opens, diff)
			}
		})
	}
}

// configureLike does what configure scripts do: it looks for programs and makes little files.
const configureLike = `#!/bin/sh
for p in cc gcc ls sed; do
	if command -v $p >/dev/null 2>&1; then echo "checking for $p... yes"; else echo "checking for $p... no"; fi
done
echo '@x@' >conftest.in
sed s/@x@/y/ conftest.in >conftest.out && cat conftest.out
rm -f conftest.in conftest.out
ls /nonexistent 2>/dev/null || echo done
`
