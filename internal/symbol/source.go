package symbol

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// What is read of debug information at most: of one file, of all files at a time, of one unit, and ever, which bounds
// the time.
const (
	maxSource      = 512 << 20
	maxAllSources  = 768 << 20
	maxUnit        = 64 << 20
	maxSourcesRead = 4 << 30
	maxSourceUnits = 1 << 18
)

var (
	errNoSource    = errors.New("no debug information")
	errLargeSource = errors.New("too much debug information")
)

// source is the debug information of a file (DWARF 2 to 5): which functions were put into others, and which line of which file
// an address is of.
type source struct {
	data  *dwarf.Data
	alt   *dwarf.Data // what several files share; nil if there is none
	texts []byte      // of alt
	lists rangeLists
	size  int

	headers []unitHeader
	units   []unitRange
	parsed  map[dwarf.Offset]*sourceUnit
	held    int // bytes of parsed
	names   map[nameKey]string
}

// unitRange is where code of a unit lies.
type unitRange struct {
	low, high uint64
	unit      dwarf.Offset
	size      int // of its description
}

type nameKey struct {
	at  dwarf.Offset
	alt bool
}

// hasSource says whether the file itself has debug information.
func (img *image) hasSource() bool {
	return img.sectionNamed(".debug_info") != nil
}

// readSource reads that of the file, or else of its separate debug file. All of it is in memory then; unsound, it gives what was
// read so far.
func (img *image) readSource(debug debugDirs, path string) (s *source, err error) {
	defer guard(&err)
	from := img
	if !img.hasSource() {
		separate, closeIt := debug.find(img, path)
		if separate == nil {
			return nil, errNoSource
		}
		defer closeIt()
		if from = separate; !from.hasSource() {
			return nil, errNoSource
		}
	}
	var sections map[string][]byte
	s = &source{parsed: map[dwarf.Offset]*sourceUnit{}, names: map[nameKey]string{}}
	if s.data, sections, err = from.dwarf(maxSource); err != nil {
		return nil, err
	}
	for _, data := range sections {
		s.size += len(data)
	}
	s.lists = rangeLists{order: from.file.ByteOrder, v4: sections[".debug_ranges"], v5: sections[".debug_rnglists"], addrs: sections[".debug_addr"]}
	s.readAlt(from, debug)
	s.headers = unitHeaders(sections[".debug_info"], from.file.ByteOrder)
	s.index()
	return s, nil
}

// dwarf reads the sections that names and lines need.
func (img *image) dwarf(limit uint64) (*dwarf.Data, map[string][]byte, error) {
	sections := map[string][]byte{}
	for _, name := range []string{
		".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_ranges", ".debug_rnglists", ".debug_addr",
		".debug_line_str", ".debug_str_offsets",
	} {
		data, err := img.unpacked(img.sectionNamed(name), limit)
		if err != nil {
			return nil, nil, err
		}
		limit -= uint64(len(data))
		sections[name] = data
	}
	data, err := dwarf.New(sections[".debug_abbrev"], nil, nil, sections[".debug_info"], sections[".debug_line"], nil,
		sections[".debug_ranges"], sections[".debug_str"])
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{".debug_rnglists", ".debug_addr", ".debug_line_str", ".debug_str_offsets"} {
		if len(sections[name]) > 0 {
			_ = data.AddSection(name, sections[name]) // of a name that is known
		}
	}
	return data, sections, nil
}

// unpacked returns the bytes of a section, which may be compressed.
func (img *image) unpacked(s *elf.Section, limit uint64) ([]byte, error) {
	switch {
	case s == nil || s.Type == elf.SHT_NOBITS:
		return nil, nil
	case s.Size > limit:
		return nil, errLargeSource
	case s.Offset > img.size || s.FileSize > img.size-s.Offset:
		return nil, io.ErrUnexpectedEOF
	case s.Flags&elf.SHF_COMPRESSED == 0:
		return img.section(s, limit), nil
	}
	// What the header says of the size need not be true: memory is taken as it is filled.
	var out bytes.Buffer
	if n, err := io.Copy(&out, io.LimitReader(s.Open(), int64(limit)+1)); err != nil || uint64(n) > limit {
		return nil, errors.Join(errLargeSource, err)
	}
	return out.Bytes(), nil
}

