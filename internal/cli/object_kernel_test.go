package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// objectLine is one line of sonde run FILE.o -f json.
type objectLine struct {
	Type      string          `json:"type"`
	Map       string          `json:"map"`
	Struct    string          `json:"struct"`
	Data      json.RawMessage `json:"data"`
	Hex       string          `json:"hex"`
	TID       int             `json:"tid"`
	Comm      string          `json:"comm"`
	Text      string          `json:"text"`
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"`
	Sum       *int64          `json:"sum"`
	Variables json.RawMessage `json:"variables"`
	Events    uint64          `json:"events"`
	Lost      uint64          `json:"lost"`
}

// objectRunning is sonde run with an object, all of whose programs are attached.
type objectRunning struct{ *process }

// runObjectFor starts it, as JSON, and waits until it says that all is attached.
func runObjectFor(t *testing.T, object string, args ...string) objectRunning {
	t.Helper()
	p := begin(t, exec.Command(as(t, "sonde"), append(append([]string{"run", "-f", "json"}, args...), object)...))
	until(t, "the programs are attached", func() bool {
		select {
		case <-p.done:
			t.Fatalf("it has ended: %s", p.stderr(t))
		default:
		}
		return strings.Contains(p.stderr(t), " attached\n")
	})
	return objectRunning{p}
}

// next returns the next line of that type.
func (r objectRunning) next(t *testing.T, kind string) objectLine {
	t.Helper()
	for {
		var l objectLine
		text := r.line(t)
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if l.Type == kind {
			return l
		}
	}
}

// end interrupts it and returns the rest of its lines.
func (r objectRunning) end(t *testing.T) (lines []objectLine) {
	t.Helper()
	r.signal(t, os.Interrupt)
	for _, text := range r.rest(t) {
		var l objectLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, l)
	}
	if code := r.wait(t); code != 0 {
		t.Errorf("status %d: %s", code, r.stderr(t))
	}
	return lines
}

func setTo(name string, n int) string { return "--set=" + name + "=" + strconv.Itoa(n) }

// bpf_printk by an instance of tracefs of the run's own, for one process by a global variable.
func TestKernelObjectMinimal(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.Tracefs)
	r := runObjectFor(t, vmtest.Object(t, "minimal"), setTo("my_pid", os.Getpid()))
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	null.WriteString("x")
	l := r.next(t, "printk")
	if want := fmt.Sprintf("BPF triggered from PID %d.", os.Getpid()); l.Text != want || l.Comm == "" {
		t.Errorf("%+v, want %q", l, want)
	}
	r.end(t)
}

// However the run ends, its instance goes.
func TestKernelObjectInstanceGoes(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.Tracefs)
	instances := func() []string {
		dir := t.TempDir()
		if err := unix.Mount("tracefs", dir, "tracefs", 0, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(dir, unix.MNT_DETACH)
		list, _ := filepath.Glob(filepath.Join(dir, "instances", "sonde_printk_*"))
		for i := range list {
			list[i] = filepath.Base(list[i])
		}
		return list
	}
	before := instances()
	r := runObjectFor(t, vmtest.Object(t, "minimal"), setTo("my_pid", os.Getpid()))
	own := slices.DeleteFunc(instances(), func(name string) bool { return slices.Contains(before, name) })
	if len(own) == 0 {
		t.Fatal("it has no instance")
	}
	r.signal(t, os.Kill)
	until(t, "the instance is gone", func() bool {
		return !slices.ContainsFunc(instances(), func(name string) bool { return slices.Contains(own, name) })
	})
}

