package codegen

import (
	"fmt"

	"sonde/internal/compile/ir"
)

// graph is the control flow of a function, blocks numbered in the order in which they will lie in memory.
type graph struct {
	blocks []*ir.Block
	number map[*ir.Block]int32
	depth  []int32
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

// layOut puts the blocks of f that can be reached in reverse postorder. Where there is a choice, what is left comes before
// what is further in a loop is left, and the first alternative of a branch follows it.
func layOut(f *ir.Func) (*graph, error) {
	for _, b := range f.Blocks {
		if b.Last() == nil && len(b.Instrs) > 0 || len(b.Instrs) == 0 && b == f.Blocks[0] {
			return nil, fmt.Errorf("bug: block %s of %s has no end", b.Name, f.Name)
		}
	}
	depth := loopDepths(f)
	g := &graph{number: make(map[*ir.Block]int32, len(f.Blocks))}
	postorder(target(f.Blocks[0]), func(b *ir.Block) (first, second *ir.Block) {
		then, els := successors(b)
		if els == nil {
			return then, nil
		}
		if depth[then] < depth[els] || depth[then] == depth[els] && leaves(then) && !leaves(els) {
			return then, els
		}
		return els, then
	}, func(b *ir.Block) { g.blocks = append(g.blocks, b) })
	for i, j := 0, len(g.blocks)-1; i < j; i, j = i+1, j-1 {
		g.blocks[i], g.blocks[j] = g.blocks[j], g.blocks[i]
	}
	g.depth = make([]int32, len(g.blocks))
	for i, b := range g.blocks {
		g.number[b] = int32(i)
		g.depth[i] = depth[b]
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
func postorder(entry *ir.Block, succs func(*ir.Block) (first, second *ir.Block), visit func(*ir.Block)) {
	type frame struct {
		b     *ir.Block
		succs [2]*ir.Block
		next  int
	}
	seen := map[*ir.Block]bool{entry: true}
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
		if s != nil && !seen[s] {
			seen[s] = true
			stack = push(stack, s)
		}
	}
}

// loopDepths says for each block how many loops it is in.
func loopDepths(f *ir.Func) map[*ir.Block]int32 {
	order := map[*ir.Block]int{} // in postorder, from 1
	var blocks []*ir.Block
	postorder(target(f.Blocks[0]), successors, func(b *ir.Block) {
		blocks = append(blocks, b)
		order[b] = len(blocks)
	})
	// An edge to a block that is finished later, or to itself, closes a loop.
	var closing map[*ir.Block][]*ir.Block
	preds := map[*ir.Block][]*ir.Block{}
	for _, b := range blocks {
		then, els := successors(b)
		for _, s := range [2]*ir.Block{then, els} {
			if s == nil {
				continue
			}
			preds[s] = append(preds[s], b)
			if order[s] >= order[b] {
				if closing == nil {
					closing = map[*ir.Block][]*ir.Block{}
				}
				closing[s] = append(closing[s], b)
			}
		}
	}
	depth := make(map[*ir.Block]int32, len(blocks))
	for header, work := range closing {
		in := map[*ir.Block]bool{header: true}
		depth[header]++
		for len(work) > 0 {
			b := work[len(work)-1]
			work = work[:len(work)-1]
			if in[b] {
				continue
			}
			in[b] = true
			depth[b]++
			work = append(work, preds[b]...)
		}
	}
	return depth
}