// readAlt opens what the debug file shares with others, as dwz puts it together. It is taken from where debug files lie only,
// and only if it is of the build that is named.
func (s *source) readAlt(from *image, debug debugDirs) {
	link := from.section(from.sectionNamed(".gnu_debugaltlink"), maxNote)
	name := string(zeroEnded(link))
	if len(name)+1 >= len(link) {
		return
	}
	id := link[len(name)+1:]
	for _, root := range debug {
		candidates := []string{buildIDPath(root, id)}
		if at := filepath.Join(root, ".dwz"); strings.HasPrefix(filepath.Clean(name), at+"/") {
			candidates = append(candidates, filepath.Clean(name))
		}
		for _, path := range candidates {
			alt, f := openDebug(path)
			if alt != nil && bytes.Equal(alt.buildID, id) {
				if data, sections, err := alt.dwarf(maxSource - uint64(min(s.size, maxSource))); err == nil {
					s.alt, s.texts = data, sections[".debug_str"]
					for _, data := range sections {
						s.size += len(data)
					}
				}
			}
			f.Close()
			if s.alt != nil {
				return
			}
		}
	}
}

// unitHeader is where the description of a unit begins and ends, and its version.
type unitHeader struct {
	begin, end uint64
	version    uint16
}

// unitHeaders walks the units: the library does not tell their versions, by which a list of ranges is one or another.
func unitHeaders(info []byte, order binary.ByteOrder) (all []unitHeader) {
	for at := uint64(0); len(info) >= 14 && at <= uint64(len(info)-14) && len(all) < maxSourceUnits; {
		h := unitHeader{begin: at}
		size, head := uint64(order.Uint32(info[at:])), uint64(4)
		if size == 1<<32-1 {
			size, head = order.Uint64(info[at+4:]), 12
		}
		if size > uint64(len(info)) {
			return all
		}
		h.version, h.end = order.Uint16(info[at+head:]), at+head+size
		all = append(all, h)
		at = h.end
	}
	return all
}

// header returns that of the unit an entry is in.
func (s *source) header(at dwarf.Offset) unitHeader {
	i, found := slices.BinarySearchFunc(s.headers, uint64(at), func(h unitHeader, at uint64) int {
		switch {
		case h.end <= at:
			return -1
		case h.begin > at:
			return 1
		}
		return 0
	})
	if !found {
		return unitHeader{}
	}
	return s.headers[i]
}

// index finds out where the code of each unit lies.
func (s *source) index() {
	r := s.data.Reader()
	for count := 0; count < maxSourceUnits && len(s.units) < maxSourceUnits; count++ {
		e, err := r.Next()
		if err != nil || e == nil {
			break
		}
		if e.Tag == dwarf.TagCompileUnit {
			h := s.header(e.Offset)
			unit := s.lists.unit(e, r.AddressSize(), h.version)
			for _, span := range unit.of(e, maxSourceUnits-len(s.units)) {
				s.units = append(s.units, unitRange{low: span[0], high: span[1], unit: e.Offset, size: int(h.end - h.begin)})
			}
		}
		r.SkipChildren()
	}
	sort.Slice(s.units, func(i, j int) bool { return s.units[i].low < s.units[j].low }) // sort: its code is there once for all types
}

// unitAt returns the unit that an address is of.
func (s *source) unitAt(addr uint64) (unitRange, bool) {
	after, _ := slices.BinarySearchFunc(s.units, addr, func(u unitRange, a uint64) int {
		if u.low <= a {
			return -1
		}
		return 1
	})
	for i := after - 1; i >= 0 && i >= after-maxNested; i-- {
		if u := s.units[i]; addr < u.high {
			return u, true
		}
	}
	return unitRange{}, false
}

// rangeLists decodes lists of address ranges, with a limit on how many: the library has none.
type rangeLists struct {
	order         binary.ByteOrder
	v4, v5, addrs []byte
}

// unitRanges decodes those of one unit.
type unitRanges struct {
	*rangeLists
	word int
	v    uint16 // version of the unit
	base uint64 // that addresses are relative to
	at   uint64 // where the unit's part of addrs begins
}

