package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sonde/internal/target"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tracefs"
)

// The test binary is sonde when it is called sonde (or execsnoop), a held COMMAND when sonde started it so, and one of
// the traced programs of roles_test.go when it is called role-NAME.
func TestMain(m *testing.M) {
	if handled, status := target.LauncherMain(os.Args); handled {
		os.Exit(status)
	}
	if handled, status := bypass.ChildMain(os.Args); handled {
		os.Exit(status)
	}
	if handled, status := tracefs.RemoverMain(os.Args); handled {
		os.Exit(status)
	}
	name := filepath.Base(os.Args[0])
	if _, ok := dropIns[name]; ok || name == "sonde" {
		atStage = endsAtStage()
		os.Exit(Run(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	if role, ok := strings.CutPrefix(name, "role-"); ok {
		os.Exit(roles[role](os.Args[1:]))
	}
	os.Exit(m.Run())
}

// as returns a path under which the test binary is that program.
func as(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	linkSelf(t, path)
	return path
}

// linkSelf makes a path a link to the test binary.
func linkSelf(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
}

// needRoot skips what no unprivileged user can do.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// record is one line of sonde exec -f json.
type record struct {
	Type          string    `json:"type"`
	Time          string    `json:"time"`
	PID           int       `json:"pid"`
	PPID          int       `json:"ppid"`
	TID           int       `json:"tid"`
	UID           int       `json:"uid"`
	EUID          int       `json:"euid"`
	GID           int       `json:"gid"`
	Comm          string    `json:"comm"`
	PComm         string    `json:"pcomm"`
	Filename      *string   `json:"filename"`
	Exe           *string   `json:"exe"`
	Dev           uint64    `json:"dev"`
	Ino           uint64    `json:"ino"`
	Argv          []*string `json:"argv"`
	ArgvTruncated bool      `json:"argv_truncated"`
	Cwd           *string   `json:"cwd"`
	Ret           int       `json:"ret"`
	Errno         *string   `json:"errno"`
	ExectimeNS    *int64    `json:"exectime_ns"`
	CgroupID      *uint64   `json:"cgroup_id"`
	Cgroup        *string   `json:"cgroup"`
	Container     *string   `json:"container"`
	Mntns         uint64    `json:"mntns"`
	Pidns         uint64    `json:"pidns"`
	Flags         []string  `json:"flags"`

	// Of the summary.
	Events       uint64            `json:"events"`
	Lost         uint64            `json:"lost"`
	LostByReason map[string]uint64 `json:"lost_by_reason"`
}

// argv joins the words for comparison; a word that was not in memory is "<null>".
func (r *record) argv() []string {
	words := []string{}
	for _, w := range r.Argv {
		if w == nil {
			words = append(words, "<null>")
		} else {
			words = append(words, *w)
		}
	}
	return words
}

func (r *record) String() string {
	b, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// traced is what a run of sonde gave.
type traced struct {
	records []record // without the summary
	summary record
	stderr  string
	status  int
}

// traceJSON runs `sonde exec -f json ARGS...` to its end.
func traceJSON(t *testing.T, args ...string) traced {
	t.Helper()
	needRoot(t)
	return runJSON(t, exec.Command(as(t, "sonde"), append([]string{"exec", "-f", "json"}, args...)...))
}

func runJSON(t *testing.T, cmd *exec.Cmd) (got traced) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "records")
	cmd.Args = slices.Insert(cmd.Args, 2, "-o", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	got.status, got.stderr = cmd.ProcessState.ExitCode(), stderr.String()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; stderr: %s", err, got.stderr)
	}
	got.records = parseRecords(t, data)
	if n := len(got.records); n > 0 && got.records[n-1].Type == "summary" {
		got.summary = got.records[n-1]
		got.records = got.records[:n-1]
	} else {
		t.Fatalf("no summary at the end; status %d, stderr: %s\n%s", got.status, got.stderr, data)
	}
	return got
}

func parseRecords(t *testing.T, data []byte) (records []record) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		records = append(records, r)
	}
	return records
}

// only returns the one record that f accepts.
func (g traced) only(t *testing.T, what string, f func(*record) bool) *record {
	t.Helper()
	var found *record
	for i := range g.records {
		if !f(&g.records[i]) {
			continue
		}
		if found != nil {
			t.Fatalf("two records of %s:\n%v\n%v", what, found, &g.records[i])
		}
		found = &g.records[i]
	}
	if found == nil {
		t.Fatalf("no record of %s in %d records; stderr: %s\n%s", what, len(g.records), g.stderr, g.dump())
	}
	return found
}

func (g traced) dump() string {
	var b strings.Builder
	for i := range g.records {
		if i == 20 {
			fmt.Fprintf(&b, "... and %d more\n", len(g.records)-i)
			break
		}
		fmt.Fprintln(&b, &g.records[i])
	}
	return b.String()
}

func text(s *string) string {
	if s == nil {
		return "<null>"
	}
	return *s
}