// What libbpf-bootstrap's example sees is what sonde proc sees.
func TestKernelObjectBootstrap(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.RingBuffer, kernel.BTF)
	me := strconv.Itoa(os.Getpid())
	peer := begin(t, exec.Command(as(t, "sonde"), "proc", "-f", "json", "--no-wait", "-P", me))
	r := runObjectFor(t, vmtest.Object(t, "bootstrap"), setTo("parent", os.Getpid()), "--maps")
	sonde := as(t, "sonde")
	ready := exec.Command(sonde, "help")
	until(t, "sonde proc sees", func() bool { // it has no heading in JSON
		ready = exec.Command(sonde, "help")
		if err := ready.Run(); err != nil {
			t.Fatal(err)
		}
		return len(peer.lines) > 0
	})
	var pids []int
	for range 5 {
		c := exec.Command(sonde, "--no-such-flag")
		_ = c.Run()
		pids = append(pids, c.Process.Pid)
	}
	type event struct {
		PID       int    `json:"pid"`
		PPID      int    `json:"ppid"`
		ExitCode  int    `json:"exit_code"`
		Duration  uint64 `json:"duration_ns"`
		Filename  string `json:"filename"`
		ExitEvent bool   `json:"exit_event"`
	}
	var lives []string
	for len(lives) < 2*len(pids) {
		var e event
		l := r.next(t, "record")
		if err := json.Unmarshal(l.Data, &e); err != nil || l.Struct != "event" {
			t.Fatalf("%+v: %v", l, err)
		}
		switch {
		case !slices.Contains(pids, e.PID):
		case e.ExitEvent:
			lives = append(lives, fmt.Sprintf("%d of %d ends with %d", e.PID, e.PPID, e.ExitCode))
			if e.Duration == 0 {
				t.Errorf("%+v", e)
			}
		default:
			lives = append(lives, fmt.Sprintf("%d of %d becomes %s", e.PID, e.PPID, e.Filename))
		}
	}
	var want []string
	for _, pid := range pids {
		want = append(want, fmt.Sprintf("%d of %d becomes %s", pid, os.Getpid(), sonde), fmt.Sprintf("%d of %d ends with %d", pid, os.Getpid(), exitUsage))
	}
	if diff := cmp.Diff(want, lives); diff != "" {
		t.Errorf("the object (-want +got)\n%s", diff)
	}
	r.end(t)
	peer.signal(t, os.Interrupt)
	var seen []string
	for _, text := range peer.rest(t) {
		var l lifeRecord
		switch err := json.Unmarshal([]byte(text), &l); {
		case err != nil || !slices.Contains(pids, l.PID):
		case l.Type == "proc_exec" && l.Filename != nil:
			seen = append(seen, fmt.Sprintf("%d of %d becomes %s", l.PID, l.PPID, *l.Filename))
		case l.Type == "proc_exit" && l.ExitCode != nil:
			seen = append(seen, fmt.Sprintf("%d of %d ends with %d", l.PID, l.PPID, *l.ExitCode))
		}
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("sonde proc (-want +got)\n%s", diff)
	}
}

// What a tracer of openat sees of this process is what sonde open sees.
func TestKernelObjectOpenat(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.BTF)
	peer := begin(t, exec.Command(as(t, "sonde"), "open", "-p", strconv.Itoa(os.Getpid())))
	peer.line(t) // the heading: it is attached
	r := runObjectFor(t, vmtest.Object(t, "openat"), setTo("target", os.Getpid()), "--maps")
	dir := t.TempDir()
	var names []string
	for i := range 20 {
		name := filepath.Join(dir, fmt.Sprintf("file-%02d", i))
		names = append(names, name)
		if f, err := os.Open(name); err == nil {
			f.Close()
		}
	}
	var seen []string
	for len(seen) < len(names) {
		var e struct {
			Filename string `json:"filename"`
			Comm     string `json:"comm"`
			PID      int    `json:"pid"`
		}
		l := r.next(t, "record")
		if err := json.Unmarshal(l.Data, &e); err != nil || l.Struct != "event" || e.PID != os.Getpid() {
			t.Fatalf("%+v: %v", l, err)
		}
		if strings.HasPrefix(e.Filename, dir) {
			seen = append(seen, e.Filename)
		}
	}
	slices.Sort(seen) // of several CPUs
	if diff := cmp.Diff(names, seen); diff != "" {
		t.Error(diff)
	}
	var opens int64
	for _, l := range r.end(t) {
		if l.Type == "map" && l.Map == "opens" && l.Sum != nil {
			opens = *l.Sum
		}
	}
	if opens < int64(len(names)) {
		t.Errorf("the per-CPU array counts %d opens, want %d and more", opens, len(names))
	}
	peer.signal(t, os.Interrupt)
	var theirs []string
	for _, line := range peer.rest(t) {
		if i := strings.Index(line, dir+"/"); i >= 0 {
			theirs = append(theirs, strings.Fields(line[i:])[0])
		}
	}
	slices.Sort(theirs)
	if diff := cmp.Diff(names, theirs); diff != "" {
		t.Error(diff)
	}
}

