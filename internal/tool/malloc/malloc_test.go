package malloc

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"sonde/internal/profile"
	"sonde/internal/prog"
	"sonde/internal/tool/malloc/allocator"
)

// stackBody is the body of a record of a stack.
func stackBody(count, direct, end, number uint32, frames ...uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, 0xabc)
	for _, w := range []uint32{7, 8, count, direct, end, number} {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	b = append(b, "name\x00rubbish\x00\x00\x00\x00"...)
	for _, f := range frames {
		b = binary.LittleEndian.AppendUint64(b, f)
	}
	return b
}

func TestDecodeStack(t *testing.T) {
	s, err := decodeStack(prog.Record{Body: stackBody(3, 2, endBroken, 5, 1, 2, 3)})
	if err != nil {
		t.Fatal(err)
	}
	if s.key != (stackKey{0xabc, 7}) || s.tid != 8 || s.comm != "name" || s.end != endBroken || s.number != 5 || s.direct != 2 {
		t.Errorf("%+v", s)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3}, s.frames); diff != "" {
		t.Error(diff)
	}
	for name, body := range map[string][]byte{
		"short": {1, 2}, "too few frames": stackBody(3, 2, 0, 0, 1, 2), "none": stackBody(0, 0, 0, 0), "too many": stackBody(1000, 2, 0, 0, make([]uint64, 1000)...),
		"more direct than there are": stackBody(2, 3, 0, 0, 1, 2),
	} {
		if _, err := decodeStack(prog.Record{Body: body}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(stackBody(3, 2, endRoot, 1, 1, 2, 3))
	f.Add(make([]byte, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeStack(prog.Record{Body: b}); err == nil && (len(s.frames) < 2 || len(s.frames) > maxFrames || s.direct > len(s.frames)) {
			t.Errorf("%+v", s)
		}
		_, _, _ = decodeFiles(prog.Record{Body: b})
		_, _ = decodeTask(prog.Record{Body: b})
	})
}

// The layouts of malloc.h are those that are read and written here.
func TestLayout(t *testing.T) {
	coll, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{
		bpfMapFunctions: functionSize, bpfMapObjects: objectSize, bpfMapPassages: 8 + 24*maxPassages, bpfMapTotals: totalSize, bpfMapLive: blockSize,
	} {
		if got := coll.Maps[name].ValueSize; got != want {
			t.Errorf("values of %s have %d bytes, want %d", name, got, want)
		}
	}
	if coll.Maps[bpfMapTotals].KeySize != keySize || coll.Maps[bpfMapFunctions].MaxEntries != maxFunctions || coll.Maps[bpfMapObjects].MaxEntries != maxObjects {
		t.Error("sizes of tables differ")
	}
	const header = 24
	for name, want := range map[string]uint32{"stack_record": header + stackHead + 8*maxFrames, "build_id": fileSize} {
		var s *btf.Struct
		if err := coll.Types.TypeByName(name, &s); err != nil {
			t.Fatal(err)
		}
		if s.Size != want {
			t.Errorf("struct %s has %d bytes, want %d", name, s.Size, want)
		}
	}
	for i := range maxNumbered {
		if coll.Programs[numbered(i)] == nil {
			t.Errorf("no program %s", numbered(i))
		}
	}
	if coll.Programs[numbered(maxNumbered)] != nil {
		t.Error("there are more programs than are used")
	}
	o := &allocator.Object{Inner: make([]allocator.Range, 20)}
	if got := len(encodeObject(o)); got != objectSize {
		t.Errorf("an object of %d bytes, want %d", got, objectSize)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		names string
		end   uint32
		want  string
		how   profile.End
	}{
		{"malloc leaf main __libc_start_call_main", endBroken, "malloc leaf main __libc_start_call_main", profile.Complete},
		{"malloc main __libc_start_main_impl junk", endBroken, "malloc main __libc_start_main_impl", profile.Complete},
		{"malloc work start_thread", endRoot, "malloc work start_thread", profile.Complete},
		{"malloc strdup", endRoot, "malloc strdup", profile.NoFramePointer},
		{"malloc strdup", endBroken, "malloc strdup", profile.NoFramePointer},
		{"malloc ? ?", endRoot, "malloc ? ?", profile.Complete},
		{"malloc ?", endRoot, "malloc ?", profile.NoFramePointer},
		{"malloc ? ?", endBroken, "malloc ? ?", profile.NoFramePointer},
		{"malloc a b", endFull, "malloc a b", profile.Cut},
		{"", endRoot, "", profile.Missing},
	} {
		var frames []profile.Frame
		for _, name := range strings.Fields(c.names) {
			frames = append(frames, profile.Frame{Name: strings.Trim(name, "?")})
		}
		frames, how := judge(frames, c.end)
		var got []string
		for _, f := range frames {
			name := f.Name
			if name == "" {
				name = "?"
			}
			got = append(got, name)
		}
		if text := strings.Join(got, " "); text != c.want || how != c.how {
			t.Errorf("%s: %s, %d, want %s, %d", c.names, text, how, c.want, c.how)
		}
	}
}

func TestText(t *testing.T) {
	tracer := &Tracer{now: 100e9, rows: newRowMaker(), show: Show{}}
	e := &entry{
		of:  &stack{pid: 5, comm: "a\x1bb", frames: []profile.Frame{{Name: "malloc"}, {Address: 0x1234}}, end: profile.NoFramePointer},
		all: amount{10, 1}, kept: amount{8, 2}, oldest: 25e9, newest: 99e9,
	}
	for _, c := range []struct {
		classic, outstanding bool
		want                 string
	}{
		{false, false, "10 bytes in 1 call; a\\x1bb (5)\n    malloc+0x0\n    0x1234\n    [the rest is not known: code without frame pointers]\n"},
		{false, true, "8 bytes in 2 pieces not given back, 1s to 1m15s old, of 10 bytes in 1 call; a\\x1bb (5)\n    malloc+0x0\n    0x1234\n    [the rest is not known: code without frame pointers]\n"},
		{true, false, "10 bytes allocated at:\n\tmalloc+0x0\n\t0x1234\n\t[the rest is not known: code without frame pointers]\n"},
	} {
		tracer.show.Options.Outstanding = c.outstanding
		var b bytes.Buffer
		if err := NewText(&b, c.classic).Row(tracer.rows.make(tracer, e)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, b.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
