package main

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// A section .BTF of an int, a struct with a member of it and a function, with strings that nobody refers to, and a .BTF.ext with a
// function and a relocation.
func sections(t *testing.T, text string, name, member, strct, fn, section, access uint32) (types, ext []byte) {
	t.Helper()
	words := []uint32{
		name, 1 << 24, 4, 32, // int
		strct, 4<<24 | 1, 4, member, 1, 0, // struct
		0, 13<<24 | 1, 0, name, 1, // function prototype
		fn, 12 << 24, 3, // function
	}
	body, err := binary.Append(nil, binary.LittleEndian, words)
	if err != nil {
		t.Fatal(err)
	}
	h := typesHeader{Magic: magic, Version: 1, Length: 24, TypeLen: uint32(len(body)), StrOff: uint32(len(body)), StrLen: uint32(len(text))}
	if types, err = binary.Append(nil, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	types = append(append(types, body...), text...)
	functions, err := binary.Append(nil, binary.LittleEndian, []uint32{8, section, 1, 0, 4})
	if err != nil {
		t.Fatal(err)
	}
	relocations, err := binary.Append(nil, binary.LittleEndian, []uint32{16, section, 1, 8, 2, access, 0})
	if err != nil {
		t.Fatal(err)
	}
	eh := header{Magic: magic, Version: 1, Length: 32, FuncLen: uint32(len(functions)), LineOff: uint32(len(functions))}
	eh.CORERelOff, eh.CORERLen = eh.LineOff, uint32(len(relocations))
	if ext, err = binary.Append(nil, binary.LittleEndian, eh); err != nil {
		t.Fatal(err)
	}
	return types, append(append(ext, functions...), relocations...)
}

func TestWithoutStrings(t *testing.T) {
	wantTypes, wantExt := sections(t, "\x00"+"int\x00strct\x00member\x00fn\x00.text\x000:0\x00", 1, 11, 5, 18, 21, 27)
	// The second "int" is the one that is named.
	types, ext := sections(t, "\x00"+"int\x00a line;\x00member\x00strct\x00fn\x00.text\x00"+"0:0\x00int\x00another\x00", 39, 13, 20, 26, 29, 35)
	gotTypes, gotExt, err := withoutStrings(types, ext)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(gotTypes, wantTypes) {
		t.Errorf("types\n%q, want\n%q", gotTypes, wantTypes)
	}
	if !bytes.Equal(gotExt, wantExt) {
		t.Errorf("ext\n%q, want\n%q", gotExt, wantExt)
	}
}

func TestWithoutStringsBad(t *testing.T) {
	good, ext := sections(t, "\x00int\x00", 1, 1, 1, 1, 1, 1)
	for name, types := range map[string][]byte{
		"empty": nil, "no BTF": []byte("something else that is long enough"), "cut": good[:60],
		"a string too far": func() []byte { b := bytes.Clone(good); b[24] = 99; return b }(),
		"an unknown kind":  func() []byte { b := bytes.Clone(good); b[24+7] = 31; return b }(),
		"a type too long":  func() []byte { b := bytes.Clone(good); b[24+16+4] = 200; return b }(),
	} {
		if _, _, err := withoutStrings(types, ext); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	const relocations = 28             // bytes, at the end
	for less := 1; less < 24; less++ { // without as many as that it is one that has none
		cut := bytes.Clone(ext[:len(ext)-less])
		binary.LittleEndian.PutUint32(cut[28:], uint32(relocations-less))
		if _, _, err := withoutStrings(good, cut); err == nil {
			t.Errorf("%d bytes of .BTF.ext are missing: no error", less)
		}
	}
}