func (l *rangeLists) unit(e *dwarf.Entry, word int, version uint16) unitRanges {
	u := unitRanges{rangeLists: l, word: word, v: version}
	u.base, _ = e.Val(dwarf.AttrLowpc).(uint64)
	if at, ok := e.Val(dwarf.AttrAddrBase).(int64); ok && at > 0 {
		u.at = uint64(at)
	}
	return u
}

// of returns the ranges of an entry, most at most.
func (u *unitRanges) of(e *dwarf.Entry, most int) [][2]uint64 {
	low, lowOk := e.Val(dwarf.AttrLowpc).(uint64)
	if high := e.AttrField(dwarf.AttrHighpc); lowOk && high != nil {
		switch v := high.Val.(type) {
		case uint64:
			return appendRange(nil, low, v)
		case int64:
			return appendRange(nil, low, low+uint64(v))
		}
	}
	f := e.AttrField(dwarf.AttrRanges)
	if f == nil {
		return nil
	}
	switch v := f.Val.(type) {
	case int64:
		if u.v >= 5 {
			return u.list5(uint64(v), most)
		}
		return u.list4(uint64(v), most)
	case uint64:
		return u.list5(v, most)
	}
	return nil
}

// appendRange leaves out what the linker threw away, which begins at 0 or so.
func appendRange(all [][2]uint64, low, high uint64) [][2]uint64 {
	if low > 1 && low < high {
		all = append(all, [2]uint64{low, high})
	}
	return all
}

func (u *unitRanges) number(b []byte, at uint64) (uint64, bool) {
	if at > uint64(len(b)) || uint64(len(b))-at < uint64(u.word) {
		return 0, false
	}
	switch u.word {
	case 4:
		return uint64(u.order.Uint32(b[at:])), true
	case 8:
		return u.order.Uint64(b[at:]), true
	}
	return 0, false
}

// list4 is of pairs relative to a base, up to a pair of zeros; a pair that begins with all ones sets the base.
func (u *unitRanges) list4(at uint64, most int) (all [][2]uint64) {
	base, ones := u.base, ^uint64(0)
	if u.word == 4 {
		ones = 1<<32 - 1
	}
	for len(all) < most {
		low, _ := u.number(u.v4, at)
		high, ok := u.number(u.v4, at+uint64(u.word))
		at += 2 * uint64(u.word)
		switch {
		case !ok || low == 0 && high == 0:
			return all
		case low == ones:
			base = high
		default:
			all = appendRange(all, base+low, base+high)
		}
	}
	return all
}

// list5 is of entries that begin with their kind.
func (u *unitRanges) list5(at uint64, most int) (all [][2]uint64) {
	if at > uint64(len(u.v5)) {
		return nil
	}
	r := listReader{unitRanges: u, data: u.v5[at:]}
	base := u.base
	for len(all) < most && !r.bad {
		switch r.byte() {
		case 0: // end of list
			return all
		case 1: // base by its number
			base = r.indexed()
		case 2: // start and end by their numbers
			low := r.indexed()
			all = appendRange(all, low, r.indexed())
		case 3: // start by its number, and length
			low := r.indexed()
			all = appendRange(all, low, low+r.uleb())
		case 4: // pair of offsets
			low := base + r.uleb()
			all = appendRange(all, low, base+r.uleb())
		case 5: // base
			base = r.address()
		case 6: // start and end
			low := r.address()
			all = appendRange(all, low, r.address())
		case 7: // start and length
			low := r.address()
			all = appendRange(all, low, low+r.uleb())
		default:
			return all
		}
	}
	return all
}

type listReader struct {
	*unitRanges
	data []byte
	bad  bool
}

func (r *listReader) byte() byte {
	if len(r.data) == 0 {
		r.bad = true
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *listReader) uleb() (n uint64) {
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[size:]
	return n
}

func (r *listReader) address() uint64 {
	n, ok := r.number(r.data, 0)
	if !ok {
		r.bad = true
		return 0
	}
	r.data = r.data[r.word:]
	return n
}

func (r *listReader) indexed() uint64 {
	index := r.uleb()
	if index > uint64(len(r.addrs)) {
		r.bad = true
		return 0
	}
	n, ok := r.number(r.addrs, r.at+index*uint64(r.word))
	r.bad = r.bad || !ok
	return n
}
