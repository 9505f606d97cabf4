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

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// needOpen names what sonde open needs of a kernel.
func needOpen(t *testing.T) {
	t.Helper()
	needRoot(t)
	vmtest.Need(t, kernel.BTF, kernel.RawTracepoint, kernel.RingBuffer)
}

// openRecord is one line of sonde open -f json.
type openRecord struct {
	Type       string   `json:"type"`
	Time       string   `json:"time"`
	PID        *int     `json:"pid"`
	TID        int      `json:"tid"`
	UID        *int     `json:"uid"`
	Comm       string   `json:"comm"`
	PComm      *string  `json:"pcomm"`
	Path       *string  `json:"path"`
	File       *string  `json:"file"`
	Dev        *uint64  `json:"dev"`
	Ino        *uint64  `json:"ino"`
	DirFD      *int     `json:"dirfd"`
	Flags      []string `json:"flags"`
	Mode       *int     `json:"mode"`
	Ret        int      `json:"ret"`
	Errno      *string  `json:"errno"`
	DurationNS *int64   `json:"duration_ns"`
	CgroupID   *uint64  `json:"cgroup_id"`
	Cgroup     *string  `json:"cgroup"`
	Container  *string  `json:"container"`

	// Only by --fields.
	How  string `json:"how"`
	Full string `json:"full"`

	// Of the summary.
	Events       uint64            `json:"events"`
	Lost         uint64            `json:"lost"`
	LostByReason map[string]uint64 `json:"lost_by_reason"`
}

// String is what the record says of the open itself: it is the same for every way to see it.
func (r *openRecord) String() string {
	if r.Errno != nil {
		return fmt.Sprintf("%s %s %s", text(r.Path), strings.Join(r.Flags, "|"), *r.Errno)
	}
	return fmt.Sprintf("%s %s %d", text(r.Path), strings.Join(r.Flags, "|"), r.Ret)
}

// openRun is what a run of sonde open gave.
type openRun struct {
	records []openRecord // without the summary
	summary openRecord
	stderr  string
	status  int
}

// openJSON runs `sonde open -f json ARGS...` to its end.
func openJSON(t *testing.T, args ...string) openRun {
	t.Helper()
	return openJSONIn(t, "", args...)
}

func openJSONIn(t *testing.T, dir string, args ...string) (got openRun) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "records")
	cmd := exec.Command(as(t, "sonde"), append([]string{"open", "-f", "json", "-o", file}, args...)...)
	cmd.Dir = dir
	r := runAll(t, cmd)
	got.status, got.stderr = r.status, r.stderr
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; stderr: %s", err, got.stderr)
	}
	for line := range bytes.Lines(data) {
		var r openRecord
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		got.records = append(got.records, r)
	}
	n := len(got.records) - 1
	if n < 0 || got.records[n].Type != "summary" {
		t.Fatalf("no summary at the end; status %d, stderr: %s\n%s", got.status, got.stderr, data)
	}
	got.summary, got.records = got.records[n], got.records[:n]
	return got
}

// of returns the records of one process that an exec did not make.
func (g openRun) of(comm string) (list []openRecord) {
	for _, r := range g.records {
		if r.Comm == comm && !slices.Contains(r.Flags, "__FMODE_EXEC") {
			list = append(list, r)
		}
	}
	return list
}

// paths are those of the records, in their order.
func paths(list []openRecord) (paths []string) {
	for _, r := range list {
		paths = append(paths, text(r.Path))
	}
	return paths
}
