package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// lifeRecord is one line of sonde proc -f json.
type lifeRecord struct {
	Type       string   `json:"type"`
	Time       string   `json:"time"`
	PID        int      `json:"pid"`
	PPID       int      `json:"ppid"`
	TID        int      `json:"tid"`
	UID        int      `json:"uid"`
	Comm       string   `json:"comm"`
	Filename   *string  `json:"filename"`
	ExitCode   *int     `json:"exit_code"`
	Signal     *string  `json:"signal"`
	Core       *bool    `json:"core"`
	DurationNS *int64   `json:"duration_ns"`
	SinceFork  *int64   `json:"since_fork_ns"`
	CPU        *int64   `json:"cpu_ns"`
	MaxRSS     *int64   `json:"max_rss_bytes"`
	MinFlt     *int64   `json:"minor_faults"`
	Read       *int64   `json:"read_bytes"`
	Written    *int64   `json:"written_bytes"`
	Argv       []string `json:"argv"`
	Flags      []string `json:"flags"`

	Lost   uint64 `json:"lost"`
	Events uint64 `json:"events"`
}

func (r lifeRecord) String() string {
	b, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// lifetimes are the records of a run, the summary left out.
type lifetimes struct {
	records []lifeRecord
	summary lifeRecord
	ran
}

// traceLives runs `sonde proc -f json ARGS...` to its end.
func traceLives(t *testing.T, args ...string) lifetimes {
	t.Helper()
	needExec(t)
	file := filepath.Join(t.TempDir(), "lives")
	got := lifetimes{ran: runAll(t, exec.Command(as(t, "sonde"), append([]string{"proc", "-f", "json", "-o", file}, args...)...))}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; stderr: %s", err, got.stderr)
	}
	for line := range strings.Lines(string(data)) {
		var r lifeRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		got.records = append(got.records, r)
	}
	n := len(got.records) - 1
	if n < 0 || got.records[n].Type != "summary" {
		t.Fatalf("no summary at the end; status %d, stderr %s\n%s", got.status, got.stderr, data)
	}
	got.summary, got.records = got.records[n], got.records[:n]
	if got.summary.Lost != 0 || got.summary.Events != uint64(n) || !strings.Contains(got.stderr, ", none lost;") || strings.Contains(got.stderr, "out of order") {
		t.Errorf("summary %v of %d records, stderr %s", got.summary, n, got.stderr)
	}
	return got
}

// of returns the one record of a type that f accepts.
func (g lifetimes) of(t *testing.T, typ, what string, f func(lifeRecord) bool) lifeRecord {
	t.Helper()
	var found []lifeRecord
	for _, r := range g.records {
		if r.Type == typ && f(r) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d records %s of %s, want one\n%v\nstderr %s", len(found), typ, what, g.records, g.stderr)
	}
	return found[0]
}

// both runs a test with the hooks of raw tracepoints and with those of events, where a kernel has what they need.
func both(t *testing.T, f func(t *testing.T, hook string)) {
	t.Run("auto", func(t *testing.T) { f(t, "--hook=auto") })
	t.Run("tracepoint", func(t *testing.T) {
		needRoot(t)
		vmtest.Need(t, kernel.Tracepoint, kernel.FetchAtomics)
		f(t, "--hook=tracepoint")
	})
}

