package syntax

import (
	"strings"
	"testing"
)

const cSample = `// before
#include <a/b.h>
#include "c.h"
#define N 4 /* four */
#define M (N*2)
#define LONG 1 + \
  2
#define EMPTY
#define T unsigned long
#if FOO == 3 && defined(N) && !defined NOPE
#define YES 0x10UL
#else
#define NO 1
it's not C at all
#endif
#ifdef NOPE
#include "skipped.h"
#elif N > 3 && (1 ? 'a' == 97 : 0)
#define ELIF 1
#else
#define ELSE
#endif
#undef EMPTY
#define Q (N) - 1
#define FLAGS (N) & (M)
#define CH 'a'
#define WORDS do { } while (0)
#define AGAIN 1
#define AGAIN 2
#pragma once
#
struct s {
  int a, *b, c[N][M+1]; // }
  unsigned long long int d:3, :4;
  struct { char x; union { T y; u8 z; }; } in[2];
  struct in2 { int q; } *p2;
  struct { int anon; };
  union { int u1; long u2; };
  void (*fn)(int, struct s *);
  int (*row)[3];
  const char * const str;
  struct list_head __attribute__((unused)) h;
  enum { RED, GREEN = 5, BLUE } color;
  short unsigned su; signed char sc; _Bool flag; double d2;
  char flex[];
} __attribute__((packed));
struct later;
enum e { A, B = N, C = B << 2, D = -1, E, F = ~0 & 0xff, G = 'a', H = (7 / 2) % 2, };
typedef struct { int z; } tz, *ptz;
typedef unsigned int uint;
typedef struct s s_t[BLUE];
union u { int x; };
begin { }
`

func TestPreprocess(t *testing.T) {
	p, src := mustParse(t, "c", []byte(cSample))
	for range 2 { // it may run again
		diags := Preprocess(src, p.C, map[string]string{"FOO": "3"})
		for _, d := range diags {
			t.Error(src.Render(d, false))
		}
	}
	text := p.C.Text
	p.C.Text = ""
	golden(t, "preprocess", []byte(Dump(p)))
	for _, d := range p.C.Defines {
		if got := string(src.Text[d.S.Start:d.S.End]); got != d.Name {
			t.Errorf("#define %s stands at %q", d.Name, got)
		}
	}
	if Preprocess(src, nil, nil) != nil {
		t.Error("errors without a C part")
	}
	p.C.Text = text
}

// The same script with and without a name defined beforehand.
func TestPredefined(t *testing.T) {
	script := "#ifndef HAVE\n#include <x.h>\n#else\n#define X 1\n#endif\nbegin { }"
	for _, c := range []struct {
		defined           map[string]string
		includes, defines int
	}{{nil, 1, 0}, {map[string]string{"HAVE": ""}, 0, 1}} {
		p, src := mustParse(t, "x", []byte(script))
		if diags := Preprocess(src, p.C, c.defined); len(diags) > 0 || len(p.C.Includes) != c.includes || len(p.C.Defines) != c.defines {
			t.Errorf("%v: %v, %d includes, %d defines", c.defined, diags, len(p.C.Includes), len(p.C.Defines))
		}
	}
}

func TestPreprocessErrors(t *testing.T) {
	for _, c := range []struct {
		script string
		want   []string
	}{
		{"#if 1\nbegin { }", []string{"1:1-4: this #if has no #endif"}},
		{"#else\n#elif 1\n#endif", []string{"1:1-6: #else without an #if before it", "2:1-6: #elif without an #if before it", "3:1-7: #endif without an #if before it"}},
		{"#if 1\n#else\n#else\n#endif", []string{"3:1-6: #else after #else"}},
		{"#if 1 +\n#endif", []string{"1:1-4: the condition of this line: expected a number"}},
		{"#if 1 / 0\n#endif\n#if 1 2\n#endif", []string{"1:1-4: the condition of this line: division that has no result", "3:1-4: the condition of this line: unexpected 2"}},
		{"#if defined(\n#endif", []string{"1:1-4: expected defined(NAME)"}},
		{"#include\n#include <x\n#include x", []string{"1:1-9: expected \"file\" or <file> after #include", "2:1-9: expected \"file\" or <file> after #include", "3:1-9: expected \"file\" or <file> after #include"}},
		{"#define\n#define 1\n#undef", []string{"1:1-8: expected a name after this", "2:1-8: expected a name after this", "3:1-7: expected a name after this"}},
		{"#define F(x) x", []string{"1:9-10: the #define of F is ignored: it takes parameters; write a macro of this language instead"}},
		{"#error no such thing", []string{"1:1-7: #error no such thing"}},
		{"#if 0\n#error no such thing\n#foo\n#if nonsense (\n#endif\n#endif", nil},
		{"#foo", []string{"1:1-5: unknown preprocessor line #foo"}},
		{"struct x { int a", []string{"1:10-11: this '{' is never closed"}},
		{"struct x { int a; } ; struct x { int b; };", []string{"1:23-31: struct x is defined twice"}},
		{"struct x { int a b; int c; };\nstruct y { int 3; };\nstruct z { int ok; };", []string{"1:18-19: expected ';' after the member, found 'b'", "2:16-17: expected ';' after the member, found '3'"}},
		{"struct x { int a[n]; int b : 65; int c[-1]; };", []string{
			"1:18-19: the length of the array: n is not a constant that is known here", "1:30-32: the width of the bit field: 65 is not between 0 and 64",
			"1:40-42: the length of the array: -1 is not between 0 and 1073741824"}},
		{"struct x { uint8; };", []string{"1:12-17: this member has no name"}},
		{"struct x { int a __attribute__((aligned(8))); };", []string{"1:33-40: the alignment is ignored"}},
		{"enum e { A = x, B, };\nenum f { 1 };", []string{"1:14-15: the value of A: x is not a constant that is known here", "2:10-11: expected a name, found '1'"}},
		{"typedef int;", []string{"1:12-13: expected the name of the type"}},
		{"#if 1\nint f(void);\n#endif\nstruct x { int a; };", []string{"2:1-4: expected struct, union, enum or typedef, found 'int'"}},
	} {
		src := NewSource("x", []byte(c.script))
		p, diags := Parse(src)
		for _, d := range diags {
			t.Errorf("%s: %s", c.script, d.Message)
		}
		compareDiagnostics(t, src, Preprocess(src, p.C, nil), c.want)
	}
}

// Macros of macros must not take forever, whether or not anything comes out.
func TestMacroBomb(t *testing.T) {
	for _, leaf := range []string{"", "1"} {
		var b strings.Builder
		b.WriteString("#define a0 " + leaf + "\n")
		last := "a0"
		for i := 1; i < 60; i++ {
			name := "a" + strings.Repeat("x", i)
			b.WriteString("#define " + name + " " + last + " " + last + "\n")
			last = name
		}
		b.WriteString("enum { X = " + last + " };\n#define self self\n#if self\n#endif\n")
		src := NewSource("bomb", []byte(b.String()))
		p, _ := Parse(src)
		diags := Preprocess(src, p.C, nil)
		if len(diags) != 1 || !strings.Contains(diags[0].Message, "too large") {
			t.Errorf("%q: %v", leaf, diags)
		}
	}
}
