package guard

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"sonde/internal/fileevent"
	"sonde/internal/tool/guard/rule"
)

// body makes what Decode reads: a record with these names as the file, innermost first.
func body(own [ownSize]byte, names string) []byte {
	b := make([]byte, fileevent.Fixed)
	const atIno, atPID, atFileLen, atMarks = 24, 44, 78, 68
	binary.NativeEndian.PutUint64(b[atIno:], 7)
	binary.NativeEndian.PutUint32(b[atPID:], 42)
	binary.NativeEndian.PutUint32(b[atMarks:], uint32(fileevent.Walked|fileevent.NoPath))
	binary.NativeEndian.PutUint16(b[atFileLen:], uint16(len(names)))
	return append(append(b, own[:]...), names...)
}

var sampleOwn = [ownSize]byte{atRule: 3, atGeneration: 9, atAccess: byte(rule.Write | rule.Truncate), atAction: byte(rule.DenyKill),
	atOutcome: byte(Denied), atMechanism: 2, atMatch: byte(ByTree), atError: 13}

func TestDecode(t *testing.T) {
	var e Event
	if err := e.Decode(body(sampleOwn, "shadow\x00etc\x00")); err != nil {
		t.Fatal(err)
	}
	if e.PID != 42 || e.Rule != 3 || e.Generation != 9 || e.Access != rule.Write|rule.Truncate || e.Action != rule.DenyKill ||
		e.Outcome != Denied || e.Mechanism != FmodRet || e.Match != ByTree {
		t.Errorf("%+v", e)
	}
	row := newRowMaker(0).make(&e, "secrets")
	text := func(key string) string {
		v := row.Values[RowType.Index(key)]
		if v.List == nil {
			return string(v.Bytes)
		}
		s := ""
		for _, w := range v.List {
			s += string(w) + ","
		}
		return s
	}
	for key, want := range map[string]string{
		"file": "/etc/shadow", "rule": "secrets", "action": "deny+kill", "outcome": "denied", "mechanism": "fmod_ret",
		"match": "tree", "access": "write,truncate,",
	} {
		if got := text(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// What is to be made has a name and no inode yet.
func TestRowOfWhatIsNotThere(t *testing.T) {
	b := body(sampleOwn, "new\x00tmp\x00")
	binary.NativeEndian.PutUint64(b[24:], 0)
	var e Event
	if err := e.Decode(b); err != nil {
		t.Fatal(err)
	}
	row := newRowMaker(0).make(&e, "")
	if v := row.Values[fFile]; v.Null || string(v.Bytes) != "/tmp/new" {
		t.Errorf("file %+v", v)
	}
	if !row.Values[RowType.Index("ino")].Null || !row.Values[RowType.Index("rule")].Null {
		t.Error("an inode, or a rule that is not known")
	}
}

// Above the root of its file system a path goes on with where that is mounted.
func TestRowBelowMount(t *testing.T) {
	table := filepath.Join(t.TempDir(), "mountinfo")
	if err := os.WriteFile(table, []byte("1 0 8:1 / / rw - ext4 x rw\n2 1 0:30 /part /part rw - tmpfs x rw\n"+
		"3 1 0:30 / /with\\040blank rw - tmpfs x rw\n4 1 0:30 / /later rw - tmpfs x rw\nnonsense\n5 1 x:y / /z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := newRowMaker(0)
	rows.mounts.table = table
	for dev, want := range map[uint32]string{8<<20 | 1: "/etc/shadow", 30: "/with blank/etc/shadow", 31: "/etc/shadow"} {
		b := body(sampleOwn, "shadow\x00etc\x00/\x00")
		binary.NativeEndian.PutUint32(b[40:], dev)
		binary.NativeEndian.PutUint32(b[68:], uint32(fileevent.Walked|fileevent.NoPath|fileevent.Detached))
		var e Event
		if err := e.Decode(b); err != nil {
			t.Fatal(err)
		}
		if v := rows.make(&e, "").Values[fFile]; string(v.Bytes) != want {
			t.Errorf("device %d: %q, want %q", dev, v.Bytes, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"nothing":     func([]byte) []byte { return nil },
		"too short":   func(b []byte) []byte { return b[:fileevent.Fixed+ownSize-1] },
		"cut":         func(b []byte) []byte { return b[:len(b)-1] },
		"outcome":     func(b []byte) []byte { b[fileevent.Fixed+atOutcome] = 200; return b },
		"no outcome":  func(b []byte) []byte { b[fileevent.Fixed+atOutcome] = 0; return b },
		"mechanism":   func(b []byte) []byte { b[fileevent.Fixed+atMechanism] = 5; return b },
		"match":       func(b []byte) []byte { b[fileevent.Fixed+atMatch] = 0; return b },
		"action":      func(b []byte) []byte { b[fileevent.Fixed+atAction] = 6; return b },
		"action none": func(b []byte) []byte { b[fileevent.Fixed+atAction] = 0; return b },
	} {
		var e Event
		if err := e.Decode(change(body(sampleOwn, "a\x00"))); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(body(sampleOwn, "shadow\x00etc\x00"))
	f.Add(body(sampleOwn, ""))
	f.Add([]byte{})
	rows := newRowMaker(0)
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if e.Decode(b) == nil {
			if row := rows.make(&e, "x"); len(row.Values) != len(RowType.Fields) {
				t.Errorf("%d values", len(row.Values))
			}
		}
	})
}