// What a perf event array has no room for is counted: what was shown and what was lost are all that the program sent.
func TestKernelObjectLoss(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Tracepoint)
	r := runObjectFor(t, vmtest.Object(t, "openat"), setTo("target", os.Getpid()), "--maps", "--buffer", "64K")
	open := func(n int) {
		for range n {
			if f, err := os.Open(os.DevNull); err == nil {
				f.Close()
			}
		}
	}
	r.signal(t, syscall.SIGSTOP)
	until(t, "it has stopped", func() bool {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
		return strings.Contains(string(stat), ") T ")
	})
	open(2000)
	r.signal(t, syscall.SIGCONT)
	r.next(t, "record")
	open(5) // older kernels tell of losses with the next record
	var shown, sent uint64 = 1, 0
	var last objectLine
	for _, l := range r.end(t) {
		switch {
		case l.Type == "record":
			shown++
		case l.Type == "map" && l.Map == "opens" && l.Sum != nil:
			sent = uint64(*l.Sum)
		}
		last = l
	}
	if last.Type != "summary" || last.Lost == 0 || last.Events != shown || shown+last.Lost != sent {
		t.Errorf("%d shown, %d events and %d lost by the summary, %d sent", shown, last.Events, last.Lost, sent)
	}
}

// Records, maps and variables of all kinds of types.
func TestKernelObjectKinds(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.RawTracepoint, kernel.RingBuffer)
	r := runObjectFor(t, vmtest.Object(t, "kinds"), setTo("target", os.Getpid()), "--set=small=7", "--set=name=second", "--set=favourite=BLUE", "--maps")
	os.Getppid()
	l := r.next(t, "record")
	const want = `{"u8":7,"s8":-1,"u16":65535,"s16":-32768,"u32":4000000000,"s32":-2000000000,"u64":18446744073709551615,` +
		`"s64":-9223372036854775807,"flag":true,"colour":"BLUE","low":5,"high":17,"minus":-3,"nested":{"x":-3,"y":4},` +
		`"pair":[{"x":0,"y":0},{"x":9,"y":0}],"list":[1,-2,3],"bytes":[222,0,0,15],"text":"second","pointer":18446612682070011904,` +
		`"word":16909060,"half":[4,3],"tail":"tail\n\u001b"}`
	got := regexp.MustCompile(`"pointer":\d+`).ReplaceAllString(string(l.Data), `"pointer":18446612682070011904`)
	if l.Map != "typed" || l.Struct != "record" {
		t.Errorf("%+v", l)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if l := r.next(t, "record"); l.Map != "untyped" || l.Hex != "0102616263" {
		t.Errorf("%+v", l)
	}
	maps := map[string]string{}
	for _, l := range r.end(t) {
		if l.Type == "map" {
			maps[l.Map] += string(l.Key) + string(l.Value) + string(l.Variables) + ";"
		}
	}
	for name, want := range map[string]string{
		"hash": `{"x":-3,"y":4}"BLUE";`, "percpu": "2;", "array": "2-7;",
	} {
		if maps[name] != want {
			t.Errorf("map %s: %s, want %s", name, maps[name], want)
		}
	}
	if m := regexp.MustCompile(`"version":(\d+)`).FindStringSubmatch(maps[".bss"]); m == nil || len(m[1]) < 6 {
		t.Errorf("the kernel's version as an external variable: %s", maps[".bss"])
	}
	if !strings.Contains(maps[".data"], `"small":7`) || !strings.Contains(maps[".data"], `"name":"second"`) {
		t.Errorf("variables: %s", maps[".data"])
	}
}

