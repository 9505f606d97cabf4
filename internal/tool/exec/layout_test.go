package exec

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// exec.h and decode.go say the same thing twice. Here the types that clang wrote into the object are held against the
// constants of decode.go, member by member.
func TestLayout(t *testing.T) {
	t.Run("raw tracepoints", func(t *testing.T) { checkLayout(t, _BpfBytes) })
	t.Run("events", func(t *testing.T) { checkLayout(t, _BpfEventsBytes) })
}

func checkLayout(t *testing.T, object []byte) {
	t.Helper()
	coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	const header = 24
	type member struct{ at, size uint32 }
	for _, c := range []struct {
		name    string
		fixed   uint32
		members map[string]member
	}{
		{"exec_record", execFixed, map[string]member{
			"end": {execEnd, 8}, "cgroup_id": {execCgroupID, 8}, "css_set": {execCSSSet, 8}, "ino": {execIno, 8},
			"unreadable": {execUnreadable, 8}, "dev": {execDev, 4}, "mntns": {execMntns, 4}, "pidns": {execPidns, 4},
			"pid": {execPID, 4}, "tid": {execTID, 4}, "ppid": {execPPID, 4}, "uid": {execUID, 4}, "euid": {execEUID, 4},
			"gid": {execGID, 4}, "sid": {execSID, 4}, "ret": {execRet, 4}, "args_total": {execArgsTotal, 4},
			"args_len": {execArgsLen, 4}, "flags": {execFlags, 2}, "filename_len": {execFilenameLen, 2},
			"exe_len": {execExeLen, 2}, "cwd_len": {execCwdLen, 2}, "comm": {execComm, 16}, "pcomm": {execPComm, 16},
			"tty": {execTTY, 16}, "exec_id": {execExecID, 4},
		}},
		{"args_record", argsFixed, map[string]member{
			"seq": {argsSeq, 8}, "len": {argsLen, 4}, "last": {argsLast, 4}, "unreadable": {argsUnreadable, 8},
			"flags": {argsFlags, 4}, "pad": {argsFlags + 4, 4},
		}},
	} {
		var s *btf.Struct
		if err := coll.Types.TypeByName(c.name, &s); err != nil {
			t.Fatal(err)
		}
		if s.Size != header+c.fixed {
			t.Errorf("struct %s has %d bytes, decode.go counts %d behind the header", s.Name, s.Size, c.fixed)
		}
		for i, m := range s.Members {
			size, err := btf.Sizeof(m.Type)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				if m.Name != "h" || size != header {
					t.Errorf("struct %s begins with %q of %d bytes, want the header of %d", s.Name, m.Name, size, header)
				}
				continue
			}
			want, ok := c.members[m.Name]
			if !ok {
				t.Errorf("%s.%s: decode.go does not know it", s.Name, m.Name)
				continue
			}
			delete(c.members, m.Name)
			if got := (member{m.Offset.Bytes() - header, uint32(size)}); got != want {
				t.Errorf("%s.%s: %d bytes at %d, decode.go reads %d at %d", s.Name, m.Name, got.size, got.at, want.size, want.at)
			}
		}
		for name := range c.members {
			t.Errorf("%s.%s: decode.go reads it, and exec.h does not have it", c.name, name)
		}
	}
}
