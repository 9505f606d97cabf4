package symbol

import (
	"cmp"
	"debug/dwarf"
	"slices"
	"sort"
)

const (
	maxInlined     = 64      // functions that are put into each other
	maxUnitNodes   = 1 << 20 // functions of a unit, with those put into others
	maxUnitRanges  = 1 << 21
	maxUnitLines   = 1 << 22
	maxUnitsHeld   = 256 << 20 // bytes
	maxEntryDepth  = 4096
	maxNameHops    = 8
	maxSourceNames = 1 << 18
)

// sourceUnit is what is known of the code that was compiled at one time.
type sourceUnit struct {
	functions []functionRange // sorted
	nodes     []sourceNode    // every one before those inside it
	ranges    [][2]uint64
	lines     []sourceLine // sorted
	files     []string
}

// functionRange is where a function that stands by itself lies.
type functionRange struct {
	low, high uint64
	node      int32
}

// sourceNode is a function, or one that was put into it.
type sourceNode struct {
	name                 nameKey // whose entry has the name
	next                 int32   // the node behind those inside this one
	firstRange, endRange int32
	file, line           int32 // where it was called, of one that was put into another
}

// sourceLine says of which line the code from an address on is; file is -1 where no code is.
type sourceLine struct {
	addr       uint64
	file, line int32
}

// inlined is a function of an address.
type inlined struct {
	name, file string
	line       int
}

// frames returns the functions at an address, the innermost first; the last one stands by itself.
func (s *source) frames(addr uint64, budget *int) (found []inlined, err error) {
	defer guard(&err)
	at, ok := s.unitAt(addr)
	if !ok {
		return nil, nil
	}
	u := s.parsed[at.unit]
	if u == nil {
		if at.size > maxUnit || at.size > *budget {
			return nil, errLargeSource
		}
		*budget -= at.size
		if s.held > maxUnitsHeld {
			clear(s.parsed)
			s.held = 0
		}
		u = s.readUnit(at.unit)
		s.parsed[at.unit] = u
		s.held += len(u.nodes)*40 + len(u.ranges)*16 + len(u.lines)*16 + len(u.functions)*24
	}
	return s.inUnit(u, addr), nil
}

func (s *source) inUnit(u *sourceUnit, addr uint64) []inlined {
	file, line := u.line(addr)
	chain := u.chain(addr)
	if len(chain) == 0 {
		if file == "" {
			return nil
		}
		return []inlined{{file: file, line: line}}
	}
	found := make([]inlined, len(chain))
	for i, node := range slices.Backward(chain) {
		n := &u.nodes[node]
		found[len(chain)-1-i] = inlined{name: s.name(n.name), file: file, line: line}
		file, line = u.file(n.file), int(n.line)
	}
	return found
}

// chain returns the nodes that cover an address, from the outside in.
func (u *sourceUnit) chain(addr uint64) (chain []int32) {
	after, _ := slices.BinarySearchFunc(u.functions, addr, func(f functionRange, a uint64) int {
		if f.low <= a {
			return -1
		}
		return 1
	})
	for i := after - 1; i >= 0 && i >= after-maxNested; i-- {
		f := u.functions[i]
		if addr >= f.high {
			continue
		}
		chain = append(chain, f.node)
		end := u.nodes[f.node].next
		for n := f.node + 1; n < end && len(chain) < maxInlined; {
			if !u.covers(n, addr) {
				n = u.nodes[n].next
				continue
			}
			chain = append(chain, n)
			n, end = n+1, u.nodes[n].next
		}
		return chain
	}
	return nil
}

func (u *sourceUnit) covers(node int32, addr uint64) bool {
	n := &u.nodes[node]
	for _, r := range u.ranges[n.firstRange:n.endRange] {
		if addr >= r[0] && addr < r[1] {
			return true
		}
	}
	return false
}

func (u *sourceUnit) line(addr uint64) (file string, line int) {
	after, _ := slices.BinarySearchFunc(u.lines, addr, func(l sourceLine, a uint64) int {
		if l.addr <= a {
			return -1
		}
		return 1
	})
	if after == 0 || u.lines[after-1].file < 0 {
		return "", 0
	}
	l := u.lines[after-1]
	return u.file(l.file), int(l.line)
}

func (u *sourceUnit) file(i int32) string {
	if i < 0 || int(i) >= len(u.files) {
		return ""
	}
	return u.files[i]
}

// readUnit reads what there is; of an unsound unit what came before that.
func (s *source) readUnit(at dwarf.Offset) *sourceUnit {
	u := &sourceUnit{}
	r := s.data.Reader()
	r.Seek(at)
	root, err := r.Next()
	if err != nil || root == nil {
		return u
	}
	s.readLines(u, root)
	s.readFunctions(u, r, root)
	sort.SliceStable(u.functions, func(i, j int) bool { return u.functions[i].low < u.functions[j].low })
	return u
}

