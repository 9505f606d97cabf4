//go:build amd64

package cli

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/attach"
	"sonde/internal/vmtest"
)

// tiny is a program written by hand, small enough for no assembler and no 32-bit compiler to be needed: code first, data
// behind it, all in one segment that may do everything.
type tiny struct {
	wide bool // ELF64, though its code stays that of a 32-bit program
	code []byte
	data []byte
}

const (
	tinyBase = 0x08048000
	tinyData = 0x200 // where the data begins, in the file as in memory
)

// put appends data and returns its address.
func (p *tiny) put(b ...byte) uint32 {
	at := uint32(tinyBase + tinyData + len(p.data))
	p.data = append(p.data, b...)
	return at
}

func (p *tiny) string(s string) uint32 { return p.put(append([]byte(s), 0)...) }

// vector puts the strings and an array of 32-bit pointers to them that ends with 0.
func (p *tiny) vector(words ...string) uint32 {
	var array []byte
	for _, w := range words {
		array = binary.LittleEndian.AppendUint32(array, p.string(w))
	}
	return p.put(binary.LittleEndian.AppendUint32(array, 0)...)
}

// Registers by their number in "mov r32, imm32" (0xb8+number).
const (
	eax = 0
	ecx = 1
	edx = 2
	ebx = 3
	esi = 6
	edi = 7
)

func (p *tiny) mov(reg byte, value uint32) {
	p.code = binary.LittleEndian.AppendUint32(append(p.code, 0xb8+reg), value)
}

// call is "int 0x80": system call nr of the i386 table with these arguments.
func (p *tiny) call(nr uint32, args ...uint32) {
	p.mov(eax, nr)
	for i, reg := range []byte{ebx, ecx, edx, esi, edi}[:len(args)] {
		p.mov(reg, args[i])
	}
	p.code = append(p.code, 0xcd, 0x80)
}

// exitWithError ends with the error of the call before as its status.
func (p *tiny) exitWithError() {
	p.code = append(p.code,
		0xf7, 0xd8, // neg eax
		0x89, 0xc3, // mov ebx, eax
		0xb8, 1, 0, 0, 0, // mov eax, exit
		0xcd, 0x80, // int 0x80
	)
}

// The i386 system calls.
const (
	i386Exit     = 1
	i386Waitpid  = 7
	i386Execve   = 11
	i386Clone    = 120
	i386Execveat = 358
	atFDCWD      = 0xffffff9c
)

