package proc

import (
	"fmt"
	"testing"
)

func argsOf(l life) string {
	if l.argued == nil {
		return "none"
	}
	return fmt.Sprintf("%q", l.argued.args)
}

func TestLives(t *testing.T) {
	const pid, child = 10, 11
	asked := func(of uint32) ([]byte, bool, bool) { return []byte("found\x00"), false, of == pid }
	for _, c := range []struct {
		name string
		ask  Arguments
		do   func(l *lives)
		of   end
		args string
		took uint64 // since the exec, 0 if it is not known
	}{
		{"nothing heard", nil, func(*lives) {}, end{pid: pid, time: 9}, "none", 0},
		{"an exec", nil, func(l *lives) { l.execed(pid, 5, 1, []byte("a\x00"), false) }, end{pid: pid, start: 4, time: 9, execID: 1}, `"a\x00"`, 4},
		{"two execs", nil, func(l *lives) {
			l.execed(pid, 5, 1, []byte("a\x00"), false)
			l.execed(pid, 6, 2, []byte("b\x00"), false)
		}, end{pid: pid, start: 4, time: 9, execID: 2}, `"b\x00"`, 3},
		{"an exec that was lost", nil, func(l *lives) { l.execed(pid, 5, 1, []byte("a\x00"), false) }, end{pid: pid, start: 4, time: 9, execID: 2}, "none", 0},
		{"the exec of an earlier process of that id", nil, func(l *lives) { l.execed(pid, 5, 1, []byte("a\x00"), false) }, end{pid: pid, start: 7, time: 9, execID: 1}, "none", 0},
		{"a child has its parent's", nil, func(l *lives) {
			l.execed(pid, 5, 1, []byte("a\x00"), false)
			l.forked(&fork{time: 6, pid: child, ppid: pid, execID: 1})
		}, end{pid: child, start: 6, time: 9, execID: 1}, `"a\x00"`, 0},
		{"not what its parent became later", nil, func(l *lives) {
			l.execed(pid, 5, 1, []byte("a\x00"), false)
			l.forked(&fork{time: 6, pid: child, ppid: pid, execID: 1})
			l.execed(pid, 7, 2, []byte("b\x00"), false)
			l.ended(&end{pid: pid, start: 4, time: 8, execID: 2})
		}, end{pid: child, start: 6, time: 9, execID: 1}, `"a\x00"`, 0},
		{"a parent whose exec was lost", nil, func(l *lives) {
			l.execed(pid, 5, 1, []byte("a\x00"), false)
			l.forked(&fork{time: 6, pid: child, ppid: pid, execID: 2})
		}, end{pid: child, start: 6, time: 9, execID: 2}, "none", 0},
		{"seeded", nil, func(l *lives) { l.seed(pid, []byte("s\x00"), false) }, end{pid: pid, start: 1, time: 9, execID: 3}, `"s\x00"`, 0},
		{"the child of a seeded one", nil, func(l *lives) {
			l.seed(pid, []byte("s\x00"), false)
			l.forked(&fork{time: 6, pid: child, ppid: pid, execID: 3})
		}, end{pid: child, start: 6, time: 9, execID: 3}, `"s\x00"`, 0},
		{"seeded after its exec was heard of", nil, func(l *lives) {
			l.execed(pid, 5, 1, []byte("a\x00"), false)
			l.seed(pid, []byte("s\x00"), false)
		}, end{pid: pid, start: 4, time: 9, execID: 1}, `"a\x00"`, 4},
		{"asked for", asked, func(l *lives) { l.forked(&fork{time: 6, pid: child, ppid: pid, execID: 3}) }, end{pid: child, start: 6, time: 9, execID: 3}, `"found\x00"`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLives(true, c.ask)
			c.do(l)
			was := l.ended(&c.of)
			took, _ := was.duration(&c.of)
			if argsOf(was) != c.args || took != c.took {
				t.Errorf("arguments %s, since exec %d; want %s, %d", argsOf(was), took, c.args, c.took)
			}
			for _, id := range []uint32{pid, child} {
				l.ended(&end{pid: id})
			}
			if len(l.of) != 0 || l.bytes != 0 {
				t.Errorf("%d processes and %d bytes of arguments are left", len(l.of), l.bytes)
			}
		})
	}
}

func TestLivesAreBounded(t *testing.T) {
	l := newLives(true, nil)
	big := make([]byte, maxArgBytes/2+1)
	l.execed(1, 1, 1, big, false)
	l.execed(2, 1, 1, big, false)
	if l.refused != 1 || l.bytes != len(big) {
		t.Errorf("%d refused, %d bytes kept", l.refused, l.bytes)
	}
	l = newLives(false, nil)
	for pid := range uint32(maxLives + 1) {
		l.execed(pid, 1, 1, big, false)
	}
	if l.forgot != maxLives || len(l.of) != 1 || l.bytes != 0 {
		t.Errorf("%d forgotten, %d there with %d bytes", l.forgot, len(l.of), l.bytes)
	}
}