func TestKernelObjectIterator(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.BTF)
	got := runAll(t, exec.Command(as(t, "sonde"), "run", "-q", setTo("target", os.Getpid()), vmtest.Object(t, "iterate")))
	if got.status != 0 || !strings.Contains(got.stdout, fmt.Sprintf("task %d of %d\n", os.Getpid(), os.Getpid())) {
		t.Errorf("%+v", got)
	}
}

// A static probe's arguments, wherever they are, by libbpf's usdt.bpf.h. The program ends with 1 if its semaphore was raised.
func TestKernelObjectStaticProbe(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Uprobe, kernel.RingBuffer, kernel.BTF)
	program := vmtest.UserProgram(t, "target")
	got := runAll(t, exec.Command(as(t, "sonde"), "run", "-f", "json", "--attach", "on_step=usdt/"+program+":sondetest:step", vmtest.Object(t, "usdt"), "--", program))
	if vmtest.Guest() == "5.10" {
		got.refusal(t, exitFailure, "program on_step (section usdt/", "keeps no cookies", "5.15")
		return
	}
	var steps []string
	for line := range strings.Lines(got.stdout) {
		var l objectLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if l.Type == "record" {
			steps = append(steps, string(l.Data))
		}
	}
	var want []string
	for n := -2; n < 3; n++ {
		want = append(want, fmt.Sprintf(`{"args":[%d,1234605616436508552,-7,65000,-1234567890123,%d],"count":6}`, n, uint8(n)))
	}
	if diff := cmp.Diff(want, steps); diff != "" || got.status != 1 {
		t.Errorf("status %d, stderr %s: %s", got.status, got.stderr, diff)
	}
	runAll(t, exec.Command(as(t, "sonde"), "run", "--attach", "on_step=usdt/"+program+":sondetest:stop", vmtest.Object(t, "usdt"))).
		refusal(t, exitFailure, "program on_step", "has no static probe sondetest:stop")
}

// A COMMAND is let go once all is attached, and the run ends with it and its status.
func TestKernelObjectCommand(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.RawTracepoint, kernel.RingBuffer)
	sonde := as(t, "sonde")
	got := runAll(t, exec.Command(sonde, "run", "-q", vmtest.Object(t, "kinds"), "--", sonde, "--no-such-flag"))
	if got.status != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "--no-such-flag") {
		t.Errorf("%+v", got)
	}
	// The command's process is known before it runs.
	got = runAll(t, exec.Command(sonde, "run", "-q", "-f", "json", "--set=parent=cpid", vmtest.Object(t, "bootstrap"), "--", as(t, "role-storm"), truePath(t), "3"))
	if n := strings.Count(got.stdout, `"exit_event":true`); got.status != 0 || n != 3 {
		t.Errorf("%d ends of 3: %+v", n, got)
	}
	// It runs also where nobody reads what the run shows.
	made := filepath.Join(t.TempDir(), "made")
	closed := exec.Command("sh", "-c", `exec 3>&1; { "$0" run -q --set parent=cpid "$1" -- sh -c "echo >$2"; echo $? >&3; } | true`, sonde, vmtest.Object(t, "bootstrap"), made)
	if got := runAll(t, closed); strings.TrimSpace(got.stdout) != "0" {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(made); err != nil {
		t.Error(err)
	}
	if got := runAll(t, exec.Command(sonde, "run", "-q", "-d", "0.1", vmtest.Object(t, "kinds"))); got.status != 0 {
		t.Errorf("%+v", got)
	}
}

