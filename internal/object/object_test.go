package object_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/object"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func open(t *testing.T, name string, flags ...string) *object.Object {
	t.Helper()
	o, err := object.Open(name+".o", read(t, vmtest.Object(t, name, flags...)))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestShow(t *testing.T) {
	var b bytes.Buffer
	if err := open(t, "bootstrap").Show(&b); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`(?m)(bootstrap|sched_process_\w+)  \d+ +(Dual BSD/GPL)  \d+$`).ReplaceAllString(b.String(), "$1  N  $2  N")
	want := `MAP         TYPE     KEY  VALUE  ENTRIES  FLAGS        VALUE TYPE
.bss        Array    4    8      1        -            -
.rodata     Array    4    12     1        rdonly_prog  -
exec_start  Hash     4    8      8192     -            unsigned long long
rb          RingBuf  0    0      262144   -            -

VARIABLE         TYPE                      SIZE  SECTION  VALUE
min_duration_ns  const unsigned long long  8     .rodata  0
parent           const int                 4     .rodata  0
unused           const struct event *      8     .bss     0x0

PROGRAM      TYPE        SECTION                      SIZE  LICENCE       INSTRUCTIONS
handle_exec  TracePoint  tp/sched/sched_process_exec  N  Dual BSD/GPL  N
handle_exit  TracePoint  tp/sched/sched_process_exit  N  Dual BSD/GPL  N
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestShowJSON(t *testing.T) {
	var b bytes.Buffer
	if err := open(t, "minimal").ShowJSON(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"type":"bpf_map","name":".bss","map_type":"Array","key_bytes":4,"value_bytes":4,"max_entries":1,"flags":0}`,
		`{"type":"bpf_variable","name":"my_pid","variable_type":"int","section":".bss","bytes":4,"value":0}`,
		`{"type":"bpf_program","name":"handle_tp","program_type":"TracePoint","section":"tp/syscalls/sys_enter_write","bytes":`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}

func TestDisassemble(t *testing.T) {
	var b bytes.Buffer
	if err := open(t, "minimal").Disassemble(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"handle_tp: TracePoint, section tp/syscalls/sys_enter_write, licence Dual BSD/GPL", "; if (pid != my_pid)", "Call FnTracePrintk", "Exit"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// The maps of goebpf's objects: five words and two pointers. With types and without.
func TestLegacyMaps(t *testing.T) {
	for _, flags := range [][]string{nil, {"-g0"}} {
		o := open(t, "goebpf_exec", flags...)
		var b bytes.Buffer
		if err := o.Show(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"buffers         PerCPUArray     4    152    1 ", "perf_events     PerfEventArray  4    4      128 "} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q: no %q in\n%s", flags, want, b.String())
			}
		}
		want := []string{"map buffers is to be pinned as /sys/fs/bpf/exec_buffers, which is left undone: this run has a map of its own"}
		if diff := cmp.Diff(want, o.Notes); diff != "" {
			t.Errorf("%q: %s", flags, diff)
		}
	}
}

