package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
)

// foresee looks through the whole script for what decides about the ring before any code is made: whether it has records
// that must get through, and whether probes that may run at any rate send others.
func (l *lowerer) foresee() {
	for _, p := range l.info.Programs {
		rare := seldom(p.Kind)
		syntax.Walk(p.Decl, func(n syntax.Node) bool {
			c, ok := n.(*syntax.Call)
			if !ok || len(c.Args) == 0 && c.Func == "print" { // in a branch that is never taken nobody has checked it
				return true
			}
			switch c.Func {
			case "exit", "clear", "zero":
				l.hasControls = true
			case "print":
				if ref, ok := c.Args[0].(*syntax.MapRef); ok && ref.Key == nil {
					l.hasControls = true
				} else if !rare {
					l.chatty = true
				}
			case "printf", "errorf", "warnf", "cat", "system", "join", "time":
				l.chatty = l.chatty || !rare
			}
			return true
		})
	}
}

// seldom says whether probes of that kind run no more than some thousand times a second.
func seldom(k check.ProbeKind) bool {
	switch k {
	case check.Begin, check.End, check.Self, check.Interval:
		return true
	}
	return false
}
