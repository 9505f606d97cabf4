package types

import "testing"

func TestPromote(t *testing.T) {
	for _, r := range []struct {
		a, b, want *Type
		lossy      bool
	}{
		{TInt8, TInt32, TInt32, false},
		{TUint8, TUint64, TUint64, false},
		{TInt8, TUint8, TInt16, false},
		{TUint16, TInt8, TInt32, false},
		{TInt64, TUint32, TInt64, false},
		{TInt8, TUint64, TInt64, true},
		{TBool, TBool, TBool, false},
	} {
		got, lossy := Promote(r.a, r.b)
		if got != r.want || lossy != r.lossy {
			t.Errorf("%s and %s: got %s %v, want %s %v", r.a, r.b, got, lossy, r.want, r.lossy)
		}
	}
}

func TestJoin(t *testing.T) {
	file := &Type{Kind: Struct, Name: "file", Size: 8}
	kernel, user := PointerTo(file, SpaceKernel), PointerTo(file, SpaceUser)
	void := PointerTo(TNone, SpaceNone)
	for _, r := range []struct {
		a, b *Type
		want string // "" where there is none
	}{
		{TInt8, TInt64, "int64"},
		{StringOf(4), StringOf(9), "string[9]"},
		{TBool, TInt8, ""},
		{TInt8, StringOf(4), ""},
		{TupleOf([]*Type{TInt8, StringOf(4)}), TupleOf([]*Type{TInt32, StringOf(2)}), "(int32,string[4])"},
		{TupleOf([]*Type{TInt8}), TupleOf([]*Type{TInt8, TInt8}), ""},
		{RecordOf([]string{"a"}, []*Type{TInt8}), RecordOf([]string{"a"}, []*Type{TUint32}), "record { .a = int64 }"},
		{RecordOf([]string{"a"}, []*Type{TInt8}), RecordOf([]string{"b"}, []*Type{TInt8}), ""},
		{kernel, void, "struct file *"},
		{kernel, PointerTo(TInt8, SpaceKernel), ""},
		{ArrayOf(TUint8, 4), ArrayOf(TUint8, 16), ""},
	} {
		for _, pair := range [][2]*Type{{r.a, r.b}, {r.b, r.a}} {
			got, _, ok := Join(pair[0], pair[1])
			if ok != (r.want != "") || ok && got.String() != r.want {
				t.Errorf("%s and %s: got %s %v, want %q", pair[0], pair[1], got, ok, r.want)
			}
		}
	}
	if got, _, ok := Join(kernel, user); !ok || got.Space != SpaceNone {
		t.Errorf("pointers into kernel and process: got %s in space %d, want none", got, got.Space)
	}
	trusted := PointerTo(file, SpaceKernel)
	trusted.Trusted = true
	if got, _, _ := Join(trusted, kernel); got.Trusted {
		t.Error("a pointer that is trusted and one that is not make one that is")
	}
}

func TestEqual(t *testing.T) {
	node := &Type{Kind: Struct, Name: "node", Size: 8}
	node.Fields = []Field{{Name: "next", Type: PointerTo(node, SpaceNone)}}
	anonymous := func(name string) *Type {
		return &Type{Kind: Struct, Size: 4, Fields: []Field{{Name: name, Type: TInt32}}}
	}
	for _, r := range []struct {
		a, b *Type
		want bool
	}{
		{TInt8, TInt8, true},
		{TInt8, TUint8, false},
		{StringOf(4), StringOf(5), false},
		{PointerTo(TInt8, SpaceUser), PointerTo(TInt8, SpaceKernel), true},
		{node, &Type{Kind: Struct, Name: "node", Size: 8}, true},
		{node, &Type{Kind: Struct, Name: "edge", Size: 8}, false},
		{anonymous("a"), anonymous("a"), true},
		{anonymous("a"), anonymous("b"), false},
		{ArrayOf(TInt8, 3), ArrayOf(TInt8, 4), false},
		{nil, TInt8, false},
	} {
		if got := Equal(r.a, r.b); got != r.want {
			t.Errorf("%s and %s: got %v", r.a, r.b, got)
		}
	}
}

func TestString(t *testing.T) {
	for _, r := range []struct {
		t    *Type
		want string
	}{
		{TUint16, "uint16"},
		{PointerTo(PointerTo(TInt8, SpaceUser), SpaceUser), "int8 **"},
		{ArrayOf(ArrayOf(TInt32, 3), 2), "int32[2][3]"},
		{&Type{Kind: Struct, Union: true}, "union (anonymous)"},
		{&Type{Kind: UStack, StackMode: "perf", Len: 5}, "ustack_perf_5"},
		{&Type{Kind: Sum, Size: 8}, "usum_t"},
		{&Type{Kind: Buffer, Size: 68}, "buffer[64]"},
		{TupleOf(nil), "()"},
		{nil, "unknown"},
	} {
		if got := r.t.String(); got != r.want {
			t.Errorf("got %q, want %q", got, r.want)
		}
	}
}

// TestLayout checks that tuples are laid out as C lays out structs.
func TestLayout(t *testing.T) {
	tuple := TupleOf([]*Type{TInt8, TInt64, TInt16, StringOf(5), TInt32})
	want := []int{0, 8, 16, 18, 24}
	for i, f := range tuple.Fields {
		if f.Offset != want[i] {
			t.Errorf("field %d is at %d, want %d", i, f.Offset, want[i])
		}
	}
	if tuple.Size != 32 || tuple.Align() != 8 {
		t.Errorf("size %d, alignment %d", tuple.Size, tuple.Align())
	}
}

// TestFieldOfAnonymous checks that members of anonymous members are found, at their place in the whole.
func TestFieldOfAnonymous(t *testing.T) {
	inner := &Type{Kind: Struct, Union: true, Size: 4, Fields: []Field{{Name: "x", Type: TInt32}, {Name: "y", Type: TInt8}}}
	outer := &Type{Kind: Struct, Size: 8, Fields: []Field{{Name: "a", Type: TInt32}, {Type: inner, Offset: 4}}}
	if f, ok := outer.Field("y"); !ok || f.Offset != 4 || f.Type != TInt8 {
		t.Errorf("got %v %v", f, ok)
	}
	if _, ok := outer.Field("z"); ok {
		t.Error("found what is not there")
	}
}
