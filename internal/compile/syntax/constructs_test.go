package syntax

// constructs are scripts of one construct each: the golden file has their trees and formatted texts, and the fuzz
// targets start from them. A body stands for begin { body }.
var constructs = []struct{ name, body, script string }{
	// Literals.
	{name: "integers", body: `f(0, 10, 017, 0x1F, 0X1f, 1_000, 1__0, 0x1_f, 00)`},
	{name: "scientific", body: `f(1e6, 1E6, 1e19, 1e1_0)`},
	{name: "suffixes", body: `f(1u, 2ul, 3ull, 4l, 5ll, 6UL, 7lu, 0x10ul, 010u)`},
	{name: "durations", body: `f(1ns, 2us, 3ms, 4s, 5m, 6h, 7d, 1e3ms, 0ms)`},
	{name: "largest", body: `f(18446744073709551615, 0xffffffffffffffff, -9223372036854775808)`},
	{name: "strings", body: `f("", "a b", "\n\t\r\\\"", "\x41\x4", "\101\0\377", "é", "// no comment /* nor this")`},
	{name: "booleans", body: `f(true, false, True)`},
	{name: "positional", body: `f($1, $23, $#, $01)`},

	// Names.
	{name: "variables", body: `$x = 1; @ = 1; @m = $x; @if = $if; _ = f(1);`},
	{name: "maps", body: `@[1] = 2; @x[1, "a"] = @[@x[1]]; @x[(1,2)]; @x [1]; @x[1][2]; @x.y; (@x)[1]`},
	{name: "names", body: `pid; comm; AF_INET; config.x; begin`},
	{name: "calls", body: `f(); f(1); f (1, "a", @m); delete(@m[1]); f(g(h(1)))`},
	{name: "call with types", body: `f(struct x, union y *, unsigned long, string[4], uint8, typeof($x))`},

	// Operators.
	{name: "precedence", body: `$a = 1 || 2 && 3 | 4 ^ 5 & 6 == 7 < 8 << 9 + 10 * 11`},
	{name: "precedence reversed", body: `$a = 11 * 10 + 9 << 8 < 7 == 6 & 5 ^ 4 | 3 && 2 || 1`},
	{name: "associativity", body: `f(1 - 2 - 3, 1 - (2 - 3), 8 / 4 / 2, 8 % (5 % 3), 1 < 2 < 3, 1 << 2 << 3)`},
	{name: "parentheses", body: `f((1 + 2) * 3, 1 + 2 * 3, (1), ((2)), (1 | 2) & 3, a & b == c, a && (b || c), a || b && c)`},
	{name: "unary", body: `f(!1, ~1, -1, - 1, - -1, -(-1), !!1, *$p, **$p, -$x.y, (-$x).y, *$x.y, (*$x).y, 1 - -1, -1 * -2)`},
	{name: "address", body: `f(&$x, &@m, *&$x, a & &$x)`},
	{name: "steps", body: `$x++; ++$x; @m[1]--; --@m; *$x++; $a = $x++ + ++$y - $z-- - --$w; $x---1; - --$x`},
	{name: "ternary", body: `$a = 1 ? 2 : 3; $a = 1 ?: 3; $a = 1 ? 2 : 3 ? 4 : 5; $a = (1 ? 2 : 3) ? 4 : 5; $a = 1 ? 2 ? 3 : 4 : 5; $a = 1 ? : 3 ?: 4`},
	{name: "members", body: `f(args.x, args->x, $x.y->z, $x . y, $x.if, $x.config, @m[1].x, f(1).x, "abc"[0], $x[1][2].y[3])`},
	{name: "compound assignment", body: `$x += 1; $x -= 1; $x *= 2; $x /= 2; $x %= 2; $x &= 1; $x |= 1; $x ^= 1; $x <<= 1; @m[1] >>= 1`},
	{name: "division", body: `$a = $b / $c / 2; $a /= 2`},

	// Types.
	{name: "casts", body: `f((uint64)x, (uint64)-1, (uint64)$x.y, ((uint64)$x).y, (uint64)x + 1, (int8)(1 + 2), (uint64)--$x, (uint8)++$x)`},
	{name: "casts by name", body: `f((x)-1, (x)1, (x)"s", (x)(1), (x)*$y, (x)&$y, (x)~1, (x)(1, 2), (x)if (1) { 2 } else { 3 })`},
	{name: "no casts", body: `f((pid)-1, (arg0)-1, (sarg1)*2, (cpu)-1, (x), (x)+1, (x)==1, (x)&&$y, (x)[0], (x).y, (x[3]), (x*y))`},
	{name: "pointer casts", body: `f((struct x *)$p, (struct x**)1, (union y*)1, (enum z)1, (void *)1, (x*)-1, (x*)(1), (uint64 *)$x, ((struct x *)$p)->y)`},
	{name: "array casts", body: `f((uint8[4])x, (int8[])"abc", (string[10])"s", (buffer[4])$x, (inet[16])1, (uint64*[4])$x, (uint64[4]*)$x, (x[3])5, (string[4][2])1)`},
	{name: "types of C", body: `f((unsigned long)1, (unsigned)1, (const char *)$p, (long long int)1, (const struct x *)$p, (unsigned int *)$p)`},
	{name: "typeof", body: `f((typeof($x))1, (typeof($x)*)1, typeof(uint8), (typeof(struct x *)), (typeof($x)), typeof)`},
	{name: "sizeof", body: `f(sizeof(uint64), sizeof(struct x), sizeof(struct x *), sizeof(x), sizeof($x + 1), sizeof(x*), sizeof(uint8[4]), sizeof(x[1]), sizeof (typeof($x)), sizeof((uint8)))`},
	{name: "offsetof", body: `f(offsetof(struct x, a), offsetof(struct x, a.b.c), offsetof(x, a), offsetof($x, a->b), offsetof(typeof($x), a))`},
	{name: "typeinfo", body: `f(typeinfo($x), typeinfo(uint8), typeinfo)`},
	{name: "comptime", body: `f(comptime 1, comptime (1 + 2), comptime 1 + 2, !comptime x, comptime { 1 }, comptime)`},

	// Tuples, records, blocks.
	{name: "tuples", body: `f((), (1,), (1, 2), (1, 2,), ((1, 2), 3), $t.0, $t.0.1, $t.x.0, (1, 2).0, (1, 2)[0], $t. 1, $t.1_0)`},
	{name: "records", body: `f((x=1), (x=1, y="s"), (x=1, y=(z=2)), (x == 1), (x = 1, y = 2).x, (x=1,))`},
	{name: "if as value", body: `$a = if 1 { 2 } else { 3 }; $a = if 1 { f(); 2 } else if 2 { 3 } else { 4 } + 1; f(if 1 { 2 } else { 3 }); $a = if 1 { 2 }`},
	{name: "block as value", body: `$a = { 1 }; $a = { f(); 2 }; $a = { f(); }; $a = {}; f({ 1 }, 2); $a = - { 1 }; return { 1 }`},
	{name: "braces go on", body: `if 1 { 2 } else { 3 } + 1; { 1 } + 1; if 1 {} *$x; if 1 {} -1; if 1 {}; *$x; { 1 }.x; ({ 1 }); (if 1 {})`},
	{name: "braces end", body: `if 1 {} (1, 2); if 1 {} ++$y; if 1 {} $y++; { 1 } (1); if 1 {} --$y; { f(); } ; -1`},

	// Statements.
	{name: "empty", body: ``},
	{name: "empty statements", body: `;; f();; f(); for $i : 0..1 {};`},
	{name: "last without semicolon", body: `f(); 1`},
	{name: "let", body: `let $x; let $x = 1; let $x : uint8; let $x: struct foo * = 1; let $x : typeof($y) = 1;`},
	{name: "if", body: `if (1) {} if 1 { f() } if !$a { f(); } else { g() } if f(1).x {} else if (2) {} else if @m[1] { } else { 4 }`},
	{name: "if with operators", body: `if $a == 1 { } if ($a) == 1 && $b { } while $a < 3 { } if (a) { 1 };`},
	{name: "if at compile time", body: `if comptime 1 { } if comptime (1 == 2) { } else { } if comptime { 1 } { }`},
	{name: "loops", body: `while (1) { break; } while $x { continue } unroll (3) { } unroll 4 { f() } unroll ($x + 1) { }`},
	{name: "ranges", body: `for $i : 0..5 {} for ($i : 0 .. 5) { f($i) } for $i : $a..f(2) {} for $i : ($a + 1)..($b * 2) {} for $i : $a + 1..$b.x {} for ($i : -1..@m[2]) {} for $i : ((uint64)0)..5 {}`},
	{name: "maps in loops", body: `for $kv : @m { print($kv.0) } for ($kv : @m) { } for $kv : (@m) { } for $kv : @ { }`},
	{name: "jumps", body: `return; return 1; return { 1 }; return -1; return`},
	{name: "comments", script: "// one\n\n/* two */ begin // three\n{ // four\n  f(1, /* five */ 2); // six\n\n\n  /* seven\n     more */\n  if (1) { // eight\n  } // nine\n  else { f() } /* ten */ g();\n  $x = { // eleven\n    1 };\n  if (1 /* twelve */) {} /* thirteen */ else if /* fourteen */ 2 {}\n  // fifteen\n}\n// sixteen\nend {}\n\n\n\n// seventeen"},
	{name: "comments everywhere", script: "config = { /* a */ x = /* b */ 1; // c\n // d\n}\n// e\nlet @m /* f */ = hash(1); // g\nmacro /* h */ m(/* i */ $v) /* j */ { }\nkprobe:f, // k\n// l\nkprobe:g // m\n/* n */ / 1 /* o */ / // p\n{ }"},
	{name: "long lines", script: "kprobe:f /comm == \"a long name of a command\" && arg0 > 1000000 && (arg1 & 0xffff) != 0 && pid != 1/ { printf(\"%d %d %d %d %d %d %d %d %s\\n\", pid, tid, uid, gid, arg0, arg1, arg2, arg3, str(arg4)); $a_long_variable_name = some_function(some_argument, another_argument, more($x), more($y)); if (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa || bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb || ccccccccccccccccccccccccccc) { } }"},

	// Attach points and predicates.
	{name: "attach points", script: "begin { } BEGIN{}end{} kprobe:f,kprobe:g { } kprobe:f , fentry:h , { }"},
	{name: "raw attach points", script: `uprobe:/bin/bash:main { } uprobe:/bin/my/f/x/ { } kprobe:f+0x10 { } interval:1s { } kprobe:f/*x*/ { } *:g,?:[a] { } kprobe:a$1b { } watchpoint:0x1000:8:rw { } uprobe:/a:cpp:b::c { }`},
	{name: "quoted attach points", script: `uprobe:"/bin/my bash":"f{,}" { } uprobe:"/a\"b":f { } uprobe:/bin/x:"a::b(int, char*)" { } "kprobe":a { } kprobe:"f"+10 { }`},
	{name: "named attach points", script: `a=kprobe:f { } a=kprobe:f,b=kprobe:g=h { } kprobe:c=d { }`},
	{name: "predicates", script: "begin /1/ { } begin/ $x / 2 /{ } kprobe:f /a && b/\n// c\n{ } end/1/{} begin /f({ 1 })/ { } kprobe:f, /1/ { } end // c\n{ } end/*c*/{ }"},

	// What else stands outside of blocks.
	{name: "sections", script: "#!/usr/bin/env bpftrace -v\n#include <a.h>\nstruct x { int y; };\nenum { A };\nimport \"a.bt\";\nconfig = { a = 1; b = \"x\"; c = true; d = foo }\nimport \"b\";\nlet @m = hash(10);\nlet @n = lruhash(0x10)\nbegin { }"},
	{name: "byte order mark", script: "\xef\xbb\xbfbegin { }\r\nend {\r\n  f();\r\n}\r\n"},
	{name: "only a comment", script: "// nothing\n"},
	{name: "macros", script: `macro a() { 1 } macro b($x, @y, z) { @y[$x] = z; @y[$x] } macro c(x) { (x) - 1 } macro d(x,) { if x { 1 } else { 2 } } macro e(x) { if x { 1 } } macro f() { { 1 } } macro g() { f(); { 1; } }`},
	{name: "functions", script: `fn f($a : uint64, $b: struct x *) : void { } fn g() : typeof(1) { return 1 }`},
	{name: "probes named by keywords", script: `config:f { } macro:f { } fn:f { } import:f { } struct:f { }`},
	{name: "conditional C part", script: "#ifdef A\nit's \"anything {\n#else\nint f(void) { return 1; }\n#endif\nstruct x { char c; /* } */ } __attribute__((packed))\ntypedef int y;\nbegin { }"},
}

// script is the whole text of a construct.
func constructScript(i int) string {
	if constructs[i].script != "" {
		return constructs[i].script
	}
	return "begin { " + constructs[i].body + " }"
}
