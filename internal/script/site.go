package script

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"sonde/internal/compile"
	"sonde/internal/compile/check"
	"sonde/internal/compile/types"
	"sonde/internal/stream"
)

// site is a compile.Site, ready to run.
type site struct {
	*compile.Site
	fixed  int // bytes a record's body has at least
	fields []field
	tailed []tailed // the fields that lie in the tail, in order
	ops    []op     // of a format
	clock  clock    // of time()
	m      *compile.Map
}

// field is a compile.Field; off is in the record's body.
type field struct {
	t        *types.Type
	off      int
	tail     int // number among those in the tail, -1 for others
	constant []byte
}

// tailed is a field in the tail.
type tailed struct {
	off  int // of the word with its length
	full int // its length without its NUL when it was cut, -1 where that is not known
}

// tail is where a string lies in the body of the record at hand, without its NUL.
type tail struct {
	from, to int
	sent     bool // else there is none
	cut      bool
}

// bodyMost bounds the fixed part of records: more does not fit into a ring.
const bodyMost = 64 << 20

func (r *Runner) newSite(in *compile.Site) (site, error) {
	s := site{Site: in, fixed: max(in.Size-stream.HeaderSize, 0)}
	if in.Size > bodyMost {
		return s, fmt.Errorf("records of %d bytes", in.Size)
	}
	for i := range in.Fields {
		f, err := s.newField(&in.Fields[i])
		if err != nil {
			return s, fmt.Errorf("field %d: %w", i, err)
		}
		if f.tail >= 0 {
			t := tailed{f.off, -1}
			if f.t.Size == r.p.Config.MaxStrlen {
				t.full = f.t.Size - 1
			}
			s.tailed = append(s.tailed, t)
		}
		s.fields = append(s.fields, f)
	}
	var err error
	switch in.Kind {
	case compile.SitePrintf, compile.SiteErrorf, compile.SiteWarnf, compile.SiteCat, compile.SiteSystem, compile.SiteDebug:
		s.ops, err = r.compileFormat(&s)
	case compile.SitePrintValue:
		if len(s.fields) != 1 {
			err = fmt.Errorf("%d values to print", len(s.fields))
		}
	case compile.SitePrintMap, compile.SiteClear, compile.SiteZero:
		s.m = r.mapNamed(in.Map)
	case compile.SiteHelperError:
		if len(s.fields) != 2 {
			err = errors.New("no helper and result")
		}
	case compile.SiteTime:
		s.clock = clock{loc: r.env.Location, format: in.Text}
	}
	return s, err
}

func (s *site) newField(in *compile.Field) (field, error) {
	f := field{t: in.Type, off: in.Offset - stream.HeaderSize, tail: -1}
	if f.t == nil {
		return f, errors.New("no type")
	}
	if err := checkLayout(f.t, 0); err != nil {
		return f, err
	}
	size := f.t.Size
	switch {
	case in.Const != nil:
		f.constant = constant(in.Const, size)
		return f, nil
	case in.Tail:
		f.tail, size = len(s.tailed), 4
	}
	if f.off < 0 || f.off+size > s.fixed {
		return f, fmt.Errorf("%d bytes at %d of a record of %d", size, in.Offset, s.fixed+stream.HeaderSize)
	}
	return f, nil
}

// constant lays a constant out as it would lie in a record.
func constant(c *check.Const, size int) []byte {
	if c.Kind == check.ConstString {
		return append(make([]byte, 0, max(size, len(c.Str)+1)), c.Str...)[:max(size, len(c.Str)+1)]
	}
	b := make([]byte, max(size, 8))
	binary.LittleEndian.PutUint64(b, c.Int)
	return b
}