func TestKernelProcTellsAll(t *testing.T) {
	both(t, func(t *testing.T, hook string) {
		path := truePath(t)
		before := time.Now()
		got := traceLives(t, hook, "--forks", "--", "/bin/sh", "-c", path+` "a b" ""; (exit 4); exit 3`)
		if got.status != 3 {
			t.Errorf("status %d, want COMMAND's 3; stderr %s", got.status, got.stderr)
		}
		root := got.of(t, "proc_exec", "COMMAND", func(r lifeRecord) bool { return text(r.Filename) == "/bin/sh" })
		program := got.of(t, "proc_exec", "a program", func(r lifeRecord) bool { return len(r.Argv) == 3 && r.Argv[1] == "a b" })
		fork := got.of(t, "proc_fork", "the program's process", func(r lifeRecord) bool { return r.PID == program.PID })
		end := got.of(t, "proc_exit", "the program", func(r lifeRecord) bool { return r.PID == program.PID })
		bare := got.of(t, "proc_exit", "the subshell", func(r lifeRecord) bool { return r.ExitCode != nil && *r.ExitCode == 4 })
		last := got.of(t, "proc_exit", "COMMAND", func(r lifeRecord) bool { return r.PID == root.PID })
		for _, c := range []struct {
			what      string
			got, want any
		}{
			{"ppid of the fork", fork.PPID, root.PID},
			{"tid of the fork", fork.TID, root.PID},
			{"ppid of the exec", program.PPID, root.PID},
			{"comm of the exec", program.Comm, "true"},
			{"flags of the exec", program.Flags, []string{}},
			{"ppid of the end", end.PPID, root.PID},
			{"tid of the end", end.TID, end.PID},
			{"uid of the end", end.UID, os.Getuid()},
			{"comm of the end", end.Comm, "true"},
			{"exit code", *end.ExitCode, 0},
			{"signal", text(end.Signal), "<null>"},
			{"core", *end.Core, false},
			{"argv of the end", end.Argv, []string{path, "a b", ""}},
			{"argv of a process without an exec", bare.Argv, root.Argv},
			{"duration of a process without an exec", bare.DurationNS == nil, true},
			{"ppid of a process without an exec", bare.PPID, root.PID},
			{"COMMAND's code", *last.ExitCode, 3},
		} {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.what, diff)
			}
		}
		if d, f := *end.DurationNS, *end.SinceFork; d <= 0 || f < d || f > time.Since(before).Nanoseconds() {
			t.Errorf("since exec %d ns, since fork %d ns, in a run of %v", d, f, time.Since(before))
		}
		at := func(r lifeRecord) time.Time {
			when, err := time.Parse(time.RFC3339Nano, r.Time)
			if err != nil || when.Before(before.Add(-10*time.Millisecond)) || when.After(time.Now()) {
				t.Errorf("time %v (%v) is not within the run", r.Time, err)
			}
			return when
		}
		if took := at(end).Sub(at(program)).Nanoseconds(); took != *end.DurationNS {
			t.Errorf("%d ns lie between exec and end, duration_ns is %d", took, *end.DurationNS)
		}
		if !at(fork).Before(at(program)) || !at(end).Before(at(last)) {
			t.Errorf("out of order: fork %v, exec %v, end %v, COMMAND's %v", fork.Time, program.Time, end.Time, last.Time)
		}
	})
}

