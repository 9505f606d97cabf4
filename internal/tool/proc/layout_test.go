package proc

import (
	"testing"

	"github.com/cilium/ebpf/btf"

	"sonde/internal/tool/exec"
)

// proc.h and decode.go say the same thing twice. Here the types that clang wrote into the object are held against the
// constants of decode.go, member by member.
func TestLayout(t *testing.T) {
	type member struct{ at, size uint32 }
	const header = 24
	for _, events := range []bool{false, true} {
		coll, err := exec.Object(events)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name    string
			size    uint32
			members map[string]member
		}{
			{"exit_record", exitSize, map[string]member{
				"start": {exitStart, 8}, "age": {exitAge, 8}, "max_rss": {exitMaxRSS, 8}, "cpu": {exitCPU, 8}, "min_flt": {exitMinFlt, 8},
				"maj_flt": {exitMajFlt, 8}, "rchar": {exitRchar, 8}, "wchar": {exitWchar, 8}, "read_bytes": {exitReadBytes, 8},
				"write_bytes": {exitWriteBytes, 8}, "pid": {exitPID, 4}, "tid": {exitTID, 4}, "ppid": {exitPPID, 4}, "uid": {exitUID, 4},
				"code": {exitCode, 4}, "exec_id": {exitExecID, 4}, "flags": {exitFlags, 4}, "pad": {exitPad, 4}, "comm": {exitComm, 16},
			}},
			{"fork_record", forkSize, map[string]member{
				"pid": {forkPID, 4}, "ppid": {forkPPID, 4}, "tid": {forkTID, 4}, "uid": {forkUID, 4}, "exec_id": {forkExecID, 4},
				"pad": {forkPad, 4}, "comm": {forkComm, 16},
			}},
		} {
			var s *btf.Struct
			if err := coll.Types.TypeByName(c.name, &s); err != nil {
				t.Fatal(err)
			}
			if s.Size != header+c.size {
				t.Errorf("struct %s has %d bytes, decode.go counts %d behind the header", s.Name, s.Size, c.size)
			}
			for _, m := range s.Members[1:] {
				size, err := btf.Sizeof(m.Type)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := (member{m.Offset.Bytes() - header, uint32(size)}), c.members[m.Name]; got != want {
					t.Errorf("%s.%s: %d bytes at %d, decode.go reads %d at %d", s.Name, m.Name, got.size, got.at, want.size, want.at)
				}
				delete(c.members, m.Name)
			}
			for name := range c.members {
				t.Errorf("%s.%s: decode.go reads it, and proc.h does not have it", c.name, name)
			}
		}
	}
}
