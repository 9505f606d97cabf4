package format

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var rows = []struct {
	in   string
	want []Item
	err  string
}{
	{"", nil, ""},
	{"plain\n", []Item{{Literal: "plain\n"}}, ""},
	{"%d", []Item{{Verb: "d"}}, ""},
	{"a%sb%%c", []Item{{Literal: "a"}, {Verb: "s"}, {Literal: "b%c"}}, ""},
	{"%-16s%8lld|", []Item{{Verb: "s", Flags: Minus, Width: 16}, {Verb: "d", Width: 8, Length: "ll"}, {Literal: "|"}}, ""},
	{"%-10.10s", []Item{{Verb: "s", Flags: Minus, Width: 10, Prec: 10, HasPrec: true}}, ""},
	{"%-+ #05d", []Item{{Verb: "d", Flags: Minus | Plus | Space | Hash | Zero, Width: 5}}, ""},
	{"%rx%rh%r%gr", []Item{{Verb: "rx"}, {Verb: "rh"}, {Verb: "r"}, {Verb: "gr"}}, ""},
	{"%rxh%rr", []Item{{Verb: "rx"}, {Literal: "h"}, {Verb: "r"}, {Literal: "r"}}, ""},
	{"%*d%-*d%.*d", []Item{{Verb: "d"}, {Verb: "d", Flags: Minus}, {Verb: "d", HasPrec: true}}, ""},
	{"%*.5d", []Item{{Verb: "d", Prec: 5, HasPrec: true}}, ""},
	{"%hld", []Item{{Verb: "d", Length: "hl"}}, ""},
	// Flags out of order, a '.' without digits, unknown letters: the text stands for itself.
	{"%0-5d", []Item{{Literal: "%0-5d"}}, ""},
	{"% +d", []Item{{Literal: "% +d"}}, ""},
	{"%--d", []Item{{Literal: "%--d"}}, ""},
	{"%.d", []Item{{Literal: "%.d"}}, ""},
	{"%5*d", []Item{{Literal: "%5*d"}}, ""},
	{"%'d", []Item{{Literal: "%'d"}}, ""},
	{"%y", []Item{{Literal: "%y"}}, ""},
	{"100%", []Item{{Literal: "100%"}}, ""},
	{"%ll", []Item{{Literal: "%ll"}}, ""},
	// A "%%" with anything between is a percent sign.
	{"%5%d", []Item{{Literal: "%d"}}, ""},
	{"% %", []Item{{Literal: "%"}}, ""},
	{"%%d", []Item{{Literal: "%d"}}, ""},
	{"%f", nil, "%f prints a floating-point number"},
	{"%5.2g", nil, "%g prints a floating-point number"},
	{"%n", nil, "%n stores"},
	{"%9999999999999999999999d", nil, "a width of more than"},
	{"%99999999999", []Item{{Literal: "%99999999999"}}, ""},
}

func TestParse(t *testing.T) {
	for _, tt := range rows {
		got, err := Parse(tt.in)
		var e *Error
		switch {
		case tt.err != "":
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.err) {
				t.Errorf("%q: error %v, want %q", tt.in, err, tt.err)
			}
		case err != nil:
			t.Errorf("%q: %v", tt.in, err)
		default:
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Item{}, "Offset")); diff != "" {
				t.Errorf("%q: %s", tt.in, diff)
			}
		}
	}
}

func TestOffset(t *testing.T) {
	items, err := Parse("ab%%c%5dxy%s")
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, it := range items {
		got = append(got, it.Offset)
	}
	if diff := cmp.Diff([]int{0, 5, 8, 10}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBytes(t *testing.T) {
	for length, want := range map[string]int{"": 4, "hh": 1, "h": 2, "l": 8, "ll": 8, "j": 8, "z": 8, "t": 8, "L": 4, "hhh": 4, "lz": 4} {
		if got := (&Item{Verb: "d", Length: length}).Bytes(); got != want {
			t.Errorf("%q: %d, want %d", length, got, want)
		}
	}
}

// Whatever comes in, the pieces lie in order within it, and literals are never empty or side by side.
func FuzzParse(f *testing.F) {
	for _, tt := range rows {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		items, err := Parse(s)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset >= len(s) || s[e.Offset] != '%' {
				t.Fatalf("%q: error %v", s, err)
			}
			return
		}
		for i, it := range items {
			if (it.Verb == "") == (it.Literal == "") {
				t.Fatalf("%q: item %d is %+v", s, i, it)
			}
			if i > 0 && (it.Offset <= items[i-1].Offset || it.Verb == "" && items[i-1].Verb == "") {
				t.Fatalf("%q: item %d follows %d: %+v", s, i, i-1, items)
			}
			if it.Width < 0 || it.Width > MaxWidth {
				t.Fatalf("%q: width %d", s, it.Width)
			}
		}
	})
}
