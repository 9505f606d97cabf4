package langtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// page is memory of this process with nothing behind it.
type page []byte

func newPage(t *testing.T) page {
	t.Helper()
	size := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	if err := unix.Mprotect(mem[size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return page(mem[:size])
}

// addr is the address of a byte as a parameter.
func (p page) addr(at int) string {
	return fmt.Sprintf("%#x", uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))+uint64(at))
}

// textAtEnd puts bytes at the end of the page and gives their address.
func (p page) textAtEnd(s string) string {
	at := len(p) - len(s)
	copy(p[at:], s)
	return p.addr(at)
}

// things is the preamble of the scripts that read structs.
const things = `
struct inner { short s; char c[6]; };
struct packed { char a; int b; short c; long d; } __attribute__((packed));
struct thing {
	char a; unsigned char b; short c; unsigned short d; int e; unsigned int f; long g; unsigned long h;
	int low : 3; int mid : 7; unsigned int high : 5; int sign : 1; unsigned int whole : 16;
	unsigned long wide : 40; unsigned long rest : 24;
	struct inner in; struct inner many[3];
	union { int as_int; char as_bytes[4]; };
	int numbers[4]; char text[8];
	struct thing *next; const char *name; int **twice;
	struct packed tight;
	enum colour { RED = 1, GREEN = 7 } hue;
	_Bool yes;
};
`

// thing is the same in Go; bit fields are words.
type thing struct {
	A         int8
	B         uint8
	C         int16
	D         uint16
	E         int32
	F         uint32
	G         int64
	H         uint64
	Bits      uint32
	_         uint32
	Wide      uint64
	InS       int16
	InC       [6]byte
	Many      [3][8]byte
	AsInt     uint32
	Numbers   [4]int32
	Text      [8]byte
	_         uint32
	Next      uintptr
	Name      uintptr
	Twice     uintptr
	Tight     [15]byte
	_         byte
	Hue       uint32
	Yes       bool
	_         [3]byte
	afterThis [8]byte
}

func TestKernelReadsStructs(t *testing.T) {
	root(t)
	p := newPage(t)
	base := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	x := (*thing)(unsafe.Pointer(unsafe.SliceData(p)))
	y := (*thing)(unsafe.Pointer(&p[512]))
	copy(p[1024:], "a name\x00")
	*(*int32)(unsafe.Pointer(&p[1100])) = -77
	*(*uintptr)(unsafe.Pointer(&p[1104])) = base + 1100
	*x = thing{
		A: -1, B: 255, C: -2, D: 65535, E: -3, F: 4294967295, G: -4, H: 18446744073709551615,
		// low -3, mid 33, high 21, sign -1, whole 0xbeef
		Bits: 5 | 33<<3 | 21<<10 | 1<<15 | 0xbeef<<16,
		Wide: 0x123456789a | 0xfedcba<<40,
		InS:  -5, InC: [6]byte{'h', 'e', 'l', 'l', 'o', 0},
		Many:  [3][8]byte{{1, 0, 'x'}, {2, 0, 'y', 'y'}, {0xff, 0xff, 'z'}},
		AsInt: 0x04030201, Numbers: [4]int32{10, -20, 30, -40}, Text: [8]byte{'e', 'i', 'g', 'h', 't', '!', '!', '!'},
		Next: base + 512, Name: base + 1024, Twice: base + 1104,
		Tight: [15]byte{0xff, 1, 0, 0, 0, 0xfe, 0xff, 1, 2, 3, 4, 5, 6, 7, 8},
		Hue:   7, Yes: true,
	}
	*y = thing{A: 9, E: 1234, Next: base}

	tests := []struct{ script, want string }{
		{`print(sizeof(struct thing))`, fmt.Sprint(unsafe.Offsetof(x.afterThis))},
		{`print($t.a); print($t.b); print($t.c); print($t.d); print($t.e); print($t.f); print($t.g); print($t.h)`,
			"-1\n255\n-2\n65535\n-3\n4294967295\n-4\n18446744073709551615"},
		{`print($t->a + $t->b); print($t.a == -1); print($t.h > 5); print($t.c < $t.d)`, "254\ntrue\ntrue\ntrue"},
		{`print($t.low); print($t.mid); print($t.high); print($t.sign); print($t.whole)`, "-3\n33\n21\n-1\n48879"},
		{`print($t.wide); print($t.rest)`, fmt.Sprintf("%d\n%d", 0x123456789a, 0xfedcba)},
		{`print($t.in.s); print($t.in.c); print($t.many[0].s); print($t.many[1].s); print($t.many[2].s); print($t.many[2].c)`,
			"-5\nhello\n1\n2\n-1\nz"},
		{`$i = 1; print($t.many[$i].s); print($t.many[$i].c); $i = 2; print($t.many[$i].s)`, "2\nyy\n-1"},
		{`print($t.as_int); print($t.as_bytes[0]); print($t.as_bytes[3])`, "67305985\n1\n4"},
		{`print($t.numbers); print($t.numbers[1]); $i = 3; print($t.numbers[$i]); $a = $t.numbers; print($a[2])`,
			"[10,-20,30,-40]\n-20\n-40\n30"},
		{`print($t.text); print($t.text[0]); print(strlen($t.text)); print($t.text == "eight!!!"); print(str($t.text, 3))`,
			"eight!!!\n101\n8\ntrue\neig"},
		{`print($t.next.a); print($t.next.e); print($t.next.next.a); print($t->next->next->next->e)`, "9\n1234\n-1\n1234"},
		{`print(str($t.name)); print(str($t.name, 1)); print(strlen($t.text)); print($t.name[0]); print($t.name[2]); @n = str($t.name); print(@n == "a name"); clear(@n)`,
			"a name\na\n8\n97\n110\ntrue"},
		{`print(**$t.twice); print(*$t.twice[0])`, "-77\n-77"},
		{`print($t.tight.a); print($t.tight.b); print($t.tight.c); print($t.tight.d)`, "-1\n1\n-2\n578437695752307201"},
		{`print($t.hue); printf("%d %s\n", $t.hue, $t.hue); print($t.hue == GREEN); print($t.yes)`, "GREEN\n7 GREEN\ntrue\ntrue"},
		{`print($t.in)`, "{ .s = -5, .c = hello }"},
		{`$in = $t.in; print($in.s); @in = $t.in; print(@in.c); print(@in); clear(@in)`, "-5\nhello\n@in: { .s = -5, .c = hello }"},
		{`print($t.tight)`, "{ .a = -1, .b = 1, .c = -2, .d = 578437695752307201 }"},
		{`$q = $t + 0; print($q.e); $p = (uint8 *)$t; print(*($p + 1)); print($p[1]); $p++; print(*$p)`, "-3\n255\n255\n255"},
		{`@t = $t; print(@t.e); print(@t.next.e); @k[$t] = 5; print(@k[$t]); clear(@t); clear(@k)`, "-3\n1234\n5"},
		{`@t[1] = $t; for $kv : @t { print($kv.1.c) } clear(@t)`, "-2"},
		{`for $i : 0..3 { print($t.many[$i].s) }`, "1\n2\n-1"},
		{`print(buf($t.text, 8)); print(buf($t.text, 3)); print(buf($t.text)); printf("%rh\n", buf($t.in.c, 2))`, "eight!!!\neig\neight!!!\n68 65"},
		{`print(offsetof(struct thing, in.c)); print(offsetof(struct thing, tight.d)); print(sizeof($t.many)); print(sizeof($t.tight))`,
			fmt.Sprintf("%d\n%d\n24\n15", unsafe.Offsetof(x.InC), unsafe.Offsetof(x.Tight)+7)},
		{`$x = $t.e; $y = $t.e; print($x + $y); print($t.e * $t.numbers[0])`, "-6\n-30"},
		{`print($t.a ? "set" : "not"); print($t.yes && $t.a); print(!$t.yes)`, "set\ntrue\nfalse"},
		{`@h[$t.in.c, $t.c] = $t.g; for $kv : @h { print($kv) } clear(@h)`, "((hello, -2), -4)"},
		{`$t2 = (struct thing *)$t.next; print($t2.e); $t2 = $t; print($t2.e)`, "1234\n-3"},
	}
	for _, tt := range tests {
		for _, flags := range []string{"", "plain", "-k"} {
			t.Run(tt.script+flags, func(t *testing.T) {
				needOf(t, tt.script)
				how := run{}
				how.Positional = []string{p.addr(0)}
				how.NoOptimize, how.Warnings = flags == "plain", flags == "-k"
				o, err := execute(things+"begin { $t = uptr((struct thing *)$1); "+tt.script+" }", how)
				r := row{want: tt.want}
				if err != nil {
					t.Fatal(err)
				}
				r.compare(t, o)
			})
		}
	}
}

