package proc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	want := end{
		start: 2, age: 3, maxRSS: 4, cpu: 5, minFlt: 6, majFlt: 7, rchar: 8, wchar: 9, readBytes: 10, writeBytes: 11,
		pid: 12, tid: 13, ppid: 14, uid: 15, code: 16, execID: 17, flags: 18, comm: comm("nineteen"),
	}
	var got end
	if err := got.decode(want.record(1).Body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(end{})); diff != "" {
		t.Error("end (-want +got):\n", diff)
	}
	wantFork := fork{pid: 1, ppid: 2, tid: 3, uid: 4, execID: 5, comm: comm("six")}
	var gotFork fork
	if err := gotFork.decode(wantFork.record(1).Body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantFork, gotFork, cmp.AllowUnexported(fork{})); diff != "" {
		t.Error("fork (-want +got):\n", diff)
	}
	for n := range exitSize + 2 {
		if err := got.decode(make([]byte, n)); (err == nil) != (n == exitSize) {
			t.Errorf("exit record of %d bytes: %v", n, err)
		}
		if err := gotFork.decode(make([]byte, n)); (err == nil) != (n == forkSize) {
			t.Errorf("fork record of %d bytes: %v", n, err)
		}
	}
}

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		code           uint32
		status, signal uint32
		core           bool
		name           string
	}{
		{0, 0, 0, false, "SIG0"},
		{255 << 8, 255, 0, false, "SIG0"},
		{9, 0, 9, false, "SIGKILL"},
		{11 | 0x80, 0, 11, true, "SIGSEGV"},
		{40, 0, 40, false, "SIG40"},
	} {
		e := end{code: c.code}
		if e.status() != c.status || e.signal() != c.signal || e.core() != c.core || string(signalName(e.signal())) != c.name {
			t.Errorf("%#x: status %d, signal %d (%s), core %v; want %+v", c.code, e.status(), e.signal(), signalName(e.signal()), e.core(), c)
		}
	}
}
