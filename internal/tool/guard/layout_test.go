package guard

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"sonde/internal/fileevent"
)

// guard.h and the Go of this package say the same thing twice. Here the types that clang wrote into the object are held
// against the structs and constants of this package.
func TestLayout(t *testing.T) {
	coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(_BpfBytes))
	if err != nil {
		t.Fatal(err)
	}
	structOf := func(name string) *btf.Struct {
		var s *btf.Struct
		if err := coll.Types.TypeByName(name, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, value := range map[string]any{
		"guard_object": tableObject{}, "guard_list": tableList{}, "guard_watched": tableWatched{}, "guard_entry": tableEntry{},
		"guard_name": tableName{}, "guard_tree": tableTree{}, "guard_glob": tableGlob{}, "guard_rule": tableRule{},
		"guard_who": tableWho{}, "guard_counters": Counts{}, "guard_step": tableStep{}, "guard_call": tableCall{},
	} {
		s := structOf(name)
		if size := binary.Size(value); uint32(size) != s.Size {
			t.Errorf("struct %s has %d bytes, its Go type %d", name, s.Size, size)
		}
	}

	const header = 24
	record := structOf("guard_record")
	base := uint32(header + fileevent.Fixed)
	if record.Size != base+ownSize {
		t.Errorf("struct guard_record has %d bytes, decode.go counts %d", record.Size, base+ownSize)
	}
	want := map[string]uint32{
		"rule": atRule, "generation": atGeneration, "access": atAccess, "action": atAction, "outcome": atOutcome,
		"mechanism": atMechanism, "match": atMatch, "error": atError,
	}
	for i, m := range record.Members {
		if i == 0 {
			if size, err := btf.Sizeof(m.Type); err != nil || m.Name != "f" || uint32(size) != base {
				t.Errorf("it begins with %q of %d bytes, want struct file_event of %d (%v)", m.Name, size, base, err)
			}
			continue
		}
		at, ok := want[m.Name]
		if !ok {
			t.Errorf("decode.go does not know %s", m.Name)
			continue
		}
		delete(want, m.Name)
		if got := m.Offset.Bytes() - base; got != at {
			t.Errorf("%s lies at %d, decode.go reads it at %d", m.Name, got, at)
		}
	}
	for name := range want {
		t.Errorf("decode.go reads %s, and guard.h does not have it", name)
	}
}

// Offsets of the members of the tables, where the Go types have no padding of their own.
func TestTableMembers(t *testing.T) {
	coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(_BpfBytes))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value any
		want  map[string]byte // the byte that each member is to begin with
	}{
		{"guard_object", tableObject{1, Object{2, 3}}, map[string]byte{"generation": 1, "dev": 2, "ino": 3}},
		{"guard_entry", tableEntry{1, Object{2, 3}, 4}, map[string]byte{"generation": 1, "dev": 2, "ino": 3, "name": 4}},
		{"guard_name", tableName{Generation: 1, Name: 2}, map[string]byte{"generation": 1, "name": 2}},
		{"guard_tree", tableTree{List: tableList{1, 0}, Globs: 2, Seen: 3, InodeGeneration: 4}, map[string]byte{"list": 1, "globs": 2, "seen": 3, "inode_generation": 4}},
		{"guard_watched", tableWatched{List: tableList{1, 0}, Seen: 2, InodeGeneration: 3}, map[string]byte{"list": 1, "seen": 2, "inode_generation": 3}},
		{"guard_glob", tableGlob{Next: [256]uint64{1}, Stay: 2, Accept: 3, Rule: 4, List: tableList{5, 0}}, map[string]byte{"next": 1, "stay": 2, "accept": 3, "rule": 4, "list": 5}},
		{"guard_rule", tableRule{Access: 1, Action: 2, Errno: 3, Excepts: 4, Who: [5]uint32{5}}, map[string]byte{"access": 1, "action": 2, "error": 3, "excepts": 4, "who": 5}},
		{"guard_who", tableWho{Generation: 1, Who: 2, Value: [2]uint64{3}}, map[string]byte{"generation": 1, "who": 2, "value": 3}},
		{"guard_counters", Counts{1, 2, 3, 4, 5, 6, 7, 8}, map[string]byte{
			"matches": 1, "denied": 2, "killed": 3, "logged": 4, "limited": 5, "dry": 6, "allowed": 7, "unsent": 8,
		}},
	} {
		var buf bytes.Buffer
		if err := binary.Write(&buf, binary.LittleEndian, c.value); err != nil {
			t.Fatal(err)
		}
		var s *btf.Struct
		if err := coll.Types.TypeByName(c.name, &s); err != nil {
			t.Fatal(err)
		}
		for _, m := range s.Members {
			if want, ok := c.want[m.Name]; ok {
				if got := buf.Bytes()[m.Offset.Bytes()]; got != want {
					t.Errorf("%s.%s, at %d: %d, want %d", c.name, m.Name, m.Offset.Bytes(), got, want)
				}
				delete(c.want, m.Name)
			}
		}
		for name := range c.want {
			t.Errorf("%s has no %s", c.name, name)
		}
	}
}

// The limits of guard.h, as the programs' code has them, are not in the object's types; those that are sizes are.
func TestLimits(t *testing.T) {
	coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(_BpfBytes))
	if err != nil {
		t.Fatal(err)
	}
	if n := coll.Maps[bpfMapScratch].MaxEntries; n != pathSlots {
		t.Errorf("%d slots of scratch, spec.go counts %d", n, pathSlots)
	}
}
