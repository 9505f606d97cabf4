package ir

import "slices"

// cfg is the control flow of a function: its reachable blocks in reverse postorder, so that a block comes after those that
// dominate it. Blocks are numbered by their place in that order.
type cfg struct {
	blocks []*Block
	number []int32 // by Block.ID; -1 for blocks that cannot be reached
	preds  [][]int32
	idom   []int32 // the entry's is itself
	// A block's subtree in the tree of dominators is numbered pre[b] to last[b].
	pre, last []int32
	// The tree: the first child of a block, and its next sibling; 0 is none, the entry being nobody's child.
	kid, sibling []int32
}

// newCFG does not compute dominators; see dominators.
func newCFG(f *Func) *cfg {
	ids := 0
	for _, b := range f.Blocks {
		ids = max(ids, b.ID+1)
	}
	g := &cfg{number: make([]int32, ids), blocks: make([]*Block, 0, len(f.Blocks))}
	for i := range g.number {
		g.number[i] = -1
	}
	g.walk(f.Blocks[0])
	for i, j := 0, len(g.blocks)-1; i < j; i, j = i+1, j-1 {
		g.blocks[i], g.blocks[j] = g.blocks[j], g.blocks[i]
	}
	edges := 0
	for i, b := range g.blocks {
		g.number[b.ID] = int32(i)
		edges += 2
	}
	g.preds = make([][]int32, len(g.blocks))
	room := make([]int32, len(g.blocks))
	g.edges(func(_, to int32) { room[to]++ })
	all := make([]int32, 0, edges)
	for i, n := range room {
		at := len(all)
		all = all[:at+int(n)]
		g.preds[i] = all[at:at:len(all)]
	}
	g.edges(func(from, to int32) { g.preds[to] = append(g.preds[to], from) })
	return g
}

// edges calls do for every edge.
func (g *cfg) edges(do func(from, to int32)) {
	for i, b := range g.blocks {
		then, els := b.succs()
		if then != nil {
			do(int32(i), g.number[then.ID])
		}
		if els != nil && els != then {
			do(int32(i), g.number[els.ID])
		}
	}
}

// succs is Succs of the terminator; a block without one, which only a block that cannot be reached may be, has none.
func (b *Block) succs() (then, els *Block) {
	if last := b.Last(); last != nil {
		return last.Succs()
	}
	return nil, nil
}

// walk appends the blocks that entry reaches, in postorder. It keeps its own stack: functions have thousands of blocks.
func (g *cfg) walk(entry *Block) {
	type frame struct {
		b    *Block
		next int
	}
	stack := []frame{{b: entry}}
	g.number[entry.ID] = 0
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		// The second alternative first: then the first comes right behind its block.
		first, second := top.b.succs()
		var s *Block
		switch top.next {
		case 0:
			s = second
		case 1:
			s = first
		default:
			g.blocks = append(g.blocks, top.b)
			stack = stack[:len(stack)-1]
			continue
		}
		top.next++
		if s != nil && g.number[s.ID] < 0 {
			g.number[s.ID] = 0
			stack = append(stack, frame{b: s})
		}
	}
}

// dominators computes the tree of dominators, as Cooper, Harvey and Kennedy do.
func (g *cfg) dominators() {
	n := len(g.blocks)
	g.idom = make([]int32, n)
	for i := range g.idom {
		g.idom[i] = -1
	}
	g.idom[0] = 0
	for changed := true; changed; {
		changed = false
		for b := 1; b < n; b++ {
			dom := int32(-1)
			for _, p := range g.preds[b] {
				switch {
				case g.idom[p] < 0:
				case dom < 0:
					dom = p
				default:
					dom = g.common(dom, p)
				}
			}
			if dom != g.idom[b] {
				g.idom[b] = dom
				changed = true
			}
		}
	}
	g.kid, g.sibling = make([]int32, n), make([]int32, n)
	for b := int32(n) - 1; b > 0; b-- {
		d := g.idom[b]
		g.kid[d], g.sibling[b] = b, g.kid[d]
	}
	g.pre, g.last = make([]int32, n), make([]int32, n)
	next := int32(0)
	g.preorder(func(b int32) { g.pre[b] = next; g.last[b] = next; next++ }, func(b int32) {
		if d := g.idom[b]; b != 0 {
			g.last[d] = max(g.last[d], g.last[b])
		}
	})
}

func (g *cfg) common(x, y int32) int32 {
	for x != y {
		for x > y {
			x = g.idom[x]
		}
		for y > x {
			y = g.idom[y]
		}
	}
	return x
}

// preorder walks the tree of dominators.
func (g *cfg) preorder(enter, leave func(b int32)) {
	type frame struct{ b, next int32 }
	stack := []frame{{0, g.kid[0]}}
	enter(0)
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		kid := top.next
		if kid == 0 {
			leave(top.b)
			stack = stack[:len(stack)-1]
			continue
		}
		top.next = g.sibling[kid]
		enter(kid)
		stack = append(stack, frame{kid, g.kid[kid]})
	}
}

// dominates says whether every way to b leads through a.
func (g *cfg) dominates(a, b int32) bool { return g.pre[a] <= g.pre[b] && g.pre[b] <= g.last[a] }

// depths says for each block how many loops it is in.
func (g *cfg) depths() []int32 {
	depth := make([]int32, len(g.blocks))
	var closing [][2]int32 // from, to
	g.edges(func(from, to int32) {
		if to <= from {
			closing = append(closing, [2]int32{from, to})
		}
	})
	slices.SortFunc(closing, func(x, y [2]int32) int { return int(x[1] - y[1]) })
	in := make([]int32, len(g.blocks)) // the last header, plus 1, whose loop the block was found in
	var work []int32
	for i := 0; i < len(closing); {
		header := closing[i][1]
		in[header] = header + 1
		depth[header]++
		for ; i < len(closing) && closing[i][1] == header; i++ {
			work = append(work, closing[i][0])
		}
		for len(work) > 0 {
			b := work[len(work)-1]
			work = work[:len(work)-1]
			if in[b] != header+1 {
				in[b] = header + 1
				depth[b]++
				work = append(work, g.preds[b]...)
			}
		}
	}
	return depth
}