// write makes the program a file and returns its path.
func (p *tiny) write(t *testing.T, name string) string {
	t.Helper()
	le := binary.LittleEndian
	size := uint32(tinyData + len(p.data))
	class, machine, header, segment := byte(1), uint16(3), uint32(52), uint32(32) // EM_386
	if p.wide {
		class, machine, header, segment = 2, 62, 64, 56 // EM_X86_64
	}
	word := func(b []byte, v uint32) []byte { // an address or an offset
		if p.wide {
			return le.AppendUint64(b, uint64(v))
		}
		return le.AppendUint32(b, v)
	}
	b := []byte{0x7f, 'E', 'L', 'F', class, 1, 1, 15: 0}
	b = le.AppendUint16(b, 2) // ET_EXEC
	b = le.AppendUint16(b, machine)
	b = le.AppendUint32(b, 1)
	b = word(b, tinyBase+header+segment) // entry
	b = word(b, header)                  // of the one program header
	b = word(b, 0)                       // no sections
	b = le.AppendUint32(b, 0)
	for _, v := range []uint32{header, segment, 1, 0, 0, 0} {
		b = le.AppendUint16(b, uint16(v))
	}
	const load, all = 1, 7 // PT_LOAD; read, write, execute
	b = le.AppendUint32(b, load)
	if p.wide {
		b = le.AppendUint32(b, all)
	}
	for _, v := range []uint32{0, tinyBase, tinyBase, size, size} {
		b = word(b, v)
	}
	if !p.wide {
		b = le.AppendUint32(b, all)
	}
	b = word(b, 0x1000)
	b = append(b, p.code...)
	if len(b) > tinyData {
		t.Fatalf("%d bytes of headers and code do not fit before the data", len(b))
	}
	b = append(b, make([]byte, tinyData-len(b))...)
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, append(b, p.data...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// needCompat skips where the kernel runs no 32-bit programs. All guests' kernels do.
func needCompat(t *testing.T) {
	t.Helper()
	needExec(t)
	var p tiny
	p.call(i386Exit, 42)
	var exit *exec.ExitError
	switch err := exec.Command(p.write(t, "try32")).Run(); {
	case errors.As(err, &exit) && exit.ExitCode() == 42:
	case errors.Is(err, syscall.ENOEXEC) && vmtest.Guest() == "":
		t.Skip("kernel lacks ia32 emulation")
	default:
		t.Fatalf("a 32-bit program that exits with 42: %v", err)
	}
}

func isCompat(r *record) bool { return slices.Contains(r.Flags, "compat") }

func TestKernelCompatProgram(t *testing.T) {
	needCompat(t)
	var p tiny
	p.call(i386Exit, 7)
	path := p.write(t, "prog32")
	got := traceJSON(t, "--", path, "one", "", "two words")
	if got.status != 7 || len(got.records) != 1 {
		t.Fatalf("status %d and %d records, want 7 and 1; stderr %s\n%s", got.status, len(got.records), got.stderr, got.dump())
	}
	r := got.records[0]
	if diff := cmp.Diff([]string{path, "one", "", "two words"}, r.argv()); diff != "" {
		t.Error("argv (-want +got):\n", diff)
	}
	if !isCompat(&r) || r.Ret != 0 || r.ExectimeNS == nil || *r.ExectimeNS <= 0 || text(r.Filename) != path || text(r.Exe) != path || r.Comm != "prog32" || r.ArgvTruncated {
		t.Errorf("want a timed success of a 32-bit program %s: %v", path, &r)
	}
}

func TestKernelCompatScript(t *testing.T) {
	needCompat(t)
	var p tiny
	p.call(i386Exit, 0)
	path := p.write(t, "interp32")
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!"+path+" opt\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := traceJSON(t, "--", script, "x")
	r := got.only(t, "the script", isCompat)
	if diff := cmp.Diff([]string{path, "opt", script, "x"}, r.argv()); diff != "" {
		t.Error("argv (-want +got):\n", diff)
	}
	if !slices.Contains(r.Flags, "script") || text(r.Filename) != script || text(r.Exe) != path {
		t.Errorf("want a script %s run by the 32-bit %s: %v", script, path, r)
	}
}

// 32-bit code that executes a 64-bit program, and a 32-bit one, and what does not exist; in a 32-bit process and, by the
// same "int 0x80", in a 64-bit one.
func TestKernelCompatCaller(t *testing.T) {
	needCompat(t)
	// There sonde takes the syscalls:* events, and those do not tell of what 32-bit code calls: only of programs in place.
	blind := attach.PreemptsRawTracepoints()
	var end tiny
	end.call(i386Exit, 0)
	target32 := end.write(t, "target32")
	target64 := truePath(t)
	long := strings.Repeat("long ", 2000) // more than one chunk of what is sent
	for _, c := range []struct {
		name   string
		wide   bool
		nr     uint32
		target string
		argv   []string
		status int
		errno  string
		compat bool // of the exec that it does
	}{
		{name: "execve of 64 bits", nr: i386Execve, target: target64, argv: []string{"true", "", "from 32", long}},
		{name: "execveat of 64 bits", nr: i386Execveat, target: target64, argv: []string{"true", "", "from 32"}},
		{name: "execve of 32 bits", nr: i386Execve, target: target32, argv: []string{"t", "", "32 to 32"}, compat: true},
		{name: "execve that fails", nr: i386Execve, target: "/nonexistent/32", argv: []string{"a", "", "b c", long, "d"}, status: 2, errno: "ENOENT", compat: true},
		{name: "execveat that fails", nr: i386Execveat, target: "/nonexistent/32", argv: []string{"a"}, status: 2, errno: "ENOENT", compat: true},
		{name: "execve that fails, no arguments", nr: i386Execve, target: "/nonexistent/32", argv: nil, status: 2, errno: "ENOENT", compat: true},
		{name: "64-bit process, execve of 64 bits", wide: true, nr: i386Execve, target: target64, argv: []string{"true", "by int 0x80"}},
		{name: "64-bit process, execve of 32 bits", wide: true, nr: i386Execve, target: target32, argv: []string{"t", "by int 0x80"}, compat: true},
		{name: "64-bit process, execve that fails", wide: true, nr: i386Execve, target: "/nonexistent/32", argv: []string{"a", "", "b"}, status: 2, errno: "ENOENT", compat: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tiny{wide: c.wide}
			path, argv := p.string(c.target), p.vector(c.argv...)
			if c.nr == i386Execveat {
				p.call(c.nr, atFDCWD, path, argv, 0, 0)
			} else {
				p.call(c.nr, path, argv, 0)
			}
			p.exitWithError()
			caller := p.write(t, "caller")
			got := traceJSON(t, "-x", "--", caller)
			want := 2
			if blind && c.errno != "" {
				want = 1
			}
			if got.status != c.status || len(got.records) != want || got.summary.Lost != 0 {
				t.Fatalf("status %d, want %d; %d records, want %d; stderr %s\n%s", got.status, c.status, len(got.records), want, got.stderr, got.dump())
			}
			if first := &got.records[0]; isCompat(first) == c.wide || text(first.Filename) != caller {
				t.Errorf("the caller itself: %v", first)
			}
			if want == 1 {
				return
			}
			r := &got.records[1]
			if diff := cmp.Diff(append([]string{}, c.argv...), r.argv()); diff != "" || r.ArgvTruncated {
				t.Errorf("truncated %v, argv (-want +got):\n%s", r.ArgvTruncated, diff)
			}
			errno := "<null>"
			if c.errno != "" {
				errno = c.errno
			}
			timed := r.ExectimeNS != nil && *r.ExectimeNS > 0
			if text(r.Errno) != errno || (r.Ret < 0) != (c.errno != "") || isCompat(r) != c.compat || text(r.Filename) != c.target ||
				timed == blind || slices.Contains(r.Flags, "untimed") != blind {
				t.Errorf("want errno %s of %s, compat %v, timed %v: %v", errno, c.target, c.compat, !blind, r)
			}
		})
	}
}

// Two processes in one address space, neither a thread of the other nor waiting for it: each exec is its own, and what
// the one that stays behind executes later is still read from where it lies.
func TestKernelCompatSharedMemory(t *testing.T) {
	needCompat(t)
	const cloneVM, sigchld = 0x100, 17
	target := truePath(t)
	const missing = "/nonexistent/32"
	var p, child, parent tiny
	p.put(make([]byte, 4096)...) // the child's stack
	stack := p.put(0)
	at, nothing := p.string(target), p.string(missing)
	ofChild, ofParent := p.vector("true", "child"), p.vector("true", "parent")
	child.call(i386Execve, nothing, ofChild, 0)
	child.call(i386Execve, at, ofChild, 0)
	child.call(i386Exit, 1)
	parent.code = append(parent.code, 0x89, 0xc3) // mov ebx, eax: the child
	parent.mov(eax, i386Waitpid)
	parent.mov(ecx, 0)
	parent.mov(edx, 0)
	parent.code = append(parent.code, 0xcd, 0x80)
	parent.call(i386Execve, nothing, ofParent, 0)
	parent.call(i386Execve, at, ofParent, 0)
	parent.call(i386Exit, 1)
	p.call(i386Clone, cloneVM|sigchld, stack&^15)
	p.code = append(p.code, 0x85, 0xc0, 0x75, byte(len(child.code))) // test eax, eax; jnz behind the child's code
	p.code = append(append(p.code, child.code...), parent.code...)
	got := traceJSON(t, "-x", "--", p.write(t, "shared"))
	if got.status != 0 {
		t.Fatalf("status %d; stderr %s\n%s", got.status, got.stderr, got.dump())
	}
	var execs []string
	pids := map[string]int{}
	for i := range got.records {
		if r := &got.records[i]; len(r.Argv) == 2 {
			execs = append(execs, strings.Join(append(r.argv(), text(r.Filename), text(r.Errno)), " "))
			pids[r.argv()[1]] = r.PID
		}
	}
	want := []string{
		"true child " + missing + " ENOENT", "true child " + target + " <null>",
		"true parent " + missing + " ENOENT", "true parent " + target + " <null>",
	}
	if attach.PreemptsRawTracepoints() {
		want = []string{want[1], want[3]} // see TestKernelCompatCaller
	}
	if diff := cmp.Diff(want, execs); diff != "" || pids["child"] == pids["parent"] {
		t.Errorf("pids %v; execs (-want +got):\n%s", pids, diff)
	}
}
