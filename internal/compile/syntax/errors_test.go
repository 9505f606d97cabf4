package syntax

import (
	"fmt"
	"strings"
	"testing"
)

// errors lists wrong scripts with all they are told, as line:col-col: message.
var errorTable = []struct {
	script string
	want   []string
}{
	// Literals.
	{`begin { $a = 08 }`, []string{"1:14-16: digit 8 in octal number 08"}},
	{`begin { $a = 1_ }`, []string{"1:14-16: a number cannot end in '_'"}},
	{`begin { $a = 0xg }`, []string{"1:14-17: number 0xg has no digits"}},
	{`begin { $a = 10e3 }`, []string{"1:14-18: number 10e3: only one digit from 1 to 9 may stand before the 'e'"}},
	{`begin { $a = 1e0 }`, []string{"1:14-17: number 1e0: the exponent must be a positive number"}},
	{`begin { $a = 1e20 }`, []string{"1:14-18: number 1e20 does not fit in 64 bits"}},
	{`begin { $a = 18446744073709551616 }`, []string{"1:14-34: number 18446744073709551616 does not fit in 64 bits"}},
	{`begin { $a = 1000000d }`, []string{"1:14-22: number 1000000d does not fit in 64 bits as nanoseconds"}},
	{`begin { $a = 10msx }`, []string{"1:16-19: number 10msx has an unknown suffix 'msx'"}},
	{`begin { $a = 1.5 }`, []string{"1:14-17: there are no numbers with a decimal point"}},
	{`begin { $a = 'a' }`, []string{"1:14-15: characters in single quotes are not supported"}},
	{`begin { $a = "\q\400\x" }`, []string{`1:15-17: unknown escape \q in a string`, `1:17-21: octal escape \400 is larger than one byte`, `1:21-23: \x needs one or two hexadecimal digits`}},
	{"begin { f(\"a\nb\"); }", []string{"1:11-13: the string has no closing quote"}},
	{"begin { f(\"a);\n g(); }", []string{"1:11-15: the string has no closing quote"}},
	{`begin { $a = $0 }`, []string{"1:14-16: positional parameters count from $1 up"}},
	{`begin { $a = 1 /* x }`, []string{"1:16-18: the comment is not closed"}},
	{"begin { $a = \x01; é }", []string{"1:14-15: expected an expression, found the character '\\x01'", "1:17-19: expected an expression, found the character 'é'"}},

	// Expressions.
	{`begin { $a = ; }`, []string{"1:14-15: expected an expression, found ';'"}},
	{`begin { $a = 1 + }`, []string{"1:18-19: expected an expression, found '}'"}},
	{`begin { f(1 2) }`, []string{"1:13-14: expected ',' or ')' after the argument of f, found '2'"}},
	{`begin { f(1,) }`, []string{"1:13-14: expected an expression, found ')'"}},
	{`begin { @x[1,] = 1 }`, []string{"1:14-15: expected an expression, found ']'"}},
	{`begin { @x[1 = 2 }`, []string{"1:14-15: expected ']' after the key of the map, found '='"}},
	{`begin { $a = x++; 5--; ++$x.y }`, []string{"1:14-15: ++ and -- take a variable or a map", "1:19-20: ++ and -- take a variable or a map", "1:26-30: ++ and -- take a variable or a map"}},
	{`begin { $a = &args; $b = &@m[1] }`, []string{"1:15-19: & takes the address of a $variable or a @map, not of 'args'", "1:27-32: & takes the address of a whole map, not of an entry"}},
	{`begin { $x.y = 1; $x[0] = 1; *$p = 1; x = 1; _ += 1; 5 = 1 }`, []string{
		"1:9-13: cannot assign to a member: tuples, records and structs cannot be changed", "1:19-24: cannot assign to this",
		"1:30-33: cannot assign to this", "1:39-40: cannot assign to x", "1:46-47: cannot assign to _", "1:54-55: cannot assign to this"}},
	{`begin { $x = $y = 1 }`, []string{"1:17-18: expected ';' after the statement, found '='"}},
	{`begin { if ($x = 1) { f( } }`, []string{"1:16-17: an assignment is no expression", "1:26-27: expected an expression, found '}'"}},
	{`begin { $a = 1 ? 2 }`, []string{"1:20-21: expected ':' of the ?: operator, found '}'"}},
	{`begin { $a = $t->0 }`, []string{"1:18-19: expected the name of a member after '->', found '0'"}},
	{`begin { $a = (x=1, 2) }`, []string{"1:20-21: expected the name of a member, found '2'"}},
	{`begin { $a = sizeof $x; $b = offsetof(struct x) }`, []string{"1:21-23: expected '(' after sizeof, found '$x'", "1:47-48: expected ',' and the name of a member, found ')'"}},
	{`begin { $a = (struct)1; $b = (struct x *) }`, []string{"1:22-23: expected ';' after the statement, found '1'", "1:43-44: expected an expression, found '}'"}},
	{`begin { let $x : = 1; let $y : uint8[z] }`, []string{"1:18-19: expected a type, found '='", "1:38-39: expected a number as the length of the array, found 'z'"}},
	{`begin { return return }`, []string{"1:16-22: expected an expression, found the keyword return"}},

	// Statements.
	{`begin { print(1) print(2) }`, []string{"1:18-23: expected ';' after the statement, found 'print'"}},
	{"begin {\n  print(1)\n  print(2)\n}", []string{"2:10-11: expected ';' after the statement"}},
	{`begin { let @x = 1; let $y = 2 }`, []string{"1:13-15: expected a $variable after let, found '@x'"}},
	{`begin { else { } }`, []string{"1:9-13: else without an if before it"}},
	{`begin { if 1 print(1); f(; }`, []string{"1:14-19: expected '{' before the body of the if, found 'print'", "1:26-27: expected an expression, found ';'"}},
	{`begin { if 1 { } else 2 }`, []string{"1:23-24: expected '{' or if after else, found '2'"}},
	{`begin { for $i in 0..5 { f( } }`, []string{"1:16-18: expected ':' after the variable of the loop, found 'in'", "1:29-30: expected an expression, found '}'"}},
	{`begin { for i : 0..5 { } }`, []string{"1:13-14: expected the $variable of the loop, found 'i'"}},
	{`begin { for $i : 5 { } for $i : @m[1] { } }`, []string{"1:20-21: expected '..' after the start of the range, found '{'", "1:39-40: expected '..' after the start of the range, found '{'"}},
	{`begin { import "x"; }`, []string{"1:9-15: an import must stand outside of blocks"}},
	{`begin { $a = 1) ; f(1 }`, []string{"1:15-16: expected ';' after the statement, found ')'", "1:23-24: expected ',' or ')' after the argument of f, found '}'"}},
	{"begin {\n#define X 1\n}", []string{"2:1-2: preprocessor lines must stand before everything else"}},

	// Recovery goes on with the next statement, block or probe.
	{"begin { print(1 }\nend { print(2; }", []string{"1:17-18: expected ',' or ')' after the argument of print, found '}'", "2:14-15: expected ',' or ')' after the argument of print, found ';'"}},
	{"begin { if (1) { f(1; }\n $b = ; }\nend { $x = ) }", []string{"1:21-22: expected ',' or ')' after the argument of f, found ';'", "2:7-8: expected an expression, found ';'", "3:12-13: expected an expression, found ')'"}},
	{"begin { whle ($x) { f( } g(1; }", []string{"1:19-20: expected ';' after the statement, found '{'", "1:24-25: expected an expression, found '}'", "1:29-30: expected ',' or ')' after the argument of g, found ';'"}},
	{"begin {\n  f(\nkprobe:f { g(; }", []string{"1:7-8: this '{' is never closed", "3:7-8: expected ',' or ')' after the argument of f, found ':'", "3:14-15: expected an expression, found ';'"}},
	{"begin {\n  if 1 {\n    f();\nkprobe:f { g(; }", []string{"2:8-9: this '{' is never closed", "4:14-15: expected an expression, found ';'"}},
	{"begin { f(); \nend { g() }", []string{"1:7-8: this '{' is never closed"}},
	{"begin { f() } }\nend { }", []string{"1:15-16: '}' without a '{' before it"}},

	// Outside of blocks.
	{`{ }`, []string{"1:1-2: expected a probe, found '{'"}},
	{`begin`, []string{"1:6-6: expected '{' or a /predicate/ after the probe begin, found the end of the script"}},
	{"kprobe:f g { f( }\nbegin { g(; }", []string{"1:10-11: expected '{' or a /predicate/ after the probe kprobe:f, found 'g'", "1:17-18: expected an expression, found '}'", "2:11-12: expected an expression, found ';'"}},
	{"kprobe: f { }", []string{"1:9-10: expected '{' or a /predicate/ after the probe kprobe:, found 'f'"}},
	{"kprobe:f, , kprobe:g { }", []string{"1:11-12: expected a probe, found ','"}},
	{`uprobe:"/bin/my":"f { }`, []string{"1:18-24: the quote in the probe is not closed"}},
	{`begin /1 { }`, []string{"1:10-11: the predicate is not closed"}},
	{`begin / / { }`, []string{"1:9-10: expected an expression, found '/'"}},
	{`begin /1, 2/ { }`, []string{"1:9-10: expected '/' to close the predicate, found ','"}},
	{"$x = 1;\nbegin { f( }", []string{"1:4-5: expected '{' or a /predicate/ after the probe $x, found '='", "2:12-13: expected an expression, found '}'"}},
	{"begin { }\n#define X 1\nstruct x { int y; };\nend { }", []string{"2:1-2: C definitions must stand before everything else", "3:1-7: C definitions must stand before everything else"}},
	{"begin { } config = { a = 1 } import \"x\";", []string{"1:11-17: config must stand before the first probe, macro and function", "1:30-36: an import must stand before the first probe, macro and function"}},
	{"config = { a = 1 } config = { b = 2 }", []string{"1:20-26: there is a config block already"}},
	{"config = { a = -1; b 2; c = 3 }", []string{"1:16-17: expected a number, a string, a word, true or false as the value of the setting, found '-'", "1:22-23: expected '=' after the name of the setting, found '2'"}},
	{"let $m = 1; begin { f( }", []string{"1:5-7: outside of blocks, let declares a map, found '$m'"}},
	{"let @m = hash();\nbegin { f( }", []string{"1:15-16: expected the number of entries of the map, found ')'", "2:12-13: expected an expression, found '}'"}},
	{"macro a(1) { f( }", []string{"1:9-10: expected $name, @name or name as a parameter of the macro, found '1'", "1:17-18: expected an expression, found '}'"}},
	{"macro a(@m[1]) { }", []string{"1:9-14: a macro takes a whole map, without a key"}},
	{"macro a { }", []string{"1:9-10: expected '(' after the name of the macro, found '{'"}},
	{"fn f() { }", []string{"1:8-9: expected ':' and the type of the function's result, found '{'"}},
}

func TestErrors(t *testing.T) {
	for _, c := range errorTable {
		src := NewSource("x", []byte(c.script))
		_, diags := Parse(src)
		compareDiagnostics(t, src, diags, c.want)
	}
}

func compareDiagnostics(t *testing.T, src *Source, diags []Diagnostic, want []string) {
	t.Helper()
	var got []string
	for _, d := range diags {
		line, col := src.Position(d.Span.Start)
		got = append(got, fmt.Sprintf("%d:%d-%d: %s", line, col, col+int(d.Span.End-d.Span.Start), d.Message))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\ngot:\n\t%s\nwant:\n\t%s", src.Text, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
