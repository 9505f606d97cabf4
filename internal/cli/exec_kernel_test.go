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
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/stream"
	"sonde/internal/vmtest"
)

// needExec names what sonde exec needs of a kernel.
func needExec(t *testing.T) {
	t.Helper()
	needRoot(t)
	vmtest.Need(t, kernel.BTF, kernel.RawTracepoint, kernel.RingBuffer)
}

// truePath is a program that ends well. In a guest it is a link to busybox.
func truePath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKernelExecTellsAll(t *testing.T) {
	needExec(t)
	dir := t.TempDir()
	path := truePath(t)
	cmd := exec.Command(as(t, "sonde"), "exec", "-f", "json", "--", path, "one", "", "two words", "é\n\x1b[2J")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nil}
	before := time.Now()
	got := runJSON(t, cmd)
	after := time.Now()
	if got.status != 0 || len(got.records) != 1 {
		t.Fatalf("status %d, %d records; want 0 and 1: COMMAND's own exec\n%s%s", got.status, len(got.records), got.stderr, got.dump())
	}
	r := got.records[0]
	if diff := cmp.Diff([]string{path, "one", "", "two words", "é\n\x1b[2J"}, r.argv()); diff != "" {
		t.Error("argv (-want +got):\n", diff)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	when, err := time.Parse(time.RFC3339Nano, r.Time)
	if err != nil || when.Before(before.Add(-10*time.Millisecond)) || when.After(after) {
		t.Errorf("time %v (%v) is not between %v and %v", r.Time, err, before, after)
	}
	inode := func(ns string) (st unix.Stat_t) {
		if err := unix.Stat("/proc/self/ns/"+ns, &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"type", r.Type, "exec"},
		{"comm", r.Comm, filepath.Base(path)},
		{"pcomm", r.PComm, "sonde"},
		{"filename", text(r.Filename), path},
		{"exe", text(r.Exe), real},
		{"dev", r.Dev, st.Dev},
		{"ino", r.Ino, st.Ino},
		{"cwd", text(r.Cwd), dir},
		{"tid", r.TID, r.PID},
		{"uid", r.UID, os.Getuid()},
		{"euid", r.EUID, os.Geteuid()},
		{"gid", r.GID, os.Getgid()},
		{"ret", r.Ret, 0},
		{"errno", text(r.Errno), "<null>"},
		{"truncated", r.ArgvTruncated, false},
		{"mntns", r.Mntns, inode("mnt").Ino},
		{"pidns", r.Pidns, inode("pid").Ino},
		{"events", got.summary.Events, uint64(1)},
		{"lost", got.summary.Lost, uint64(0)},
		{"flags", len(r.Flags), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	if r.ExectimeNS == nil || *r.ExectimeNS <= 0 || *r.ExectimeNS > after.Sub(before).Nanoseconds() {
		t.Errorf("exectime_ns: %v", r.ExectimeNS)
	}
}

// The keys of a record are a promise to scripts, and so is their order.
func TestKernelExecKeys(t *testing.T) {
	needExec(t)
	cmd := exec.Command(as(t, "sonde"), "exec", "-f", "json", "--", as(t, "role-exit"), "0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	var keys []string
	dec := json.NewDecoder(bytes.NewReader(line))
	depth := 0
	for key := false; ; {
		tok, err := dec.Token()
		if err != nil {
			break
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			key = depth == 1
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if depth == 1 && key {
				keys = append(keys, tok.(string))
				key = false
				continue
			}
		}
		key = depth == 1
	}
	want := strings.Fields("type time pid ppid tid uid euid gid comm pcomm filename exe dev ino argv argv_truncated cwd ret errno exectime_ns cgroup_id cgroup container mntns pidns flags")
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Error("keys (-want +got):\n", diff)
	}
}

func TestKernelExecMemfd(t *testing.T) {
	needExec(t)
	got := traceJSON(t, "--", as(t, "role-memfd"), truePath(t), "a", "")
	r := got.only(t, "a memfd", func(r *record) bool { return slices.Contains(r.Flags, "memfd") })
	if diff := cmp.Diff([]string{"true", "a", ""}, r.argv()); diff != "" {
		t.Error("argv (-want +got):\n", diff)
	}
	if text(r.Exe) != "/memfd:payload" || !strings.HasPrefix(text(r.Filename), "/dev/fd/") {
		t.Errorf("exe %q, filename %q", text(r.Exe), text(r.Filename))
	}
	if slices.Contains(r.Flags, "deleted") {
		t.Errorf("flags %q: a memfd is not a deleted file", r.Flags)
	}
}

func TestKernelExecDeleted(t *testing.T) {
	needExec(t)
	program, err := os.ReadFile(truePath(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "true")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	// The shell keeps it open, removes it, and runs it by its descriptor.
	got := traceJSON(t, "--", "sh", "-c", `exec 9<"$1"; rm "$1"; exec /proc/self/fd/9 gone`, "sh", path)
	r := got.only(t, "the deleted program", func(r *record) bool { return slices.Contains(r.Flags, "deleted") })
	if text(r.Exe) != path || r.Ret != 0 {
		t.Errorf("exe %q, ret %d; want %q and 0", text(r.Exe), r.Ret, path)
	}
}

func TestKernelExecByThread(t *testing.T) {
	needExec(t)
	got := traceJSON(t, "--", as(t, "role-thread"), truePath(t), "from a thread")
	r := got.only(t, "the thread's exec", func(r *record) bool { return r.Comm == "true" })
	if r.TID == r.PID || r.Ret != 0 || r.ExectimeNS == nil || r.Comm != "true" {
		t.Errorf("tid %d of pid %d, ret %d, exectime %v, comm %q: want another thread's success", r.TID, r.PID, r.Ret, r.ExectimeNS, r.Comm)
	}
}

func TestKernelExecRace(t *testing.T) {
	needExec(t)
	const rounds = 50
	got := traceJSON(t, "-x", "--", as(t, "role-race"), truePath(t), fmt.Sprint(rounds))
	if got.status != 0 {
		t.Fatalf("status %d, stderr %s", got.status, got.stderr)
	}
	won := map[string]int{}
	for i := range got.records {
		r := &got.records[i]
		words := r.argv()
		if len(words) != 6 || words[0] != "true" {
			continue
		}
		side, round := words[1], words[2]
		want := []string{"true", side, round, side, strings.Repeat(side, 50), side}
		if diff := cmp.Diff(want, words); diff != "" {
			t.Errorf("arguments of two threads mixed (-want +got):\n%s", diff)
		}
		if r.Ret == 0 {
			won[round]++
		}
	}
	for i := range rounds {
		if n := won[fmt.Sprint(i)]; n != 1 {
			t.Errorf("round %d: %d execs succeeded, want 1", i, n)
		}
	}
}

func TestKernelExecFailures(t *testing.T) {
	needExec(t)
	dir := t.TempDir()
	notExec, garbage := filepath.Join(dir, "notexec"), filepath.Join(dir, "garbage")
	if err := os.WriteFile(notExec, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(garbage, []byte("\x01\x02\x03 no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"--", as(t, "role-failures"), truePath(t), notExec, garbage}
	got := traceJSON(t, append([]string{"-x"}, args...)...)
	if got.status != 0 {
		t.Fatalf("status %d, stderr %s", got.status, got.stderr)
	}
	for _, want := range []struct {
		errno, filename string
		argv            []string
	}{
		{"ENOENT", "/nonexistent/program", []string{"nothing", "", "b"}},
		{"EACCES", notExec, []string{"notexec"}},
		{"ENOEXEC", garbage, []string{"garbage", "x"}},
		{"E2BIG", truePath(t), []string{"big", strings.Repeat("x", 200<<10)}},
	} {
		r := got.only(t, want.errno, func(r *record) bool { return text(r.Errno) == want.errno })
		cut := 0
		if want.errno == "E2BIG" {
			// More than the limit of what is read: cut, and marked.
			if !r.ArgvTruncated {
				t.Errorf("%s: 200 KiB of arguments are not marked as truncated", want.errno)
			}
			if len(r.Argv) == 2 && r.Argv[1] != nil {
				cut = len(*r.Argv[1])
			}
			if cut < 128<<10 || cut > 200<<10 {
				t.Errorf("%s: %d bytes of the long argument, want 128 KiB or a little more", want.errno, cut)
			}
			continue
		}
		if diff := cmp.Diff(want.argv, r.argv()); diff != "" || r.ArgvTruncated {
			t.Errorf("%s: argv (-want +got), truncated %v:\n%s", want.errno, r.ArgvTruncated, diff)
		}
		if text(r.Filename) != want.filename || r.Ret >= 0 || r.ExectimeNS == nil {
			t.Errorf("%s: filename %q, ret %d, exectime %v", want.errno, text(r.Filename), r.Ret, r.ExectimeNS)
		}
	}
	// Without -x only what succeeded is shown.
	for _, r := range traceJSON(t, args...).records {
		if r.Ret != 0 {
			t.Errorf("without -x: %v", &r)
		}
	}
}

func TestKernelExecManyWordsThatFail(t *testing.T) {
	needExec(t)
	got := traceJSON(t, "-x", "--", as(t, "role-words"), "/nonexistent/program", "3000", "9")
	r := got.only(t, "the failed exec", func(r *record) bool { return text(r.Errno) == "ENOENT" })
	if len(r.Argv) != 3001 || r.ArgvTruncated {
		t.Fatalf("%d words, truncated %v; want 3001", len(r.Argv), r.ArgvTruncated)
	}
	for i, w := range r.argv()[1:] {
		if want := strings.Repeat(string(rune('a'+i%26)), 9); w != want {
			t.Fatalf("word %d: %q, want %q", i+1, w, want)
		}
	}
}

func TestKernelExecUnresidentArgument(t *testing.T) {
	needExec(t)
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, append([]byte("never touched"), make([]byte, 8192)...), 0o600); err != nil {
		t.Fatal(err)
	}
	got := traceJSON(t, "-x", "--", as(t, "role-unresident"), file)
	r := got.only(t, "the failed exec", func(r *record) bool { return text(r.Errno) == "ENAMETOOLONG" })
	if !slices.Contains(r.Flags, "path_cut") || len(text(r.Filename)) != unix.PathMax-1 {
		t.Errorf("flags %q, a filename of %d bytes: want the cut one marked", r.Flags, len(text(r.Filename)))
	}
	if diff := cmp.Diff([]string{"here", "<null>", "here"}, r.argv()); diff != "" || !r.ArgvTruncated {
		t.Errorf("truncated %v, argv (-want +got):\n%s", r.ArgvTruncated, diff)
	}
}

func TestKernelExecScript(t *testing.T) {
	needExec(t)
	script := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh -e\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := traceJSON(t, "--", script, "x", "")
	if got.status != 3 {
		t.Errorf("status %d, want the script's 3", got.status)
	}
	r := got.only(t, "the script", func(r *record) bool { return slices.Contains(r.Flags, "script") })
	if diff := cmp.Diff([]string{"/bin/sh", "-e", script, "x", ""}, r.argv()); diff != "" {
		t.Error("argv (-want +got):\n", diff)
	}
	interpreter, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if text(r.Filename) != script || text(r.Exe) != interpreter {
		t.Errorf("filename %q and exe %q, want the script and its interpreter %q", text(r.Filename), text(r.Exe), interpreter)
	}
}

func TestKernelExecArgumentsAreWhole(t *testing.T) {
	needExec(t)
	for _, c := range []struct {
		words, length int
		truncated     bool
	}{
		{words: 1000, length: 10},
		{words: 1000, length: 0},
		{words: 1, length: 100 << 10},
		{words: 8, length: 1023},                    // the words end just where a chunk does, or nearly
		{words: 8, length: 1024},                    //
		{words: 2, length: 4093},                    // exactly one chunk with "true"
		{words: 13, length: 10000},                  // 127 KiB
		{words: 20, length: 10000, truncated: true}, // 195 KiB
	} {
		t.Run(fmt.Sprintf("%dx%d", c.words, c.length), func(t *testing.T) {
			path := truePath(t)
			got := traceJSON(t, "--", as(t, "role-words"), path, fmt.Sprint(c.words), fmt.Sprint(c.length))
			r := got.only(t, "the program", func(r *record) bool { return text(r.Filename) == path })
			if r.ArgvTruncated != c.truncated {
				t.Errorf("truncated %v, want %v", r.ArgvTruncated, c.truncated)
			}
			want := []string{"true"}
			for i := range c.words {
				want = append(want, strings.Repeat(string(rune('a'+i%26)), c.length))
			}
			words := r.argv()
			if c.truncated {
				// What is there is right, and as much as the limit allows.
				joined, all := strings.Join(words, "\x00"), strings.Join(want, "\x00")
				if len(joined) != 128<<10 || !strings.HasPrefix(all, joined) {
					t.Errorf("%d bytes, want the first 131072 of the arguments", len(joined))
				}
				return
			}
			if diff := cmp.Diff(want, words); diff != "" {
				t.Errorf("%d words, want %d; (-want +got):\n%.600s", len(words), len(want), diff)
			}
		})
	}
}

func TestKernelExecMaxArgBytes(t *testing.T) {
	needExec(t)
	path := truePath(t)
	got := traceJSON(t, "--max-arg-bytes", "100", "--", as(t, "role-words"), path, "50", "9")
	r := got.only(t, "the program", func(r *record) bool { return text(r.Filename) == path })
	if n := len(strings.Join(r.argv(), "\x00")); !r.ArgvTruncated || n > 100 || n < 99 {
		t.Errorf("%d bytes, truncated %v; want 100, marked", n, r.ArgvTruncated)
	}
	got = traceJSON(t, "--max-arg-bytes", "1M", "--", as(t, "role-words"), path, "50", "10000")
	r = got.only(t, "the program", func(r *record) bool { return text(r.Filename) == path })
	if len(r.Argv) != 51 || r.ArgvTruncated {
		t.Errorf("%d words, truncated %v; want all 51 of half a megabyte", len(r.Argv), r.ArgvTruncated)
	}
}

func TestKernelExecOddBytes(t *testing.T) {
	needExec(t)
	out := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command(as(t, "sonde"), "exec", "-o", out, "--", as(t, "role-raw"), truePath(t),
		"true", `\n\r\x1b[31m\x9b`, `\xff\xfe`, "\u202e", `tab\there`)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	shown, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(shown, []byte("\n")); n != 3 {
		t.Errorf("%d lines for a heading and two records:\n%q", n, shown)
	}
	for _, b := range bytes.Trim(shown, "\n") {
		if b != '\n' && (b < ' ' || b >= 0x7f) {
			t.Fatalf("byte %#x reaches the terminal: %q", b, shown)
		}
	}
}

func TestKernelExecStorm(t *testing.T) {
	needExec(t)
	n := 5000
	if vmtest.Guest() != "" {
		n = 1000 // emulated
	}
	got := traceJSON(t, "--", as(t, "role-storm"), truePath(t), fmt.Sprint(n))
	if got.status != 0 || got.summary.Lost != 0 || len(got.records) != n+1 {
		t.Fatalf("status %d, %d records and %d lost, want %d and 0; stderr %s", got.status, len(got.records), got.summary.Lost, n+1, got.stderr)
	}
	for i, r := range got.records[1:] {
		if w := r.argv(); len(w) != 2 || w[1] != fmt.Sprint(i) {
			t.Fatalf("record %d: argv %q", i, w)
		}
	}
}

func TestKernelExecParallelStorm(t *testing.T) {
	needExec(t)
	for _, words := range []int{10, 1000} {
		n := 5000
		if vmtest.Guest() != "" {
			n = 300 // emulated, an exec takes a hundred times as long
		}
		got := traceJSON(t, "--", as(t, "role-parallel"), truePath(t), fmt.Sprint(n), fmt.Sprint(words))
		// Where tracing programs are preempted a fork may go unseen, and its exec with it: that has to be told.
		missing := n + 1 - len(got.records)
		told := attach.PreemptsRawTracepoints() && strings.Contains(got.stderr, "the kernel left out runs") && missing > 0 && missing <= n/50
		if got.status != 0 || got.summary.Lost != 0 || missing != 0 && !told {
			t.Fatalf("%d words: status %d, %d records and %d lost, want %d and 0; stderr %s",
				words, got.status, len(got.records), got.summary.Lost, n+1, got.stderr)
		}
		t.Log(got.stderr)
		seen := map[string]bool{}
		last, late := "", shownLate(got.stderr)
		for _, r := range got.records[1:] {
			w := r.argv()
			if len(w) != words || r.ArgvTruncated || seen[w[1]] {
				t.Fatalf("%d words, truncated %v, seen %v", len(w), r.ArgvTruncated, seen[w[1]])
			}
			seen[w[1]] = true
			// An exec that takes longer than the reorder window may come late, and no other; where programs are preempted, one that
			// has taken its times may send them late.
			if r.Time < last && r.ExectimeNS != nil && time.Duration(*r.ExectimeNS) < stream.DefaultWindow {
				if late--; attach.PreemptsRawTracepoints() && late >= 0 {
					continue
				}
				t.Errorf("%s began before %s, took %d ns, and is shown after it", r.Time, last, *r.ExectimeNS)
			}
			last = max(last, r.Time)
		}
	}
}

// shownLate is how many records the account says were shown out of order.
func shownLate(stderr string) (n int) {
	for line := range strings.Lines(stderr) {
		if count, ok := strings.CutSuffix(strings.TrimSpace(line), " shown out of order: they took longer than the reorder window"); ok {
			fmt.Sscanf(count, "sonde: %d", &n)
		}
	}
	return n
}

// A ring that is too small loses records; how many is known exactly.
func TestKernelExecLossIsCounted(t *testing.T) {
	needExec(t)
	const n = 400
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// A reader that does not read: sonde blocks in write(2) while the storm goes on.
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := exec.Command(as(t, "sonde"), "exec", "-f", "json", "--buffer", "64K", "-o", fifo, "--", as(t, "role-parallel"), truePath(t), fmt.Sprint(n), "500")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It reads again once COMMAND has ended, which sonde cannot have noticed.
	var data bytes.Buffer
	waitFor(t, "COMMAND to begin", func() bool { return !childless(cmd.Process.Pid) })
	quiet := 0 // the list of children may for a moment lack one that is there
	waitFor(t, "COMMAND to end", func() bool {
		if quiet++; !childless(cmd.Process.Pid) {
			quiet = 0
		}
		return quiet == 20
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for !bytes.Contains(data.Bytes(), []byte(`{"type":"summary"`)) {
			k, err := reader.Read(buf)
			if err != nil {
				return
			}
			data.Write(buf[:k])
		}
	}()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	<-done
	records := parseRecords(t, bytes.TrimRight(data.Bytes(), "\n"))
	summary := records[len(records)-1]
	shown := uint64(len(records) - 1)
	if summary.LostByReason["ring_full"] == 0 {
		t.Fatalf("nothing was lost, so this test shows nothing: %v", stderr.String())
	}
	if lost := summary.LostByReason["ring_full"]; shown+lost != n+1 {
		t.Errorf("%d shown and %d lost, want %d together; %v", shown, lost, n+1, stderr.String())
	}
	if summary.Events != shown {
		t.Errorf("summary says %d events, %d were written", summary.Events, shown)
	}
	if summary.LostByReason["unexplained"] != 0 {
		t.Errorf("sequence numbers and counters disagree: %v", stderr.String())
	}
}

// childless says whether a process has no child that still runs.
func childless(pid int) bool {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return false
	}
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range all {
		b, _ := os.ReadFile(f)
		children = append(children, b...)
	}
	for _, c := range strings.Fields(string(children)) {
		stat, err := os.ReadFile("/proc/" + c + "/stat")
		if err == nil && !bytes.Contains(stat, []byte(") Z ")) {
			return false
		}
	}
	return true
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited 30 s for %s", what)
}

// The two ways to hook system calls show the same.
func TestKernelExecHooks(t *testing.T) {
	needExec(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.FetchAtomics)
	script := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n/nonexistent/program a b\nexec true '' x\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	type shown struct {
		Filename, Errno string
		Argv, Flags     []string
		Timed           bool
	}
	show := func(hook string) (all []shown) {
		for _, args := range [][]string{
			{script, "x"},
			{as(t, "role-words"), truePath(t), "3000", "20"},
			{as(t, "role-words"), "/nonexistent/program", "3000", "20"},
			{as(t, "role-memfd"), truePath(t), "memfd"},
			{as(t, "role-thread"), truePath(t), "thread"},
		} {
			got := traceJSON(t, append([]string{"-x", "--hook", hook, "--"}, args...)...)
			for _, r := range got.records[1:] {
				all = append(all, shown{text(r.Filename), text(r.Errno), r.argv(), r.Flags, r.ExectimeNS != nil})
			}
			if got.summary.Lost != 0 {
				t.Errorf("--hook %s: %s", hook, got.stderr)
			}
		}
		return all
	}
	raw := show("raw_tp")
	if len(raw) < 5 {
		t.Fatalf("%d records", len(raw))
	}
	if diff := cmp.Diff(raw, show("tracepoint")); diff != "" {
		t.Errorf("raw_tp and tracepoint differ (-raw_tp +tracepoint):\n%.2000s", diff)
	}
}