// What is told of a process is what wait4(2) tells its parent.
func TestKernelProcEnds(t *testing.T) {
	needExec(t)
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	role := filepath.Join(dir, "role-end")
	linkSelf(t, role)
	cases := []struct {
		name   string
		argv   string
		code   int
		signal string
		comm   string
	}{
		{"status", role + " status 200", 200, "<null>", "role-end"},
		{"killed", role + " signal 9", 0, "SIGKILL", "role-end"},
		{"a signal without a name", "/bin/sh -c 'kill -40 $$'", 0, "SIG40", "sh"},
		{"dumped", "/bin/sh -c 'ulimit -c unlimited; kill -SEGV $$'", 0, "SIGSEGV", "sh"},
		{"the leader first", role + " leader", 7, "<null>", "role-end"},
		{"many threads", role + " threads 50", 3, "<null>", "role-end"},
		{"CPU", role + " burn 150", 0, "<null>", "role-end"},
	}
	script := "cd " + t.TempDir()
	for i, c := range cases {
		script += fmt.Sprintf("; %s/role-reaped %s/told-%d %s", dir, dir, i, c.argv)
	}
	linkSelf(t, filepath.Join(dir, "role-reaped"))
	got := traceLives(t, "--", "/bin/sh", "-c", script+"; true")
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := os.ReadFile(fmt.Sprintf("%s/told-%d", dir, i))
			if err != nil {
				t.Fatalf("%v; stderr %s", err, got.stderr)
			}
			var want reaped
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			r := got.of(t, "proc_exit", "the process", func(r lifeRecord) bool { return r.PID == want.PID })
			code := 0
			if r.ExitCode != nil {
				code = *r.ExitCode
			}
			if code != c.code || text(r.Signal) != c.signal || (r.ExitCode == nil) != (want.Signal != 0) || *r.Core != want.Core || r.Comm != c.comm {
				t.Errorf("%v\nwant %+v, as wait4 says %+v", r, c, want)
			}
			if c.name == "dumped" && !want.Core && !strings.HasPrefix(string(pattern), "|") {
				t.Error("no core was dumped, so nothing was tried")
			}
			if c.name == "the leader first" && r.TID == r.PID {
				t.Errorf("%v: the leader was to end first", r)
			}
			if *r.MaxRSS != want.MaxRSS {
				t.Errorf("peak memory %d, wait4 says %d", *r.MaxRSS, want.MaxRSS)
			}
			if *r.MinFlt > want.MinFlt || *r.MinFlt < want.MinFlt/2 {
				t.Errorf("%d minor faults, wait4 says %d", *r.MinFlt, want.MinFlt)
			}
			// The kernel rounds what wait4 says to the microsecond, and counts on until the process is gone.
			if *r.CPU > want.CPU+1e6 || c.name == "CPU" && *r.CPU < 75e6 {
				t.Errorf("CPU time %d ns, wait4 says %d", *r.CPU, want.CPU)
			}
		})
	}
}