// Strings of every length around what fits.
func TestKernelReadsStrings(t *testing.T) {
	root(t)
	p := newPage(t)
	long := strings.Repeat("0123456789abcdef", 200)[:2000]
	whole := func(s string, most int) string { // as max_strlen has it
		switch {
		case most == 1:
			return "" // there is room for the NUL only
		case len(s) >= most-1:
			return s[:most-1] + ".."
		}
		return s
	}
	keyMost := 1 << 20
	if !live.Has(kernel.LargeKeys) {
		keyMost = 512
	}
	for _, most := range []int{1, 2, 8, 9, 64, 1024} {
		for _, n := range []int{0, 1, most - 2, most - 1, most, most + 1} {
			if n < 0 {
				continue
			}
			for _, script := range []struct{ text, want string }{
				{`print(str(uptr($1 + 0)))`, whole(long[:n], most)},
				{`$s = str(uptr($1 + 0)); print($s)`, whole(long[:n], most)},
				{`@s["k"] = str(uptr($1 + 0)); print(@s["k"]); clear(@s)`, whole(long[:n], most)},
				{`@s[str(uptr($1 + 0))] = 1; print(@s); clear(@s)`, "@s[" + whole(long[:n], min(most, keyMost)) + "]: 1"},
				{`print((1, str(uptr($1 + 0)), 2))`, "(1, " + whole(long[:n], most) + ", 2)"},
				{`printf("%s|%s\n", str(uptr($1 + 0)), str(uptr($1 + 0)))`, whole(long[:n], most) + "|" + whole(long[:n], most)},
				{`print(strlen(str(uptr($1 + 0))))`, strconv.Itoa(min(n, most-1))},
			} {
				t.Run(fmt.Sprintf("%d of %d: %s", n, most, script.text), func(t *testing.T) {
					how := run{}
					how.Positional = []string{p.textAtEnd(long[:n] + "\x00")}
					how.Settings = map[string]string{"max_strlen": strconv.Itoa(most)}
					o, err := execute("begin { "+script.text+" }", how)
					if err != nil {
						t.Fatal(err)
					}
					r := row{want: script.want}
					r.compare(t, o)
				})
			}
		}
	}
}
