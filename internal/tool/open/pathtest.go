package open

import (
	"strings"

	"golang.org/x/sys/unix"
)

// What the programs can tell of a path: wanted.bpf.h.
const (
	pathTests = 4
	testBytes = 32
)

const (
	nameAny = iota
	nameIs
	nameEnds
	nameBegins
)

// pathTest is struct path_test: what every path that a pattern matches has.
type pathTest struct {
	Name, Tail       [testBytes]byte
	NameLen, TailLen uint32
	How              uint32
	_                uint32
}

// tests are what the programs are to ask of a file that was reached: what passes none of them matches none of the patterns. None where
// one of the patterns leaves nothing to ask, or there are too many.
func (g *Globs) tests() (list []pathTest) {
	if g == nil || len(g.want) > pathTests {
		return nil
	}
	for _, p := range g.want {
		t, ok := testOf(p)
		if !ok {
			return nil
		}
		list = append(list, t)
	}
	return list
}

// testOf says what paths have that a pattern matches; ok is false where that is nothing that can be asked.
func testOf(p string) (t pathTest, ok bool) {
	if strings.ContainsAny(p, `[\`) {
		return t, false
	}
	last := p[strings.LastIndexByte(p, '/')+1:]
	switch first, end := strings.IndexAny(last, "*?"), strings.LastIndexAny(last, "*?"); {
	case last == "" || len(last) > unix.NAME_MAX:
	case first < 0 && len(last) <= testBytes:
		t.setName(nameIs, last)
	case end+1 < len(last):
		last = last[end+1:]
		t.setName(nameEnds, last[max(0, len(last)-testBytes):])
	case first > 0 && !strings.Contains(last, "**"): // which also stands for more names
		t.setName(nameBegins, last[:min(first, testBytes)])
	}
	// The directories that it begins with, the outermost last.
	names := strings.Split(p, "/")
	if len(names) > 2 && names[0] == "" {
		var tail string
		for _, name := range names[1 : len(names)-1] {
			if name == "" || strings.ContainsAny(name, "*?") || len(name)+1+len(tail) > testBytes {
				break
			}
			tail = name + "\x00" + tail
		}
		t.TailLen = uint32(copy(t.Tail[:], tail))
	}
	return t, t.How != nameAny || t.TailLen > 0
}

func (t *pathTest) setName(how uint32, bytes string) {
	t.How, t.NameLen = how, uint32(copy(t.Name[:], bytes))
}