// Of threads that end at the same time no two tell of the end of their process.
func TestKernelProcEndsOnce(t *testing.T) {
	both(t, func(t *testing.T, hook string) {
		n := 30
		if vmtest.Guest() != "" {
			n = 6
		}
		// All side by side: the more there are, the sooner a thread is stopped between its end and the telling of it.
		script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do %s threads 20 & i=$((i+1)); done; wait`, n, as(t, "role-end"))
		got := traceLives(t, hook, "--fields", "pid,exit_code,comm", "--", "/bin/sh", "-c", script)
		ends := make(map[int]int)
		for _, r := range got.records {
			if r.Type == "proc_exit" && r.ExitCode != nil && *r.ExitCode == 3 && r.Comm == "role-end" {
				ends[r.PID]++
			}
		}
		for pid, count := range ends {
			if count != 1 {
				t.Errorf("process %d ended %d times", pid, count)
			}
		}
		if len(ends) != n {
			t.Errorf("%d processes ended, want %d\nstderr %s", len(ends), n, got.stderr)
		}
	})
}

// A process that ran before sonde did has its age from the kernel.
func TestKernelProcAlreadyRunning(t *testing.T) {
	needExec(t)
	sleeper := begin(t, exec.Command(as(t, "role-sleep"), "an argument"))
	started := time.Now()
	file := filepath.Join(t.TempDir(), "lives")
	p := begin(t, exec.Command(as(t, "sonde"), "proc", "--args", "--fields", "event,pid,since_fork_ns,duration_ns,detail", "-p", fmt.Sprint(sleeper.cmd.Process.Pid), "--timeline", file, "-c", "1"))
	p.line(t) // the probes are on
	least := time.Since(started)
	sleeper.signal(t, unix.SIGKILL)
	line := p.line(t)
	most := time.Since(started) + 5*time.Second // what lay between the fork and the return of Start
	var event, duration, code, path string
	var pid int
	var age float64
	if _, err := fmt.Sscan(line, &event, &pid, &age, &duration, &code, &path); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if event != "EXIT" || pid != sleeper.cmd.Process.Pid || duration != "-" || code != "[SIGKILL]" || !strings.HasSuffix(line, "role-sleep an argument") {
		t.Errorf("%q: want the end of process %d by SIGKILL, with its arguments", line, sleeper.cmd.Process.Pid)
	}
	if ms := time.Duration(age * float64(time.Millisecond)); ms < least-2*time.Millisecond || ms > most {
		t.Errorf("%q: age %v, want between %v and %v", line, ms, least, most)
	}
	if got := p.wait(t); got != 0 {
		t.Errorf("status %d, stderr %s", got, p.stderr(t))
	}
}

func TestKernelProcFilters(t *testing.T) {
	needExec(t)
	path := truePath(t)
	nap := as(t, "role-end")
	script := path + ` one; (exit 4); ` + nap + ` nap 400; /bin/sh -c 'kill -KILL $$'; exit 9`
	for _, c := range []struct {
		args []string
		want []string // lines in order: their second, third and last word
	}{
		{nil, []string{
			"EXEC sh /bin/sh", "EXEC true " + path, "EXIT true [0]", "EXIT sh [4]", "EXEC role-end " + nap, "EXIT role-end [0]",
			"EXEC sh /bin/sh", "EXIT sh [SIGKILL]", "EXIT sh [9]",
		}},
		{[]string{"-x"}, []string{"EXIT sh [4]", "EXIT sh [SIGKILL]", "EXIT sh [9]"}},
		{[]string{"--min-duration", "350"}, []string{"EXIT role-end [0]", "EXIT sh [9]"}},
		{[]string{"--min-duration", "10m"}, nil},
		{[]string{"-x", "--min-duration", "350ms"}, []string{"EXIT sh [9]"}},
		{[]string{"-n", "^true$"}, []string{"EXEC true " + path, "EXIT true [0]"}},
		{[]string{"-c", "1"}, []string{"EXEC sh /bin/sh"}},
	} {
		if vmtest.Guest() != "" && len(c.args) != 3 {
			continue // they are the same everywhere
		}
		file := filepath.Join(t.TempDir(), "lives")
		args := append([]string{"proc", "-o", file, "--show-tree=false"}, c.args...)
		got := runAll(t, exec.Command(as(t, "sonde"), append(args, "--", "/bin/sh", "-c", script)...))
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v; stderr %s", err, got.stderr)
		}
		var lines []string
		for i, line := range slices.Collect(strings.Lines(string(data))) {
			if w := strings.Fields(line); i > 0 {
				lines = append(lines, w[1]+" "+w[2]+" "+w[len(w)-1])
			}
		}
		if diff := cmp.Diff(c.want, lines); diff != "" {
			t.Errorf("%q (-want +got):\n%s%s", c.args, diff, data)
		}
		if got.status != 9 {
			t.Errorf("%q: status %d, stderr %s", c.args, got.status, got.stderr)
		}
	}
}

// Twenty thousand forks at full speed lose nothing, with the ring that is the default.
func TestKernelProcForkStorm(t *testing.T) {
	n := 20000
	if vmtest.Guest() != "" {
		n = 300 // and see TestGuestProcStorm
	}
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do (exit $((i%%3))); i=$((i+1)); done", n)
	got := traceLives(t, "--fields", "pid,exit_code,comm", "--", "/bin/sh", "-c", script+"; exit 0")
	if got.status != 0 {
		t.Fatalf("status %d, stderr %s", got.status, got.stderr)
	}
	codes := make(map[int]int)
	for _, r := range got.records {
		if r.Type == "proc_exit" {
			codes[*r.ExitCode]++
		}
	}
	want := map[int]int{0: (n+2)/3 + 1, 1: (n + 1) / 3, 2: n / 3} // and the shell itself
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("ends by exit code (-want +got):\n%s%s", diff, got.stderr)
	}
}

// classicLife is a line of libbpf-bootstrap's bootstrap as its own print statements make it.
func classicLife(clock, event, comm string, pid, ppid int, rest string) string {
	return fmt.Sprintf("%-8s %-5s %-16s %-7d %-7d %s", clock, event, comm, pid, ppid, rest)
}

func TestKernelBootstrapColumns(t *testing.T) {
	needExec(t)
	path := truePath(t)
	got := runAll(t, exec.Command(as(t, "bootstrap"), "--", "/bin/sh", "-c", path+` x; (exit 4); kill -KILL $$`))
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if got.status != 137 || len(lines) != 6 {
		t.Fatalf("status %d, %d lines, want 6\n%s%s", got.status, len(lines), got.stdout, got.stderr)
	}
	if want := fmt.Sprintf("%-8s %-5s %-16s %-7s %-7s %s", "TIME", "EVENT", "COMM", "PID", "PPID", "FILENAME/EXIT CODE"); lines[0] != want {
		t.Errorf("heading %q, want %q", lines[0], want)
	}
	if !strings.HasPrefix(got.stderr, "bootstrap: ") || accounts(got.stderr) != 1 {
		t.Errorf("stderr %q", got.stderr)
	}
	var root int
	for i, want := range []struct{ event, rest string }{
		{"EXEC", "/bin/sh"}, {"EXEC", path}, {"EXIT", "[0] ("}, {"EXIT", "[4] ("}, {"EXIT", "[137] ("},
	} {
		line := lines[i+1]
		var clock, event, comm string
		var pid, ppid int
		if _, err := fmt.Sscan(line, &clock, &event, &comm, &pid, &ppid); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if i == 0 {
			root = pid
		}
		at := min(len(classicLife(clock, event, comm, pid, ppid, "")), len(line))
		rest := line[at:]
		if line != classicLife(clock, event, comm, pid, ppid, rest) || event != want.event || !strings.HasPrefix(rest, want.rest) {
			t.Errorf("%q: want %s and %q, in the classic's columns", line, want.event, want.rest)
		}
		if event == "EXIT" {
			rest, killed := strings.CutSuffix(rest, " SIGKILL")
			if killed != (i == 4) || !strings.HasSuffix(rest, "ms)") {
				t.Errorf("%q: want the code, and (Nms)", line)
			}
		}
		if (pid == root) != (i == 0 || i == 4) || pid != root && ppid != root {
			t.Errorf("%q: process %d of %d, COMMAND is %d", line, pid, ppid, root)
		}
	}
}

func TestKernelBootstrapDuration(t *testing.T) {
	needExec(t)
	for _, flag := range []string{"-d", "--duration"} {
		if vmtest.Guest() != "" && flag == "-d" {
			continue
		}
		got := runAll(t, exec.Command(as(t, "bootstrap"), flag, "200", "--", "/bin/sh", "-c", truePath(t)+"; "+as(t, "role-end")+" nap 300; (exit 4)"))
		var seen []string
		for line := range strings.Lines(got.stdout) {
			w := strings.Fields(line)
			seen = append(seen, w[1]+" "+w[2])
		}
		if diff := cmp.Diff([]string{"EVENT COMM", "EXIT role-end", "EXIT sh"}, seen); diff != "" {
			t.Errorf("%s 200 (-want +got):\n%s%s", flag, diff, got.stdout)
		}
	}
}

// traceEvent is one event of the Trace Event Format, as its reader takes it.
type traceEvent struct {
	Name string         `json:"name"`
	Ph   string         `json:"ph"`
	TS   *float64       `json:"ts"`
	Dur  *float64       `json:"dur"`
	PID  *uint64        `json:"pid"`
	TID  *uint64        `json:"tid"`
	Cat  string         `json:"cat"`
	Args map[string]any `json:"args"`
}

func TestKernelProcTimelineAndTree(t *testing.T) {
	needExec(t)
	file := filepath.Join(t.TempDir(), "run.json")
	path := truePath(t)
	script := fmt.Sprintf(`%s first; (%s inner; exit 4); i=0; while [ $i -lt 6 ]; do %s; i=$((i+1)); done; exit 3`, path, path, path)
	got := runAll(t, exec.Command(as(t, "sonde"), "proc", "--timeline", file, "--tree", "--", "/bin/sh", "-c", script))
	if got.status != 3 || !strings.Contains(got.stderr, "timeline of 10 processes in "+file) {
		t.Errorf("status %d, stderr %s", got.status, got.stderr)
	}
	_, tree, found := strings.Cut(got.stdout, "\n\n")
	if !found {
		t.Fatalf("no tree at the end:\n%s", got.stdout)
	}
	var shape []string
	at := strings.Index(tree, "PROCESS") // what stands before is ASCII in every line
	for i, line := range slices.Collect(strings.Lines(tree)) {
		if i > 0 {
			line = strings.Fields(line)[2] + " " + strings.TrimSuffix(line[at:], "\n")
			shape = append(shape, strings.ReplaceAll(line, script, "SCRIPT"))
		}
	}
	want := []string{"3 /bin/sh -c SCRIPT", "0 ├─ true ×7", "4 └─ sh (fork)", "0    └─ " + path + " inner"}
	if diff := cmp.Diff(want, shape); diff != "" {
		t.Errorf("tree (-want +got):\n%s%s", diff, tree)
	}

	tracks := readTimeline(t, file)
	if len(tracks) != 10 {
		t.Errorf("%d tracks, want 10", len(tracks))
	}
	names := make(map[string]int)
	for _, slices := range tracks {
		for _, s := range slices {
			names[s.Name]++
		}
	}
	if names["true"] != 8 || names["sh"] != 10 { // the shell itself, and each child before its exec
		t.Errorf("slices by name: %v", names)
	}
}

// readTimeline reads a file as a reader of the format does: it refuses what is not right, and returns the slices of each track.
func readTimeline(t *testing.T, file string) map[uint64][]traceEvent {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var trace struct {
		Unit   string       `json:"displayTimeUnit"`
		Events []traceEvent `json:"traceEvents"`
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&trace); err != nil || d.More() {
		t.Fatalf("%v in %s", err, b)
	}
	tracks, named := make(map[uint64][]traceEvent), make(map[uint64]bool)
	for _, e := range trace.Events {
		if e.PID == nil || e.TID == nil || *e.PID != *e.TID {
			t.Errorf("%+v: no track", e)
			continue
		}
		switch {
		case e.Ph == "M" && e.Name == "process_name":
			if named[*e.PID] || e.Args["name"] == "" {
				t.Errorf("track %d: named again, or without a name", *e.PID)
			}
			named[*e.PID] = true
		case e.Ph == "M":
		case e.Ph == "X" && e.TS != nil && e.Dur != nil && *e.TS >= 0 && *e.Dur >= 0 && e.Name != "" && e.Args["ppid"] != nil:
			tracks[*e.PID] = append(tracks[*e.PID], e)
		default:
			t.Errorf("%+v: not an event that was meant to be there", e)
		}
	}
	for id, slices := range tracks {
		if !named[id] {
			t.Errorf("track %d has no name", id)
		}
		for i := 1; i < len(slices); i++ {
			if end := *slices[i-1].TS + *slices[i-1].Dur; *slices[i].TS < end-0.001 {
				t.Errorf("track %d: slices overlap", id)
			}
		}
		if last := slices[len(slices)-1]; last.Args["end"] == nil {
			t.Errorf("track %d does not say how it ended", id)
		}
	}
	if got, want := len(tracks), len(slices.Collect(maps.Keys(named))); got != want {
		t.Errorf("%d tracks have slices, %d have names", got, want)
	}
	return tracks
}
