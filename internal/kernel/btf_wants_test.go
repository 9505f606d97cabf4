package kernel

import (
	"errors"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

func TestParseRelocation(t *testing.T) {
	type want struct {
		Kind     string
		Accessor []int
		Local    btf.TypeID
		Err      bool
	}
	for text, w := range map[string]want{
		`CORERelocation(byte_off, Struct:"task_struct"[0:3:12], local_id=7)`:      {Kind: "byte_off", Accessor: []int{0, 3, 12}, Local: 7},
		`CORERelocation(type_exists, Typedef:"a[0], local_id=1)"[0], local_id=9)`: {Kind: "type_exists", Accessor: []int{0}, Local: 9},
		`CORERelocation(unknown (77), Int:"u32"[0], local_id=1)`:                  {Kind: "unknown (77)", Accessor: []int{0}, Local: 1},
		``:                         {Err: true},
		`CORERelocation(byte_off)`: {Err: true},
		`CORERelocation(byte_off, Struct:"a"[], local_id=7)`:           {Err: true},
		`CORERelocation(byte_off, Struct:"a"[-1], local_id=7)`:         {Err: true},
		`CORERelocation(byte_off, Struct:"a"[0], local_id=7, more=1)`:  {Err: true},
		`CORERelocation(byte_off, Struct:"a"[0], local_id=4294967296)`: {Err: true},
		`CORERelocation(byte_off, Struct:"a"0], local_id=7)`:           {Err: true},
	} {
		got, err := parseRelocation(text)
		if diff := cmp.Diff(w, want{got.kind, got.accessor, got.local, err != nil}); diff != "" {
			t.Errorf("%s: -want +got:\n%s", text, diff)
		}
		if err != nil && !errors.Is(err, ErrNotReduced) {
			t.Errorf("%s: %v does not wrap ErrNotReduced", text, err)
		}
	}
}

func TestWantedByNamesWhatIsAccessed(t *testing.T) {
	wanted, err := wantedBy([]*ebpf.CollectionSpec{loadObject(t, "core.bpf.o")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, local := range wanted.roots["mm_struct"].locals {
		for name := range wanted.namedParts(local) {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"arg_end", "arg_start", "env_end", "exe_file"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !wanted.roots["rcu_callback_t"].deep || wanted.roots["mm_struct"].deep {
		t.Error("a question whether a type exists must look deep, a question for a member must not")
	}
}
