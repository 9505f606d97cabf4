package profile

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// kind is what a frame belongs to; pictures have a colour for each.
type kind uint8

const (
	kindRoot kind = iota
	kindProgram
	kindJIT
	kindLibrary
	kindKernel
	kindUnknown
	kindMark
	kindNarrow
	kinds
)

// kindOf goes by the module's name, which is all there is.
func kindOf(f drawnFrame) kind {
	if f.frame == nil {
		if f.mark {
			return kindMark
		}
		return kindRoot
	}
	base := path.Base(f.frame.Module)
	switch {
	case f.frame.Kernel:
		return kindKernel
	case f.frame.Module == "":
		return kindUnknown
	case strings.HasPrefix(base, "perf-") && strings.HasSuffix(base, ".map"):
		return kindJIT
	case strings.HasPrefix(f.frame.Module, "["), strings.HasSuffix(base, ".so"), strings.Contains(base, ".so."):
		return kindLibrary
	}
	return kindProgram
}

// node is a function with a way to it.
type node struct {
	name     string
	kind     kind
	inlined  bool
	module   string
	file     string
	value    int64
	self     int64
	children map[nodeKey]*node

	merged int // of kindNarrow: how many functions it stands for
}

type nodeKey struct {
	name    string
	kind    kind
	inlined bool
}

// newTree joins the stacks from their outermost functions on.
func newTree(p *Profile) (root *node, stacks int, notes []string) {
	root = &node{name: "all"}
	var tally tally
	for i := range p.Samples {
		value, drawn := tally.take(p, i)
		if !drawn {
			continue
		}
		stacks++
		at := root
		at.value += value
		eachFrame(&p.Samples[i], func(f drawnFrame) {
			at = at.child(f)
			at.value += value
		})
		at.self += value
	}
	return root, stacks, tally.notes()
}

func (n *node) child(f drawnFrame) *node {
	key := nodeKey{name: f.name, kind: kindOf(f), inlined: f.frame != nil && f.frame.Inlined}
	c := n.children[key]
	if c == nil {
		c = &node{name: f.name, kind: key.kind, inlined: key.inlined}
		if f.frame != nil {
			c.module, c.file = f.frame.Module, f.frame.File
		}
		if n.children == nil {
			n.children = map[nodeKey]*node{}
		}
		n.children[key] = c
	}
	return c
}

// sorted returns the children in an order that is the same in every picture: by name.
func (n *node) sorted() []*node {
	all := make([]*node, 0, len(n.children))
	for _, c := range n.children {
		all = append(all, c)
	}
	slices.SortFunc(all, func(x, y *node) int {
		return cmp.Or(strings.Compare(x.name, y.name), cmp.Compare(x.kind, y.kind), cmp.Compare(x.value, y.value))
	})
	return all
}

// box is a function in its place: its row from below, and where in its row it begins.
type box struct {
	*node
	row   int
	start int64
}

// pruned says what is not drawn.
type pruned struct {
	functions int
	least     int64 // what a box must have
}

// boxes lays out what is wide enough. What is too narrow stands beside its brothers as one box, if that is wide enough, and has
// nothing above it.
func (root *node) boxes(limit int) (all []box, cut pruned) {
	cut.least = max(root.leastValue(limit), root.value/finest)
	var place func(n *node, row int, start int64)
	place = func(n *node, row int, start int64) {
		all = append(all, box{n, row, start})
		narrow := &node{name: "[narrow]", kind: kindNarrow}
		for _, c := range n.sorted() {
			if c.value < cut.least {
				count := c.count()
				cut.functions += count
				narrow.merged += count
				narrow.value += c.value
				continue
			}
			place(c, row+1, start)
			start += c.value
		}
		if narrow.value > 0 && narrow.value >= cut.least {
			all = append(all, box{narrow, row + 1, start})
		}
	}
	if root.value > 0 {
		place(root, 0, 0)
	}
	return all, cut
}

// finest is how many of the narrowest boxes a row may have: what is narrower could not be found on a screen, even after some zooming.
const finest = 1 << 16

// leastValue returns the least value that no more than limit functions have.
func (root *node) leastValue(limit int) int64 {
	var values []uint64
	root.each(func(n *node) { values = append(values, uint64(n.value)) })
	if len(values) <= limit {
		return 0
	}
	slices.Sort(values)
	return int64(values[len(values)-limit-1]) + 1
}

func (n *node) each(visit func(*node)) {
	visit(n)
	for _, c := range n.children {
		c.each(visit)
	}
}

func (n *node) count() (count int) {
	n.each(func(*node) { count++ })
	return count
}