// findTails finds the strings that follow the fixed part; false if the record is too short for them.
//
// Each tail is written where it stays: one that is made elsewhere is copied right after it was written in smaller pieces, for
// which the processor has to wait.
func (r *Runner) findTails(s *site, body []byte) bool {
	at := s.fixed
	for i := range s.tailed {
		in, out := &s.tailed[i], &r.tails[i]
		n := int(binary.LittleEndian.Uint32(body[in.off:]))
		if n > len(body)-at {
			return false
		}
		out.from, out.to, out.sent = at, at+n, n > 0
		out.cut = false
		// What fills its place was cut if that is all str() reads; comm[16] may just be as long.
		if end := indexNUL(body[at : at+n]); end >= 0 {
			out.to, out.cut = at+end, end > 0 && end == in.full
		}
		at += n
	}
	return true
}

// indexNUL is the index of the first NUL, or -1. Most strings are short: the first words are looked at in place.
func indexNUL(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	at := 0
	for ; at < 16 && at+8 <= len(b); at += 8 {
		word := binary.LittleEndian.Uint64(b[at:])
		if nul := (word - ones) &^ word & tops; nul != 0 { // the lowest bit is that of the first
			return at + bits.TrailingZeros64(nul)/8
		}
	}
	if end := bytes.IndexByte(b[at:], 0); end >= 0 {
		return at + end
	}
	return -1
}

// bytes are those of a field in the record at hand.
func (r *Runner) bytes(f *field, body []byte) []byte {
	switch {
	case f.constant != nil:
		return f.constant
	case f.tail >= 0:
		t := r.tails[f.tail]
		return body[t.from:t.to]
	}
	return body[f.off : f.off+f.t.Size]
}

// int is a field that is a number, 0 if there is none.
func (s *site) int(i int, body []byte) int64 {
	if i >= len(s.fields) {
		return 0
	}
	f := &s.fields[i]
	b := f.constant
	if b == nil {
		b = body[f.off : f.off+f.t.Size]
	}
	return int64(number(f.t, b))
}

func (r *Runner) mapNamed(name string) *compile.Map {
	for i := range r.p.Maps {
		if r.p.Maps[i].Name == name {
			return &r.p.Maps[i]
		}
	}
	return nil // never written to: there is nothing to print
}

// checkLayout says whether all parts of a type lie within it, so that bytes of its size are safe to be read by it.
func checkLayout(t *types.Type, depth int) error {
	if t == nil {
		return nil
	}
	if depth > 32 || t.Size < 0 || t.Size > bodyMost {
		return fmt.Errorf("a value of type %s of %d bytes", t, t.Size)
	}
	need := 0
	switch t.Kind {
	case types.Int, types.Enum, types.Pointer, types.Context, types.Username:
		if t.Size > 8 {
			return fmt.Errorf("a number of %d bytes", t.Size)
		}
	case types.Bool:
		need = 1
	case types.Buffer:
		need = 4
	case types.Array:
		if t.Elem == nil || t.Len < 0 || t.Len > bodyMost {
			return fmt.Errorf("an array of type %s", t)
		}
		need = t.Elem.Size * t.Len
		if err := checkLayout(t.Elem, depth+1); err != nil {
			return err
		}
	case types.Struct, types.Tuple, types.Record:
		for _, f := range t.AllFields() {
			n := f.Offset
			switch {
			case f.Bits > 0:
				n += (f.BitOffset + f.Bits + 7) / 8
			case f.DataLoc:
				n += 4
			case f.Type == nil:
				return fmt.Errorf("field %q of %s has no type", f.Name, t)
			default:
				n += f.Type.Size
				if err := checkLayout(f.Type, depth+1); err != nil {
					return err
				}
			}
			if f.Offset < 0 || f.BitOffset < 0 || f.Bits > 64 || n > t.Size {
				return fmt.Errorf("field %q lies outside of %s", f.Name, t)
			}
		}
	case types.KStack, types.KSym:
		need = 8
	case types.UStack, types.USym, types.Timestamp, types.CgroupPath:
		need = 16
	case types.Inet:
		need = 24
	case types.MAC:
		need = 6
	}
	if need > t.Size {
		return fmt.Errorf("a value of type %s in %d bytes", t, t.Size)
	}
	return nil
}