func TestSet(t *testing.T) {
	data := read(t, vmtest.Object(t, "kinds"))
	for _, tt := range []struct{ set, want string }{
		{"small=255", "unsigned char 255"},
		{"small=0x10", "unsigned char 16"},
		{"small='a'", "unsigned char 97"},
		{"target=-5", "int -5"},
		{"target=0xffffffff", "int -1"},
		{"yes=false", "_Bool false"},
		{"name=second", "char[8] second"},
		{"name=12345678", "char[8] 12345678"},
		{"numbers=7, -8", "const short[3] [7 -8 0]"},
		{"favourite=BLUE", "const enum colour BLUE"},
		{"favourite=1", "const enum colour 1"},
		{"seen=18446744073709551615", "unsigned long long 18446744073709551615"},
		{"numbers=0x010002000300", "const short[3] [1 2 3]"},

		{"small=256", "error: --set small=256: the variable has 8 bits without a sign: from 0 to 255"},
		{"small=-1", "error: --set small=-1: the variable has 8 bits without a sign: from 0 to 255"},
		{"target=2147483648", "error: --set target=2147483648: the variable has 32 bits with a sign: from -2147483648 to 2147483647"},
		{"target=x", "error: --set target=x: it is no number"},
		{"yes=maybe", "error: --set yes=maybe: the variable is a bool: true or false"},
		{"name=123456789", "error: --set name=123456789: it has 9 bytes, and the variable has room for 8"},
		{"numbers=1,2,3,4", "error: --set numbers=1,2,3,4: 4 values, and the variable has room for 3"},
		{"numbers=1,x", "error: --set numbers=1,x: value 2: it is no number"},
		{"favourite=GREAN", "error: --set favourite=GREAN: it is neither a number nor a value of enum colour; did you mean \"GREEN\"?"},
		{"traget=1", "error: --set traget: there is no global variable of that name; did you mean \"target\"?"},
		{"target", "error: --set \"target\": a variable and its value are written NAME=VALUE"},
		{"numbers=0x0100", "error: --set numbers=0x0100: the variable has 6 bytes: give 0x and 12 digits"},
	} {
		o, err := object.Open("kinds.o", data)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Set(tt.set); err != nil {
			if got := "error: " + err.Error(); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.set, got, tt.want)
			}
			continue
		}
		name, _, _ := strings.Cut(tt.set, "=")
		for _, v := range o.Variables() {
			if v.Name == name && v.Type+" "+v.Value != tt.want {
				t.Errorf("%s: %s %s, want %s", tt.set, v.Type, v.Value, tt.want)
			}
		}
	}
	// Where the object has no types a variable has a size.
	o := open(t, "goebpf_exec", "-g0")
	if err := o.Set("unused_exec_arg=0x10"); err != nil {
		t.Error(err)
	}
}

func TestOnly(t *testing.T) {
	for _, tt := range []struct {
		only []string
		want string
	}{
		{nil, "nowhere packet static_probe unknown"},
		{[]string{"optional"}, "optional"},
		{[]string{"xdp", "unknown"}, "packet unknown"},
		{[]string{"paket"}, "there is no program \"paket\"; did you mean \"packet\"?"},
	} {
		o := open(t, "section")
		err := o.Only(tt.only)
		got := strings.Join(o.Programs(), " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.only, got, tt.want)
		}
	}
}

