package check

import (
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// TestLayout checks the layout of C structs: the wanted numbers are those of gcc and clang on amd64 and arm64.
func TestLayout(t *testing.T) {
	for _, r := range []struct {
		c, expr string
		want    uint64
	}{
		{"struct s { char a; long b; short c; };", "sizeof(struct s)", 24},
		{"struct s { char a; long b; short c; };", "offsetof(struct s, c)", 16},
		{"struct s { char a; long b; short c; } __attribute__((packed));", "sizeof(struct s)", 11},
		{"union u { char a[5]; int b; };", "sizeof(union u)", 8},
		{"struct s { int a[2][3]; char b; };", "offsetof(struct s, b)", 24},
		{"struct s { unsigned int a:3, b:30; };", "sizeof(struct s)", 8},
		{"struct s { unsigned int a:3, b:29; char c; };", "offsetof(struct s, c)", 4},
		{"struct s { unsigned char a:3; unsigned int b:20; };", "sizeof(struct s)", 4},
		{"struct s { unsigned int a:3; unsigned int :0; unsigned int b:3; };", "sizeof(struct s)", 8},
		{"struct s { char a; struct { short b; int c; }; };", "offsetof(struct s, c)", 8},
		{"struct s { char a; union { char b; long c; } d; };", "offsetof(struct s, d.c)", 8},
		{"struct in { long x; }; struct s { char a; struct in b[2]; char c; };", "sizeof(struct s)", 32},
		{"struct s { struct s *next; void *p; char n[16]; };", "sizeof(struct s)", 32},
		{"enum e { A, B = 7, C };", "(uint64)C", 8},
		{"#define N (2 * 3)\n#define M N + 1", "(uint64)(M)", 7},
	} {
		info := checked(t, r.c+"\nbegin { print("+r.expr+"); }", kernel.NewFixture(), Options{})
		if len(info.Programs) != 1 {
			t.Fatal("no program")
		}
		call := info.Programs[0].Decl.Body.Stmts[0].(*syntax.ExprStmt).X.(*syntax.Call)
		if k := info.Consts[call.Args[0]]; k == nil || k.Int != r.want {
			t.Errorf("%s %s: got %v, want %d", r.c, r.expr, k, r.want)
		}
	}
}

// TestBitFields checks where bit fields are read from.
func TestBitFields(t *testing.T) {
	info := checked(t, "struct s { unsigned int a:3, b:7; unsigned long c:40; };\nbegin { $p = (struct s *)0; print($p.b); }", kernel.NewFixture(), Options{})
	for _, v := range info.Vars {
		if v.Name != "$p" {
			continue
		}
		for name, want := range map[string][3]int{"a": {0, 0, 3}, "b": {0, 3, 7}, "c": {0, 10, 40}} {
			f, _ := v.Type.Elem.Field(name)
			if got := [3]int{f.Offset, f.BitOffset, f.Bits}; got != want {
				t.Errorf("%s: got offset, bit offset, bits %v, want %v", name, got, want)
			}
		}
		return
	}
	t.Error("no $p")
}

// TestIncludes checks that files of --include come first, and that the kernel's own may be asked for and are not read.
func TestIncludes(t *testing.T) {
	header := syntax.NewSource("x.h", []byte("#define FROM_HEADER 5\nstruct h { int a; };\n"))
	info := checked(t, "#include <linux/sched.h>\n#ifdef FROM_HEADER\n#define SEEN 1\n#endif\nbegin { print(FROM_HEADER + SEEN + sizeof(struct h)); }",
		kernel.NewFixture(), Options{Includes: []*syntax.Source{header}})
	call := info.Programs[0].Decl.Body.Stmts[0].(*syntax.ExprStmt).X.(*syntax.Call)
	if k := info.Consts[call.Args[0]]; k == nil || k.Int != 10 {
		t.Errorf("got %v, want 10", k)
	}
}
