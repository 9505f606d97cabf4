package compile

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// comesAndGoes says whether the elements of a hash are better made when they come than all at the start.
//
// Where keys are put in and deleted again at each event, that is most of what the event costs, and since 6.1, with its
// allocator for BPF, it costs a fifth less so: there is no list of free elements to be locked. The allocator keeps a few
// dozen elements on each CPU, and gets more of them from an interrupt; so it is only left to programs that run where
// interrupts come through, those for system calls.
func (l *lowerer) comesAndGoes(m *Map, programs []lowered) bool {
	info := l.mapInfo(m.Name)
	if m.Storage != StoreHash || info == nil || !info.Deleted || l.opt.NoOptimize {
		return false
	}
	for _, b := range programs {
		if b.plan.raw == rawNone && mentions(b.check.Decl, m.Name) {
			return false
		}
	}
	return l.t.Has(kernel.KtimeTAI) // which is as old as the allocator
}

// mentions says whether a map's name stands somewhere in a part of the script.
func mentions(part syntax.Node, name string) bool {
	found := false
	syntax.Walk(part, func(n syntax.Node) bool {
		if ref, ok := n.(*syntax.MapRef); ok && ref.Name == name {
			found = true
		}
		return !found
	})
	return found
}
