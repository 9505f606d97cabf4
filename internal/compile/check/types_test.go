package check

import (
	"strings"
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// row is a piece of a script and the types that $x, $y, $z, @x, @y... have in it.
type row struct{ script, want string }

const fooStruct = "struct foo { int a; char b[4]; unsigned short s; unsigned long l; void *p; struct foo *n; int arr[3]; unsigned int bf:3; }\n"

// typeRows are checked against Debian's bpftrace by hand; where sonde differs, the row says why.
var typeRows = []row{
	// Literals take the smallest signed type.
	{"$x = 1; $y = -1; $z = 300;", "$x int8, $y int8, $z int16"},
	{"$x = 127; $y = 128; $z = 0x80000000;", "$x int8, $y int16, $z int64"},
	{"$x = 0xffffffffffffffff; $y = 1e6; $z = -9223372036854775808;", "$x uint64, $y int32, $z int64"},
	{"$x = 1 + 2; $y = 100 + 100; $z = 200 * 200;", "$x int8, $y int16, $z int32"},
	{"$x = -10 / 3; $y = ~0; $z = -(-5);", "$x int8, $y uint64, $z int8"},
	{"$x = 1 == 1; $y = !1; $z = 5 && 0;", "$x bool, $y bool, $z bool"},
	{`$x = "abc"; $y = "ab" + "cd"; $z = "abc" + 1;`, "$x string[4], $y string[5], $z string[3]"},
	// Operators work in 64 bits.
	{"$a = 1; $x = $a + 1;", "$x int64"},
	{"$x = pid + 1; $y = pid - 1; $z = nsecs - nsecs;", "$x uint64, $y int64, $z int64"},
	{"$a = (uint8)1; $x = $a + $a; $y = (uint32)1 << 2;", "$x uint64, $y uint64"},
	{"$a = (int16)1; $x = $a & 1; $y = -$a; $z = ~$a;", "$x int64, $y int64, $z int64"},
	{"$a = (uint16)1; $y = -$a; $z = ~$a;", "$y uint16, $z uint16"}, // there uint64, holding what fits into 16 bits
	{"$x = -1 + pid; $y = -1 > pid;", "$x int64, $y bool"},
	{"$x = true + 1; $y = (pid == 1) + 1;", "$x uint64, $y uint64"},
	{"$x = nsecs / 1e6; $y = -nsecs;", "$x uint64, $y uint64"},
	// Variables hold all that is put into them.
	{"$x = 200; $x = (uint8)1;", "$x uint16"},
	{"$x = -1; $x = (uint8)1;", "$x int16"},
	{"$x = (int8)1; $x = (uint8)1;", "$x int16"},
	{"$x = (uint64)1; $x = (int8)1;", "$x int64"},
	{"$x = 1; $x = (uint8)2;", "$x uint8"},
	{"$a = 1; $x = (uint8)2; $x = $a;", "$x uint8"},
	{"$x = nsecs; $x = -1;", "$x int64"},
	{`$x = "abc"; $x = "abcdef";`, "$x string[7]"},
	{`$x = (1, "a", (2, 3)); $x = (300, "abcd", (2, 3000));`, "$x (int16,string[5],(int8,int16))"},
	{"$x = (1, 2); $x = ((uint64)1, (uint8)2);", "$x (uint64,uint8)"},
	{"$x = 1; $x += (uint64)3;", "$x uint64"},
	{"$x = 1; $x++;", "$x int64"},
	{"$x = (uint8)1; $x++;", "$x uint64"},
	{"let $x : uint64 = 1; let $y : string[10] = \"abc\"; let $z : typeof($x) = 3;", "$x uint64, $y string[10], $z uint64"},
	{"$x = pid ? 1 : 300; $y = pid ? 1 : (uint8)3; $z = pid ?: 1;", "$x int16, $y uint8, $z uint32"},
	{`$x = pid ? "a" : "abc"; $y = 1 ? 2 : "x";`, "$x string[4], $y int8"},
	{"$x = if (pid) { 1 } else { 300 }; $y = { let $q = 1; $q + 1 };", "$x int16, $y int64"},
	{"for $x : 0..10 { } for $y : 0..nsecs { } for $z : (uint8)0..(uint8)3 { }", "$x int8, $y uint64, $z uint8"},
	// Maps alike.
	{"@x = 1; @x = nsecs;", "@x uint64"},
	{"@x++; @y += 1; @z = @z + 1;", "@x int64, @y int64, @z int64"},
	{"@x++; @x = nsecs;", "@x uint64"},
	{"@x += 1; @x = (uint8)3;", "@x uint64"},
	{"@x[1] = 2; @x[300] = 70000;", "@x[int16] int32"},
	{`@x["a"] = 1; @x["abcdef"] = 1; @y[comm] = 1; @y["x"] = 1;`, "@x[string[7]] int8, @y[string[16]] int8"},
	{"@x[1, 2] = 1; @x[pid, nsecs] = 2;", "@x[(uint32,uint64)] int8"},
	{`@x = comm; @x = "this is a long string more than 16";`, "@x string[35]"},
	{"@x = count(); $x = @x; @y = sum((uint64)5); $y = @y; @z = avg(5); $z = @z;", "@x count_t, $x uint64, @y usum_t, $y uint64, @z avg_t, $z int64"},
	{"@x = sum(5); @x = sum(nsecs);", "@x usum_t"},
	{"@x = hist(5); @y = lhist(pid, 0, 100, 10); @z = stats(-1);", "@x hist_t, @y lhist_t, @z stats_t"},
	{`@m[1, "x"] = 1; for $x : @m { $y = $x.0; $z = $x.0.1; }`, "$x ((int8,string[2]),int8), $y (int8,string[2]), $z string[2]"},
	{"@m[1] = count(); for $x : @m { $y = $x.1; }", "$x (int8,uint64), $y uint64"}, // there the count_t stays in the tuple
	{"@x[curtask] = 1; @y[kstack] = 1;", "@x[struct task_struct *] int8, @y[kstack_bpftrace_127] int8"},
	// Builtins.
	{"$x = pid; $y = uid; $z = comm;", "$x uint32, $y uint64, $z string[16]"},
	{"$x = cpu; $y = rand; $z = elapsed;", "$x uint64, $y uint64, $z uint64"},
	{"$x = ppid; $y = probe; $z = username;", "$x int32, $y string[6], $z username_t"},
	{"$x = kstack; $y = ustack(perf, 5); $z = kstack(3);", "$x kstack_bpftrace_127, $y ustack_perf_5, $z kstack_bpftrace_3"},
	{`$x = strlen("abc"); $y = strcontains("abc", "b"); $z = strncmp("abc", "abd", 2);`, "$x uint64, $y bool, $z uint64"},
	{`$x = pton("1.2.3.4"); $y = ntop(1); $z = pton("::1");`, "$x uint8[4], $y inet, $z uint8[16]"},
	{"$x = ksym(0); $y = usym(0); $z = strftime(\"%H\", nsecs);", "$x ksym_t, $y usym_t, $z timestamp"},
	{`$x = sizeof(struct foo); $y = sizeof(uint32); $z = offsetof(struct foo, arr);`, "$x int8, $y int8, $z int8"},
	{`$x = (string[20])"abc"; $y = (int8[])"abc"; $z = (int8[4])"abc";`, "$x string[20], $y int8[4], $z int8[4]"},
	{"$x = (bool)1; $y = (uint8)true; $z = (bool)pid;", "$x bool, $y uint8, $z bool"},
	{`$x = str((int8 *)0, 16); $y = buf(0, 10); $z = str("ab");`, "$x string[17], $y buffer[10], $z string[3]"},
	{`@m[1] = 1; $x = has_key(@m, 1); $y = delete(@m, 1); $z = len(@m);`, "$x bool, $y bool, $z int64"},
	// Structs and pointers.
	{"$f = (struct foo *)0; $x = $f->a; $y = $f.s; $z = $f->n->n.l;", "$x int32, $y uint16, $z uint64"},
	{"$f = (struct foo *)0; $x = $f->arr; $y = $f->arr[1]; $z = $f->bf;", "$x int32[3], $y int32, $z uint32"},
	{"$f = (struct foo *)0; $x = $f->b; $y = $f->p; $z = *$f;", "$x string[4], $y void *, $z struct foo"}, // there a char[4] is a string[5]
	{"$f = (struct foo *)0; $x = $f + 1; $y = $f->b[1]; $z = *(uint32 *)0;", "$x struct foo *, $y int8, $z uint32"},
	{"$x = *5; $y = 5 + curtask; $z = curtask - 5;", "$x uint64, $y struct task_struct *, $z struct task_struct *"},
	{"$x = curtask->pid; $y = curtask->comm; $z = curtask->real_parent->tgid;", "$x int32, $y string[16], $z int32"},
	{"$y = 1; $x = &$y; $z = *$x;", "$x int8 *, $z int8"},
	{`$x = (a=1, b="s"); $y = $x.b;`, "$x record { .a = int8, .b = string[2] }, $y string[2]"},
	{`$t = (1, "a"); $x = $t.1; $y = $t[0]; $z = "abc"[1];`, "$x string[2], $y int8, $z int8"},
	{"$x = IPPROTO_TCP; $y = (uint16)IPPROTO_TCP;", "$x enum (anonymous), $y uint16"},
	{"$x = 1; if (pid) { $x = 300; } else if (tid) { $x = 70000; }", "$x int32"},
	{"if (1) { $x = 1 } else { $x = \"a\" }", "$x int8"},
}

// TestTypes checks what is inferred.
func TestTypes(t *testing.T) {
	target := kernel.NewFixture()
	for _, r := range typeRows {
		t.Run(r.script, func(t *testing.T) {
			src := syntax.NewSource("test", []byte(fooStruct+"begin { "+r.script+" }"))
			p, ds := syntax.Parse(src)
			info, more := Check(p, src, target, Options{})
			for _, d := range append(ds, more...) {
				if d.Severity == syntax.Error {
					t.Errorf("%s: %s", src.Where(d.Span.Start), d.Message)
				}
			}
			found := make(map[string]string)
			for _, m := range info.Maps {
				text := m.Name
				if !m.Scalar {
					text += "[" + m.Key.String() + "]"
				}
				found[m.Name] = text + " " + m.Value.String()
			}
			for node, v := range info.Vars {
				if v.Type != nil && found[v.Name] == "" {
					found[node.Name] = v.Name + " " + v.Type.String()
				}
			}
			for _, want := range strings.Split(r.want, ", ") {
				if strings.HasPrefix(want, ".") { // a record's second field
					continue
				}
				name := strings.FieldsFunc(want, func(r rune) bool { return r == ' ' || r == '[' })[0]
				if !strings.HasPrefix(found[name], want) {
					t.Errorf("got %q, want %q", found[name], want)
				}
			}
			complete(t, src, info)
		})
	}
}
