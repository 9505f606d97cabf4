package allocator

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/symbol"
)

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		name  string
		ok    bool
		size  Size
		frees bool
	}{
		{"malloc", true, SizeArg0, false},
		{"_rjem_realloc", true, SizeArg1, false},
		{"mi_free", true, 0, true},
		{"_ZnamSt11align_val_t", true, SizeArg0, false},
		{"_ZdlPvm", true, SizeArg0, true},
		{"runtime.mallocgc", true, SizeGo, false},
		{"je_mmap", false, 0, false},
		{"mallocation", false, 0, false},
		{"tc_new", false, 0, false},
	} {
		k, _, ok := kindOf(c.name)
		if ok != c.ok || ok && (k.size != c.size || k.frees != c.frees) {
			t.Errorf("%s: %+v, %v", c.name, k, ok)
		}
	}
}

func TestParseMapping(t *testing.T) {
	for _, c := range []struct {
		line, place string
		inode       uint64
		path        string
	}{
		{"7f00-7f10 r-xp 00000000 fe:00 12                         /lib/a b.so", "7f00-7f10", 12, "/lib/a b.so"},
		{"7f00-7f10 r-xp 00000000 fe:00 12   /tmp/x (deleted)", "7f00-7f10", 12, "/tmp/x"},
		{"7f00-7f10 r--p 00000000 fe:00 12   /lib/a.so", "", 0, ""},
		{"7f00-7f10 r-xp 00000000 00:00 0    [vdso]", "", 0, ""},
		{"7f00-7f10 r-xp 00000000 00:00 0 ", "", 0, ""},
		{"rubbish", "", 0, ""},
	} {
		place, inode, path, ok := parseMapping(c.line)
		if place != c.place || inode != c.inode || path != c.path || ok != (c.path != "") {
			t.Errorf("%q: %q %d %q %v", c.line, place, inode, path, ok)
		}
	}
}

// Whatever brings malloc goes before the C library, and the program before all.
func TestChoose(t *testing.T) {
	functions := func(names ...string) (all []symbol.Symbol) {
		for i, name := range names {
			all = append(all, symbol.Symbol{Name: name, Address: uint64(0x1000 * (i + 1))})
		}
		return all
	}
	self, err := symbol.OpenObject("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	file := func(path string, f found) *entry {
		return &entry{file: self, shown: path, found: f, roles: map[role]*Object{}}
	}
	libc := file("libc", found{symbols: functions("malloc", "free", "mmap"), malloc: true, libc: true, maps: true})
	jemalloc := file("jemalloc", found{symbols: functions("malloc", "free"), malloc: true})
	tcmalloc := file("tcmalloc", found{symbols: functions("malloc", "free", "mmap"), malloc: true, maps: true})
	own := file("own", found{symbols: functions("malloc"), malloc: true})
	golang := file("go", found{symbols: functions(goAllocator), goes: true})
	static := file("static", found{symbols: functions("malloc", "mmap"), malloc: true, libc: true, maps: true})
	plain := file("plain", found{})
	for _, c := range []struct {
		name string
		all  []candidate
		want []string
	}{
		{"the C library", []candidate{{plain, true}, {libc, false}}, []string{"libc: malloc free mmap"}},
		{"a library before it", []candidate{{plain, true}, {libc, false}, {jemalloc, false}}, []string{"jemalloc: malloc free", "libc: mmap"}},
		{"one with an mmap of its own", []candidate{{plain, true}, {libc, false}, {tcmalloc, false}}, []string{"tcmalloc: malloc free mmap"}},
		{"the program's own", []candidate{{own, true}, {jemalloc, false}, {libc, false}}, []string{"own: malloc", "libc: mmap"}},
		{"Go", []candidate{{golang, true}}, []string{"go: runtime.mallocgc"}},
		{"Go with the C library", []candidate{{golang, true}, {libc, false}}, []string{"libc: malloc free mmap", "go: runtime.mallocgc"}},
		{"static", []candidate{{static, true}}, []string{"static: malloc mmap"}},
	} {
		objects, err := choose(c.all)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []string
		for _, o := range objects {
			text := o.Shown + ":"
			for _, f := range o.Functions {
				text += " " + f.Name
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
	if _, err := choose([]candidate{{plain, true}}); !errors.Is(err, ErrNone) {
		t.Errorf("nothing: %v", err)
	}
}

func TestScriptInterpreter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	for text, want := range map[string]string{
		"#!/bin/sh\n": "/bin/sh", "#! /usr/bin/env python3\nx": "/usr/bin/env", "#!\n": "", "echo hi\n": "/bin/sh", "\x7fELF\x00\n": "", "": "/bin/sh",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := scriptInterpreter(path); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	got := origin([]string{"$ORIGIN/../lib:/opt", "${ORIGIN}"}, "/usr/bin/x")
	if diff := cmp.Diff([]string{"/usr/bin/../lib", "/opt", "/usr/bin"}, got); diff != "" {
		t.Error(diff)
	}
}