func TestUnsafe(t *testing.T) {
	want := []string{"program kill_openers (section tp/syscalls/sys_enter_openat) sends signals (bpf_send_signal)"}
	if diff := cmp.Diff(want, open(t, "killer").Unsafe()); diff != "" {
		t.Error(diff)
	}
	if got := open(t, "bootstrap").Unsafe(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// fixture is a kernel of which no more is asked than these tests need.
func fixture() kernel.Target {
	return &kernel.Fixture{GOARCH: "amd64"}
}

func TestProbes(t *testing.T) {
	for _, tt := range []struct {
		object, only string
		want         prog.Probe
	}{
		{"minimal", "handle_tp", prog.Probe{Kind: prog.Tracepoint, Group: "syscalls", Name: "sys_enter_write"}},
		{"kprobe_openat2", "on_open", prog.Probe{Kind: prog.Kprobe, Name: "do_sys_openat2"}},
		{"goebpf_exec", "execve_entry", prog.Probe{Kind: prog.Kprobe, Name: "__x64_sys_execve"}},
		{"refused", "careless", prog.Probe{Kind: prog.RawTracepoint, Name: "sys_enter"}},
		{"iterate", "tasks", prog.Probe{Kind: prog.Iter, Name: "task"}},
	} {
		o := open(t, tt.object)
		got, err := o.Probes(fixture(), object.Options{})
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", tt.object, got, err)
			continue
		}
		got[0].Shown = ""
		tt.want.Program = tt.only
		if diff := cmp.Diff(tt.want, got[0]); diff != "" {
			t.Errorf("%s: %s", tt.object, diff)
		}
	}
}

func TestProbesOfSections(t *testing.T) {
	data := read(t, vmtest.Object(t, "section"))
	for _, tt := range []struct{ program, attach, want string }{
		{"unknown", "", "program unknown (section nonsense/x): libbpf knows no section of that name, so it is not known what the program attaches to; give it by --attach unknown=SECTION, or leave it out by --only"},
		{"packet", "", "program packet (section xdp): it decides about packets; sonde run attaches tracing programs only"},
		{"nowhere", "", "program nowhere (section kprobe): it does not say what it attaches to; give it by --attach nowhere=kprobe/FUNCTION"},
		{"nowhere", "kprobe/vfs_read+0x10", "kprobe vfs_read+16"},
		{"nowhere", "kretprobe/vfs_read+1", "program nowhere (section kretprobe/vfs_read+1): a kretprobe is on a whole function, without an offset"},
		{"nowhere", "ksyscall/openat", "kprobe __x64_sys_openat"},
		{"nowhere", "tp/x/y", "program nowhere (section tp/x/y): the program was written for Kprobe (its own section is kprobe) and cannot be attached as TracePoint"},
		{"unknown", "tp/sched/sched_switch", "tracepoint sched:sched_switch"},
		{"unknown", "raw_tp/sched_switch", "raw tracepoint sched_switch"},
		{"unknown", "tp_btf/sched_switch", "tp_btf sched_switch"},
		{"unknown", "fentry/mod:func", "fentry mod:func"},
		{"unknown", "fexit.s/func", "fexit func"},
		{"unknown", "lsm.s/file_open", "lsm file_open"},
		{"unknown", "perf_event", "profile 99"},
		{"unknown", "tp/x", "program unknown (section tp/x): \"x\" is no tracepoint; they are written CATEGORY/EVENT"},
		{"static_probe", "", "program static_probe (section usdt/libc.so.6:libc:setjmp): the object has no map __bpf_usdt_specs; programs of static probes are written with libbpf's usdt.bpf.h"},
		{"unknown", "usdt/x:y", "program unknown (section usdt/x:y): \"x:y\" is no static probe; they are written PATH:PROVIDER:NAME"},
		{"unknown", "uprobe/x", "program unknown (section uprobe/x): \"x\" is no place in a program; they are written PATH:FUNCTION, PATH:FUNCTION+OFFSET or PATH:0xOFFSET"},
	} {
		o, err := object.Open("section.o", data)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Only([]string{tt.program}); err != nil {
			t.Fatal(err)
		}
		opt := object.Options{Attach: map[string]string{}}
		if tt.attach != "" {
			opt.Attach[tt.program] = tt.attach
		}
		probes, err := o.Probes(fixture(), opt)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = describe(probes[0])
		}
		if got != tt.want {
			t.Errorf("%s %s: %s\nwant %s", tt.program, tt.attach, got, tt.want)
		}
	}
}

func describe(p prog.Probe) string {
	kind := map[prog.ProbeKind]string{
		prog.Kprobe: "kprobe", prog.Tracepoint: "tracepoint", prog.RawTracepoint: "raw tracepoint", prog.TypedTracepoint: "tp_btf",
		prog.Fentry: "fentry", prog.Fexit: "fexit", prog.LSM: "lsm", prog.Profile: "profile",
	}[p.Kind]
	name := p.Name
	if p.Group != "" {
		name = p.Group + ":" + name
	}
	if p.Offset > 0 {
		name += "+" + string('0'+rune(p.Offset/10)) + string('0'+rune(p.Offset%10))
	}
	if p.Kind == prog.Profile {
		name = "99"
		if p.Frequency != 99 {
			name = "?"
		}
	}
	return kind + " " + name
}

