package codegen

import (
	"fmt"

	"sonde/internal/compile/ir"
)

// graph is the control flow of a function, blocks numbered in the order in which they will lie in memory.
type graph struct {
	blocks []*ir.Block
	number []int32 // by ir.Block.ID
	depth  []int32 // by number: how many loops are around the block
}

// target skips blocks that only jump.
func target(b *ir.Block) *ir.Block {
	for range 64 {
		if len(b.Instrs) != 1 || b.Instrs[0].Op != ir.OpJump {
			break
		}
		b = b.Instrs[0].Then
	}
	return b
}

// layOut puts the blocks of f that can be reached in reverse postorder. Where there is a choice, what stays in a loop comes
// before what leaves it, and the first alternative of a branch follows the branch.
func layOut(f *ir.Func) (*graph, error) {
	ids := 0
	for _, b := range f.Blocks {
		if b.Last() == nil && (len(b.Instrs) > 0 || b == f.Blocks[0]) {
			return nil, fmt.Errorf("bug: block %s of %s has no end", b.Name, f.Name)
		}
		ids = max(ids, b.ID+1)
	}
	depth := loopDepths(f, ids)
	g := &graph{number: make([]int32, ids)}
	postorder(target(f.Blocks[0]), ids, func(b *ir.Block) (first, second *ir.Block) {
		then, els := successors(b)
		if els == nil {
			return then, nil
		}
		if d, e := depth[then.ID], depth[els.ID]; d < e || d == e && leaves(then) && !leaves(els) {
			return then, els
		}
		return els, then
	}, func(b *ir.Block) { g.blocks = append(g.blocks, b) })
	for i, j := 0, len(g.blocks)-1; i < j; i, j = i+1, j-1 {
		g.blocks[i], g.blocks[j] = g.blocks[j], g.blocks[i]
	}
	g.depth = make([]int32, len(g.blocks))
	for i, b := range g.blocks {
		g.number[b.ID] = int32(i)
		g.depth[i] = depth[b.ID]
	}
	return g, nil
}

// leaves says whether b only returns.
func leaves(b *ir.Block) bool { return len(b.Instrs) <= 2 && b.Instrs[len(b.Instrs)-1].Op == ir.OpRet }

func successors(b *ir.Block) (then, els *ir.Block) {
	then, els = b.Instrs[len(b.Instrs)-1].Succs()
	if then != nil {
		then = target(then)
	}
	if els != nil {
		els = target(els)
	}
	if then == els {
		els = nil
	}
	return then, els
}

// postorder walks depth first, without recursion: functions have thousands of blocks.
func postorder(entry *ir.Block, ids int, succs func(*ir.Block) (first, second *ir.Block), visit func(*ir.Block)) {
	type frame struct {
		b     *ir.Block
		succs [2]*ir.Block
		next  int
	}
	seen := make([]bool, ids)
	seen[entry.ID] = true
	push := func(stack []frame, b *ir.Block) []frame {
		first, second := succs(b)
		return append(stack, frame{b: b, succs: [2]*ir.Block{first, second}})
	}
	stack := push(nil, entry)
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next == 2 {
			visit(top.b)
			stack = stack[:len(stack)-1]
			continue
		}
		s := top.succs[top.next]
		top.next++
		if s != nil && !seen[s.ID] {
			seen[s.ID] = true
			stack = push(stack, s)
		}
	}
}

// loopDepths says for each block, by its ID, how many loops it is in.
func loopDepths(f *ir.Func, ids int) []int32 {
	depth := make([]int32, ids)
	order := make([]int32, ids) // in postorder, from 1
	var blocks []*ir.Block
	postorder(target(f.Blocks[0]), ids, successors, func(b *ir.Block) {
		blocks = append(blocks, b)
		order[b.ID] = int32(len(blocks))
	})
	// An edge to a block that is finished later, or to itself, closes a loop.
	type edge struct{ from, to *ir.Block }
	var closing []edge
	for _, b := range blocks {
		then, els := successors(b)
		for _, s := range [2]*ir.Block{then, els} {
			if s != nil && order[s.ID] >= order[b.ID] {
				closing = append(closing, edge{b, s})
			}
		}
	}
	if len(closing) == 0 {
		return depth
	}
	preds := make([][]*ir.Block, ids)
	for _, b := range blocks {
		then, els := successors(b)
		for _, s := range [2]*ir.Block{then, els} {
			if s != nil {
				preds[s.ID] = append(preds[s.ID], b)
			}
		}
	}
	// The loop of a header is what comes to its closing edges without passing the header.
	in := make([]int, ids) // the last header, plus 1, whose loop the block was found in
	var work []*ir.Block
	done := make([]bool, ids)
	for _, c := range closing {
		header := c.to
		if done[header.ID] {
			continue
		}
		done[header.ID] = true
		in[header.ID] = header.ID + 1
		depth[header.ID]++
		for _, e := range closing {
			if e.to == header {
				work = append(work, e.from)
			}
		}
		for len(work) > 0 {
			b := work[len(work)-1]
			work = work[:len(work)-1]
			if in[b.ID] == header.ID+1 {
				continue
			}
			in[b.ID] = header.ID + 1
			depth[b.ID]++
			work = append(work, preds[b.ID]...)
		}
	}
	return depth
}
