package print

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

// escapes: in, shown outside quotes, shown inside quotes, cells outside quotes.
var escapes = []struct {
	in, text, quoted string
	cells            int
}{
	{"", "", "", 0},
	{"plain ~!", "plain ~!", "plain ~!", 8},
	{"a\nb\tc\rd", `a\nb\tc\rd`, `a\nb\tc\rd`, 10},
	{"\x1b[2J\x7f\x00\a", `\x1b[2J\x7f\x00\x07`, `\x1b[2J\x7f\x00\x07`, 19},
	{`\ "`, `\ "`, `\\ \"`, 3},
	{"\u009b31m\u0085", `\u009b31m\u0085`, `\u009b31m\u0085`, 15},
	{"\x9b31m", `\x9b31m`, `\x9b31m`, 7},
	{"\u2028\u2029", `\u2028\u2029`, `\u2028\u2029`, 12},
	{"a\u202eb\u2066\u200e\u200f\u061c", `a\u202eb\u2066\u200e\u200f\u061c`, `a\u202eb\u2066\u200e\u200f\u061c`, 32},
	{"\u200b\u200d\ufeff\u00ad", `\u200b\u200d\ufeff\u00ad`, `\u200b\u200d\ufeff\u00ad`, 24},
	{"\U000e0041", `\U000e0041`, `\U000e0041`, 10},
	{"\xff\xc3(\xed\xa0\x80", `\xff\xc3(\xed\xa0\x80`, `\xff\xc3(\xed\xa0\x80`, 21},
	{"é\ufffdü", "é\ufffdü", "é\ufffdü", 3},
	{"e\u0301", "e\u0301", "e\u0301", 1},
	{"日本語", "日本語", "日本語", 6},
	{"😀a", "😀a", "😀a", 3},
	{"ｱＡ", "ｱＡ", "ｱＡ", 3},
	{"한\u1112\u1161\u11ab", "한\u1112\u1161\u11ab", "한\u1112\u1161\u11ab", 4},
}

func TestAppendText(t *testing.T) {
	for _, c := range escapes {
		got, cells := appendText([]byte("x"), []byte(c.in), false)
		if string(got) != "x"+c.text || cells != c.cells {
			t.Errorf("%q: %q, %d cells; want %q, %d", c.in, got[1:], cells, c.text, c.cells)
		}
		if got, _ := appendText(nil, []byte(c.in), true); string(got) != c.quoted {
			t.Errorf("%q quoted: %q, want %q", c.in, got, c.quoted)
		}
	}
}

func TestAppendCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		max   int
		want  string
		cells int
	}{
		{"abcdef", 6, "abcdef", 6},
		{"abcdefg", 6, "abcde…", 6},
		{"ab\x1bcd", 6, "ab…", 3},               // the escape would take four
		{"日本語", 6, "日本語", 6},                    //
		{"日本語x", 6, "日本…", 5},                   // a wide character is not halved
		{"abcde\u0301fg", 6, "abcde\u0301…", 6}, // a mark stays with its letter
		{"ab", 1, "…", 1},
	} {
		got, cells := appendCut([]byte("x"), []byte(c.in), c.max)
		if string(got) != "x"+c.want || cells != c.cells {
			t.Errorf("%q in %d: %q, %d cells; want %q, %d", c.in, c.max, got[1:], cells, c.want, c.cells)
		}
	}
}

// TestHiddenCoversUnicode holds the hand-written ranges against the tables of the standard library.
func TestHiddenCoversUnicode(t *testing.T) {
	mustHide := []*unicode.RangeTable{unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Bidi_Control, unicode.Join_Control}
	mayHide := append([]*unicode.RangeTable{unicode.Mn}, mustHide...)
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		visible := unicode.Is(unicode.Prepended_Concatenation_Mark, r)
		switch h := hidden(r); {
		case !h && !visible && unicode.In(r, mustHide...):
			t.Errorf("%U is shown as it is", r)
		case h && unicode.IsPrint(r) && !unicode.In(r, mayHide...):
			t.Errorf("%U is a visible character and is hidden", r)
		}
	}
}

func TestRuneWidth(t *testing.T) {
	for r, want := range map[rune]int{
		'a': 1, 'é': 1, 'ß': 1, '\u0301': 0, '\u20dd': 0, '中': 2, '\u3000': 2, 'ア': 2, 'ｱ': 1, '가': 2, '\u1161': 0,
		'😀': 2, '⌚': 2, '☃': 1, '𠀀': 2, '\U0003fffd': 2, '\U0003fffe': 1, '€': 1, '…': 1, 'α': 1, 'Я': 1,
		'\u0600': 1, '\u302a': 0, '\u3099': 0, '䷀': 2, '\ufffd': 1, '\U0010ffff': 1, '\u1100': 2,
	} {
		if got := runeWidth(r); got != want {
			t.Errorf("%U %c: %d cells, want %d", r, r, got, want)
		}
	}
	for i := 1; i < len(wide); i++ {
		if wide[i][0] <= wide[i-1][1] || wide[i][0] > wide[i][1] {
			t.Errorf("the table is out of order at %U", wide[i][0])
		}
	}
}

// Whatever eight bytes are taken at once for plain ones, each of them is.
func TestPlainPrefix(t *testing.T) {
	for at := range 8 {
		for b := range 256 {
			s := []byte("~~~  ~ ~ and more")
			s[at] = byte(b)
			want := 16
			if b < ' ' || b > '~' {
				want = 0
			}
			if got := plainPrefix(s); got != want {
				t.Errorf("byte %#x at %d: %d bytes, want %d", b, at, got, want)
			}
		}
	}
	for n := range 8 {
		if got := plainPrefix(make([]byte, n)); got != 0 {
			t.Errorf("%d bytes: %d", n, got)
		}
	}
}