// What cannot be loaded is one sentence, which names the section and why.
func TestKernelObjectRefusals(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.BTF)
	sonde := as(t, "sonde")
	for _, tt := range []struct {
		object string
		args   []string
		words  []string
	}{
		{"unlicensed", nil, []string{"program reads (section tp/syscalls/sys_enter_getppid)", "its licence is none", "unlicensed.c:11", `SEC("license")`}},
		{"relocation", nil, []string{"program reads_a_member (section tp/syscalls/sys_enter_getppid)", "the member no_kernel_has_this of struct task_struct"}},
		{"refused", nil, []string{"program careless (section raw_tp/sys_enter)", "refused.c:20, *value += 1", "map_value_or_null"}},
		{"large", nil, []string{"map enormous (section .maps)", "1073741824 entries of 4 and 1048576 bytes"}},
		{"killer", nil, []string{"program kill_openers (section tp/syscalls/sys_enter_openat) sends signals", "--unsafe"}},
		{"section", []string{"--only", "packet"}, []string{"program packet (section xdp)", "it decides about packets"}},
		{"section", []string{"--only", "unknown", "--attach", "unknown=tp/no/such"}, []string{"program unknown (section tp/no/such)", "this kernel does not have it"}},
		{"section", []string{"--only", "unknown", "--attach", "unknown=tp_btf/no_such"}, []string{"program unknown (section", "nothing of that name"}},
	} {
		args := append(append([]string{"run"}, tt.args...), vmtest.Object(t, tt.object))
		runAll(t, exec.Command(sonde, args...)).refusal(t, exitFailure, tt.words...)
	}
	got := runAll(t, exec.Command(sonde, "run", "-v", vmtest.Object(t, "refused")))
	if n := strings.Count(got.stderr, "\nverifier: "); n < 5 {
		t.Errorf("-v shows %d lines of the log: %s", n, got.stderr)
	}
}

var runsOfPrograms = regexp.MustCompile(`\((\d+) runs?\)`)

// attachedRuns attaches an empty program to a place, does something, and says how often the kernel ran the program.
func attachedRuns(t *testing.T, place string, do func(), args ...string) int {
	t.Helper()
	args = append([]string{"run", "--only", "unknown", "--attach", "unknown=" + place}, args...)
	p := begin(t, exec.Command(as(t, "sonde"), append(args, vmtest.Object(t, "section"))...))
	until(t, "the program is attached", func() bool {
		select {
		case <-p.done:
			t.Fatalf("%s: %s", place, p.stderr(t))
		default:
		}
		return strings.Contains(p.stderr(t), " attached\n")
	})
	do()
	p.signal(t, os.Interrupt)
	p.rest(t)
	if code := p.wait(t); code != 0 {
		t.Errorf("%s: status %d: %s", place, code, p.stderr(t))
	}
	m := runsOfPrograms.FindStringSubmatch(p.stderr(t))
	if m == nil {
		t.Fatalf("%s: %s", place, p.stderr(t))
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// objectProbed is what uprobes of the tests are on.
//
//go:noinline
func objectProbed(n int) int { return n + len(os.Args) }

// Programs of these sections are not only attached: they run.
func TestKernelObjectSections(t *testing.T) {
	needRoot(t)
	vmtest.Need(t, kernel.Uprobe, kernel.BTF)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const calls = 5
	probed := func() {
		for i := range calls {
			objectProbed(i)
		}
	}
	for _, place := range []string{"uprobe/" + self + ":sonde/internal/cli.objectProbed", "tp/syscalls/sys_enter_getppid", "raw_tp/sys_enter", "tp_btf/sys_enter", "perf_event"} {
		do := probed
		if !strings.HasPrefix(place, "uprobe") {
			do = func() {
				for range calls {
					os.Getppid()
				}
			}
		}
		var args []string
		if place == "perf_event" {
			args = []string{"-p", strconv.Itoa(os.Getpid()), "--frequency", "999"}
			do = func() {
				for end := cpuTime(t) + 50e6; cpuTime(t) < end; {
					objectProbed(1)
				}
			}
		}
		if n := attachedRuns(t, place, do, args...); n < calls {
			t.Errorf("%s: %d runs, want %d and more", place, n, calls)
		}
	}
}

// cpuTime is what this process has had of CPUs, in nanoseconds.
func cpuTime(t *testing.T) int64 {
	t.Helper()
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		t.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

// until waits for a condition, half a minute at most.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}
