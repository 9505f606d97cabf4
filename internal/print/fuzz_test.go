package print

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"sonde/internal/prog"
)

// checkLine fails unless b is one line in which nothing commands a terminal.
func checkLine(t *testing.T, b []byte) {
	t.Helper()
	if len(b) == 0 || bytes.IndexByte(b, '\n') != len(b)-1 {
		t.Fatalf("not one line: %q", b)
	}
	if !utf8.Valid(b) {
		t.Fatalf("not UTF-8: %q", b)
	}
	for _, r := range string(b[:len(b)-1]) {
		if hidden(r) || r == 0x7F {
			t.Fatalf("%U in %q", r, b)
		}
	}
}

func seed(f *testing.F) {
	for _, c := range escapes {
		f.Add([]byte(c.in), uint8(0), uint8(40))
	}
	for _, c := range strs {
		f.Add([]byte(c.in), uint8(7), uint8(200))
	}
}

// FuzzColumns: any bytes, as name and as words, make one safe line whatever the options.
func FuzzColumns(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte, options, width uint8) {
		cols := []prog.Column{{Head: "COMM", Field: "comm", Width: 16},
			{Head: "ARGV", Field: "argv", Width: 9, Right: options&8 != 0, Quote: options&1 != 0, MaxWords: int(options >> 6)},
			{Head: "FLAGS", Field: "flags", Mark: "argv_truncated"}}
		row := execRow(num(0), num(1), num(1), prog.Value{Bytes: b}, prog.Value{List: bytes.Split(b, []byte{' '})},
			num(int64(options>>4&1)), num(0), num(0), num(0), num(0), prog.Value{List: bytes.Split(b, []byte{0})})
		line := show(t, func(w *bytes.Buffer) Sink {
			return NewColumns(w, sample, cols, ColumnOptions{Exact: options&2 != 0, NoHeading: true, Width: int(width)})
		}, row)
		checkLine(t, line)
	})
}

// FuzzText: the cells that are returned are those of what is appended, and quoted text can be taken back.
func FuzzText(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte, _, width uint8) {
		out, cells := appendText(nil, b, false)
		checkLine(t, append(out, '\n'))
		if got := textWidth(string(out)); got != cells {
			t.Fatalf("%q: %d cells, said %d", out, got, cells)
		}
		limit := 1 + int(width)
		cut, n := appendCut(nil, b, limit)
		checkLine(t, append(cut, '\n'))
		if n > limit || n != textWidth(string(cut)) || cells <= limit && !bytes.Equal(cut, out) {
			t.Fatalf("%q in %d: %q, said %d cells", b, limit, cut, n)
		}
		quoted, _ := appendText(nil, b, true)
		if back := unquote(t, quoted); !bytes.Equal(back, b) {
			t.Fatalf("%q came back as %q from %s", b, back, quoted)
		}
	})
}

// unquote undoes the escapes of quoted text.
func unquote(t *testing.T, s []byte) (out []byte) {
	for len(s) > 0 {
		if s[0] != '\\' {
			out, s = append(out, s[0]), s[1:]
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
		if digits == 0 {
			out = append(out, map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '"': '"', '\\': '\\'}[s[1]])
			s = s[2:]
			continue
		}
		var v uint32
		for _, c := range s[2 : 2+digits] {
			v = v<<4 | uint32(bytes.IndexByte([]byte(hexDigits), c))
		}
		if s[1] == 'x' {
			out = append(out, byte(v))
		} else {
			out = utf8.AppendRune(out, rune(v))
		}
		s = s[2+digits:]
	}
	return out
}

// FuzzJSON: any bytes make one safe line that encoding/json reads, and come back.
func FuzzJSON(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte, _, _ uint8) {
		list := bytes.Split(b, []byte{' '})
		row := execRow(num(0), num(1), num(1), prog.Value{Bytes: b}, prog.Value{List: list}, num(0))
		line := show(t, func(w *bytes.Buffer) Sink { return NewJSON(w, sample, nil) }, row)
		checkLine(t, line)
		var got struct {
			Comm json.RawMessage
			Argv []json.RawMessage
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if len(got.Argv) != len(list) {
			t.Fatalf("%d words of %d: %s", len(got.Argv), len(list), line)
		}
		for i, raw := range append(got.Argv, got.Comm) {
			want := b
			if i < len(list) {
				want = list[i]
			}
			if back, err := RecoverBytes(raw); err != nil || !bytes.Equal(back, want) {
				t.Fatalf("%q came back as %q, %v from %s", want, back, err, raw)
			}
		}
		if utf8.Valid(b) {
			var s string
			if err := json.Unmarshal(got.Comm, &s); err != nil || s != string(b) {
				t.Fatalf("%q reads as %q, %v", b, s, err)
			}
		}
	})
}

// FuzzRecoverBytes: no text at all makes it panic, and what it takes encoding/json takes too.
func FuzzRecoverBytes(f *testing.F) {
	for _, c := range strs {
		f.Add([]byte(c.json))
	}
	f.Add([]byte(`"\ud800\u"`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := RecoverBytes(raw); err == nil && !json.Valid(raw) {
			t.Fatalf("%q is not JSON", raw)
		}
	})
}
