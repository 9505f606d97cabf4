package symbol

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const someKallsyms = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000000 t startup
ffffffff81000100 t helper
ffffffff81000200 t __do_sys_getpid
ffffffff81000200 T __ia32_sys_getpid
ffffffff81000200 T __x64_sys_getpid
ffffffff81000300 W weak_one
ffffffff81000300 t strong_one
ffffffff81000400 T _etext
ffffffff82000000 D jiffies
ffffffff82000008 D jiffies_64
ffffffff83000000 T init_one
ffffffff83000100 T _einittext
ffffffffc0002000 t two_b	[two]
ffffffffc0002100 d two_data	[two]
ffffffffc0002040 t two_a	[two]
ffffffffc0001000 t one_f	[one]
ffffffffc0000100 t bpf_prog_6deef7357e7b4530	[bpf]
ffffffffc0003000 t _RNvC4demo4main	[rusty]
`

const someModules = `two 4096 3 - Live 0xffffffffc0002000
one 256 0 - Live 0xffffffffc0001000 (O)
`

func openFakeKernel(t *testing.T, kallsyms, modules string) *Kernel {
	t.Helper()
	dir := t.TempDir()
	k, err := openKernel(write(t, dir, "kallsyms", kallsyms), write(t, dir, "modules", modules))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKallsymsLookup(t *testing.T) {
	k := openFakeKernel(t, someKallsyms, someModules)
	tests := []struct {
		addr uint64
		want Frame
	}{
		{0, Frame{}},
		{8, Frame{}},
		{0x7f0000000000, Frame{}},
		{0xffffffff80ffffff, Frame{}},
		{0xffffffff81000000, Frame{Name: "startup", Module: "vmlinux"}},
		{0xffffffff810001ff, Frame{Name: "helper", Offset: 0xff, Module: "vmlinux"}},
		{0xffffffff81000204, Frame{Name: "__x64_sys_getpid", Offset: 4, Module: "vmlinux"}},
		{0xffffffff81000301, Frame{Name: "strong_one", Offset: 1, Module: "vmlinux"}},
		{0xffffffff81000400, Frame{}}, // _etext
		{0xffffffff82000000, Frame{Name: "jiffies", Module: "vmlinux"}},
		{0xffffffff8200000c, Frame{Name: "jiffies_64", Offset: 4, Module: "vmlinux"}},
		{0xffffffff83000000, Frame{Name: "init_one", Module: "vmlinux"}},
		{0xffffffffc0000110, Frame{Name: "bpf_prog_6deef7357e7b4530", Offset: 0x10, Module: "bpf"}},
		{0xffffffffc0001010, Frame{Name: "one_f", Offset: 0x10, Module: "one"}},
		{0xffffffffc0001100, Frame{}}, // behind the module's end
		{0xffffffffc0002030, Frame{Name: "two_b", Offset: 0x30, Module: "two"}},
		{0xffffffffc0002050, Frame{Name: "two_a", Offset: 0x10, Module: "two"}},
		{0xffffffffc0003001, Frame{Name: "demo::main", Mangled: "_RNvC4demo4main", Offset: 1, Module: "rusty"}},
		{0xffffffffffffffff, Frame{}},
	}
	for _, tt := range tests {
		want := tt.want
		if want.Ok = want.Name != ""; want.Mangled == "" {
			want.Mangled = want.Name
		}
		for range 2 { // the second time from what was kept
			if diff := cmp.Diff(want, k.Lookup(tt.addr)); diff != "" {
				t.Errorf("%#x: %s", tt.addr, diff)
			}
		}
	}
}

func TestKallsymsAddress(t *testing.T) {
	k := openFakeKernel(t, someKallsyms, someModules)
	for name, want := range map[string]uint64{
		"helper": 0xffffffff81000100, "__ia32_sys_getpid": 0xffffffff81000200, "weak_one": 0xffffffff81000300,
		"jiffies_64": 0xffffffff82000008, "one_f": 0xffffffffc0001000, "two_data": 0xffffffffc0002100,
		"elper": 0, "help": 0, "": 0, "helper\x00__do_sys_getpid": 0, "[one]": 0,
	} {
		got, found := k.Address(name)
		if got != want || found != (want != 0) {
			t.Errorf("%q: got %#x %v, want %#x", name, got, found, want)
		}
	}
}

func TestNilKernelKnowsNothing(t *testing.T) {
	var k *Kernel
	if f := k.Lookup(0xffffffff81000000); f.Ok {
		t.Error(f)
	}
	if _, found := k.Address("schedule"); found {
		t.Error("found")
	}
}

func TestHiddenKallsyms(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "kallsyms", strings.Repeat("0000000000000000 T _stext\n", 5000))
	if _, err := openKernel(path, "/nowhere"); !errors.Is(err, ErrHidden) || !strings.Contains(err.Error(), "kptr_restrict") {
		t.Error(err)
	}
	if _, err := openKernel(filepath.Join(dir, "none"), "/nowhere"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := openKernel(write(t, dir, "long", strings.Repeat("f", 1<<20)), "/nowhere"); err == nil {
		t.Error("a line without end is accepted")
	}
}

// A module that is loaded while we run gets its names, but kallsyms is not read for each unknown address.
func TestKallsymsReload(t *testing.T) {
	k := openFakeKernel(t, someKallsyms, someModules)
	now := time.Now()
	k.now = func() time.Time { return now }
	const addr = 0xffffffffc0009010
	if f := k.Lookup(0xffffffff81000100); !f.Ok {
		t.Fatal(f)
	}
	replace := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Behind the last symbol, whose module does not end as far as is known.
	if f := k.Lookup(addr); f.Name != "demo::main" {
		t.Fatal(f)
	}
	listed := someModules + "rusty 4096 0 - Live 0xffffffffc0003000\n"
	replace(k.modules, listed)
	k.text = nil
	if f := k.Lookup(addr); f.Ok {
		t.Fatal(f)
	}
	replace(k.kallsyms, someKallsyms+"ffffffffc0009000 t late\t[late]\n")
	if f := k.Lookup(addr); f.Ok {
		t.Errorf("read again at once: %v", f)
	}
	now = now.Add(2 * time.Second)
	if f := k.Lookup(addr); f.Ok {
		t.Errorf("read again though no module came: %v", f)
	}
	replace(k.modules, strings.Replace(listed, "4096 3", "4096 4", 1))
	if f := k.Lookup(addr); f.Ok {
		t.Errorf("read again because a module has one more user: %v", f)
	}
	replace(k.modules, listed+"late 4096 0 - Live 0xffffffffc0009000\n")
	if f := k.Lookup(addr); f.Name != "late" || f.Offset != 0x10 {
		t.Errorf("got %v", f)
	}
	replace(k.kallsyms, someKallsyms+"ffffffffc000a000 t bpf_prog_x\t[bpf]\n")
	now = now.Add(time.Minute)
	if addr, found := k.Address("bpf_prog_x"); !found || addr != 0xffffffffc000a000 {
		t.Errorf("got %#x", addr)
	}
}

// On the machine's own kernel: names and addresses are inverse, within memory that 200,000 symbols are worth.
func TestKernelOwnSymbols(t *testing.T) {
	k, err := OpenKernel()
	if errors.Is(err, ErrHidden) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	addr, found := k.Address("schedule")
	if !found {
		t.Fatal("no schedule")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d functions, %d KiB held", len(k.text.symbols), held>>10)
	if each := held / int64(len(k.text.symbols)); each > 64 {
		t.Errorf("%d bytes a function", each)
	}
	if f := k.Lookup(addr + 3); f.Name != "schedule" || f.Offset != 3 || f.Module != KernelModule {
		t.Errorf("got %+v", f)
	}
	missing := 0
	for i, s := range k.text.symbols {
		if i%100 != 0 || s.name == 0 {
			continue
		}
		if f := k.Lookup(s.addr); !f.Ok || f.Offset != 0 {
			missing++
		}
	}
	if missing != 0 {
		t.Errorf("%d functions do not find themselves", missing)
	}
}

func FuzzKallsyms(f *testing.F) {
	f.Add([]byte(someKallsyms), uint64(0xffffffff81000100))
	f.Add([]byte("ffffffff81000000 T \x00\n T x\nfffffffffffffffffff T x\t[\n"), uint64(0))
	f.Fuzz(func(t *testing.T, text []byte, addr uint64) {
		for _, read := range []func() (*kernelTable, error){
			func() (*kernelTable, error) {
				return readKernelText(strings.NewReader(string(text)), map[string]uint64{"one": addr})
			},
			func() (*kernelTable, error) { return readKernelData(strings.NewReader(string(text)), nil) },
		} {
			table, err := read()
			if err != nil {
				continue
			}
			if frame, found := table.frame(addr); found {
				if _, found := table.address(frame.Mangled); !found {
					t.Errorf("%q has no address", frame.Mangled)
				}
			}
		}
	})
}

func BenchmarkKernelLoad(b *testing.B) {
	for b.Loop() {
		k, err := OpenKernel()
		if err != nil {
			b.Skip(err)
		}
		if !k.load() {
			b.Fatal("not loaded")
		}
	}
}