// Files that are none, or not whole: one sentence each, and no panic.
func TestBadFiles(t *testing.T) {
	good := read(t, vmtest.Object(t, "bootstrap"))
	changed := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], to)
		return b
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "not an ELF file"},
		{"text", []byte("BEGIN { exit() }"), "not an ELF file"},
		{"header only", good[:40], "truncated: 40 bytes"},
		{"cut off", good[:len(good)/2], "it is truncated: its section headers end at byte"},
		{"32 bits", changed(4, 1), "32-bit ELF file"},
		{"big endian", read(t, vmtest.Object(t, "minimal", "-target", "bpfeb")), "it is for big-endian machines"},
		{"another machine", changed(18, 62, 0), "for x86-64, not a BPF object"},
		{"unknown machine", changed(18, 0xff, 0xee), "machine 61183, not a BPF object"},
		{"linked", changed(16, 2, 0), "not a relocatable object"},
		{"an executable", read(t, self), "it is an executable"},
		{"no sections", changed(60, 0, 0), "it has no sections"},
		{"no types", read(t, vmtest.Object(t, "refused", "-g0")), "section .maps: its maps are described by types (BTF), and the object has none"},
	} {
		_, err := object.Open("x.o", tt.data)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A section that reaches beyond the end of the file is named.
func TestSectionBeyondTheEnd(t *testing.T) {
	b := bytes.Clone(read(t, vmtest.Object(t, "minimal")))
	le := binary.LittleEndian
	headers, n := le.Uint64(b[40:]), int(le.Uint16(b[60:]))
	for i := 1; i < n; i++ {
		h := bytes.Clone(b)
		le.PutUint64(h[headers+uint64(i)*64+32:], 1<<40)
		if _, err := object.Open("x.o", h); err == nil || strings.Contains(err.Error(), "panic") {
			t.Errorf("section %d: %v", i, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range []string{"minimal", "goebpf_exec", "kinds", "section", "usdt"} {
		data, err := os.ReadFile(vmtest.Object(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("\x7fELF\x02\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		o, err := object.Open("x.o", data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00") && !slices.Contains(data, '\n') {
				t.Errorf("%q", err)
			}
			return
		}
		var b bytes.Buffer
		_ = o.Show(&b)
		_ = o.ShowJSON(&b)
		_ = o.Disassemble(&b)
		o.Unsafe()
		o.Printk()
		streams := o.Streams()
		w := object.Writer{Out: &b, Clock: func(dst []byte, _ int64) []byte { return append(dst, "00:00:00"...) }}
		for _, s := range streams {
			for _, n := range []int{0, 1, 4, 8, 16, 60, 164} {
				_ = w.Record(s, 0, 0, make([]byte, n))
			}
		}
		_, _ = o.Probes(fixture(), object.Options{})
	})
}

// The formats of bpf_printk are found in the code.
func TestPrintk(t *testing.T) {
	prints, formats := open(t, "minimal").Printk()
	if !prints || formats == nil || !formats.Match("BPF triggered from PID 7.") || formats.Match("BPF triggered") {
		t.Errorf("%v %+v", prints, formats)
	}
	if prints, _ := open(t, "bootstrap").Printk(); prints {
		t.Error("bootstrap prints nothing")
	}
}

// A struct is known by --record, by the type of the map's values, or by its size.
func TestStreams(t *testing.T) {
	for _, tt := range []struct{ object, record, want string }{
		{"kprobe_openat2", "", "opens struct open_event"},
		{"bootstrap", "", "rb guessed"},
		{"bootstrap", "event", "rb struct event"},
		{"bootstrap", "rb=struct event", "rb struct event"},
		{"kinds", "untyped=inner", "typed struct record, untyped struct inner"},
		{"goebpf_exec", "", "perf_events guessed"},
	} {
		o := open(t, tt.object)
		streams := o.Streams()
		if tt.record != "" {
			if err := o.SetRecords(streams, []string{tt.record}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, s := range streams {
			if s.Guessed() {
				got = append(got, s.Map+" guessed")
			} else {
				got = append(got, s.Map+" "+s.Known())
			}
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s %s: %q, want %s", tt.object, tt.record, got, tt.want)
		}
	}
}