// readFunctions walks the entries of a unit. What encloses an entry is on a stack; what describes types has no code in it.
func (s *source) readFunctions(u *sourceUnit, r *dwarf.Reader, root *dwarf.Entry) {
	if !root.Children {
		return
	}
	ranges := s.lists.unit(root, r.AddressSize(), s.header(root.Offset).version)
	open := []int32{-1} // the nodes around, -1 where there is none, for each level
	for len(open) > 0 && len(u.nodes) < maxUnitNodes && len(u.ranges) < maxUnitRanges && len(open) < maxEntryDepth {
		e, err := r.Next()
		if err != nil || e == nil {
			break
		}
		if e.Tag == 0 {
			if last := open[len(open)-1]; last >= 0 && (len(open) < 2 || open[len(open)-2] != last) {
				u.nodes[last].next = int32(len(u.nodes))
			}
			open = open[:len(open)-1]
			continue
		}
		inside := open[len(open)-1]
		switch e.Tag {
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			inside = s.addNode(u, e, &ranges, inside)
		case dwarf.TagEnumerationType, dwarf.TagUnionType, dwarf.TagArrayType, dwarf.TagSubroutineType:
			if e.Children {
				r.SkipChildren()
			}
			continue
		}
		if e.Children {
			open = append(open, inside)
		}
	}
	for i := len(open) - 1; i >= 0; i-- { // of a unit that broke off
		if open[i] >= 0 {
			u.nodes[open[i]].next = int32(len(u.nodes))
		}
	}
}

// addNode adds a function that has code, and returns the node that what is inside belongs to.
func (s *source) addNode(u *sourceUnit, e *dwarf.Entry, ranges *unitRanges, inside int32) int32 {
	all := ranges.of(e, maxUnitRanges-len(u.ranges))
	alone := e.Tag == dwarf.TagSubprogram
	if len(all) == 0 || !alone && inside < 0 {
		if alone {
			return -1 // a declaration, or what others are copies of
		}
		return inside
	}
	node := int32(len(u.nodes))
	n := sourceNode{name: nameOf(e), next: node + 1, firstRange: int32(len(u.ranges))}
	u.ranges = append(u.ranges, all...)
	n.endRange = int32(len(u.ranges))
	if alone {
		for _, r := range all {
			u.functions = append(u.functions, functionRange{r[0], r[1], node})
		}
	} else {
		file, _ := e.Val(dwarf.AttrCallFile).(int64)
		line, _ := e.Val(dwarf.AttrCallLine).(int64)
		n.file, n.line = int32(min(max(file, 0), maxUnitLines)), int32(min(max(line, 0), 1<<30))
	}
	u.nodes = append(u.nodes, n)
	return node
}

// nameOf is where the name is to be found: at another entry, if this one is a copy.
func nameOf(e *dwarf.Entry) nameKey {
	for _, attr := range []dwarf.Attr{dwarf.AttrAbstractOrigin, dwarf.AttrSpecification} {
		f := e.AttrField(attr)
		if f == nil {
			continue
		}
		switch v := f.Val.(type) {
		case dwarf.Offset:
			return nameKey{at: v}
		case int64:
			if f.Class == dwarf.ClassReferenceAlt {
				return nameKey{at: dwarf.Offset(v), alt: true}
			}
		}
	}
	return nameKey{at: e.Offset}
}

// name prefers the name as the linker has it, which tells more of C++ and Rust.
func (s *source) name(key nameKey) string {
	if name, known := s.names[key]; known {
		return name
	}
	name := ""
	for at, hops := key, 0; hops < maxNameHops; hops++ {
		data := s.data
		if at.alt {
			data = s.alt
		}
		if data == nil {
			break
		}
		r := data.Reader()
		r.Seek(at.at)
		e, err := r.Next()
		if err != nil || e == nil {
			break
		}
		if linked := cmp.Or(s.text(e, dwarf.AttrLinkageName), s.text(e, mipsLinkageName)); linked != "" {
			name = linked
			break
		}
		if name == "" {
			name = s.text(e, dwarf.AttrName) // a better one may stand at the declaration
		}
		next := nameOf(e)
		if next.at == e.Offset && !next.alt {
			break
		}
		next.alt = next.alt || at.alt
		at = next
	}
	if len(s.names) >= maxSourceNames {
		clear(s.names)
	}
	s.names[key] = name
	return name
}

// text returns an attribute that is a text, which may lie in what several files share.
func (s *source) text(e *dwarf.Entry, attribute dwarf.Attr) string {
	f := e.AttrField(attribute)
	if f == nil {
		return ""
	}
	switch v := f.Val.(type) {
	case string:
		return v
	case int64:
		if f.Class == dwarf.ClassStringAlt && v >= 0 && v < int64(len(s.texts)) {
			return string(zeroEnded(s.texts[v:]))
		}
	}
	return ""
}

// mipsLinkageName is what older compilers call AttrLinkageName.
const mipsLinkageName = dwarf.Attr(0x2007)

func (s *source) readLines(u *sourceUnit, root *dwarf.Entry) {
	r, err := s.data.LineReader(root)
	if err != nil || r == nil {
		return
	}
	index := map[*dwarf.LineFile]int32{}
	for i, f := range r.Files() {
		name := ""
		if f != nil {
			name = f.Name
			index[f] = int32(i)
		}
		u.files = append(u.files, name)
	}
	var e dwarf.LineEntry
	for len(u.lines) < maxUnitLines && r.Next(&e) == nil {
		l := sourceLine{addr: e.Address, file: -1}
		if !e.EndSequence && e.File != nil {
			file, known := index[e.File]
			if !known {
				continue
			}
			l.file, l.line = file, int32(min(max(e.Line, 0), 1<<30))
		}
		u.lines = append(u.lines, l)
	}
	// Where a sequence ends another may begin.
	sort.SliceStable(u.lines, func(i, j int) bool {
		x, y := &u.lines[i], &u.lines[j]
		return x.addr < y.addr || x.addr == y.addr && x.file < 0 && y.file >= 0
	})
}
