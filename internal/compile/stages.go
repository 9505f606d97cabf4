package compile

import (
	"fmt"
	"sort"
	"strings"

	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
)

// stages are the text forms of the phases of one compilation.
type stages struct {
	ast, types, ir, asm string
}

// Stage returns the text form of a phase: "ast", "types", "ir" or "asm".
func (p *Program) Stage(name string) (string, bool) {
	switch name {
	case "ast":
		return p.stages.ast, true
	case "types":
		return p.stages.types, true
	case "ir":
		return p.stages.ir, true
	case "asm":
		return p.stages.asm, true
	}
	return "", false
}

// typesText lists what check found out: the attach points, the maps and variables with their types, and the expressions in
// the order of the source.
func typesText(info *check.Info) string {
	var b strings.Builder
	for _, m := range info.Maps {
		key := "none"
		if m.Key != nil {
			key = m.Key.String()
		}
		fmt.Fprintf(&b, "map %s: key %s, value %s\n", m.Name, key, m.Value)
	}
	for _, p := range info.Programs {
		for _, pt := range p.Points {
			fmt.Fprintf(&b, "%s\n", pt.Text)
		}
		var lines []typedLine
		note := func(e syntax.Expr) {
			t := info.Types[e]
			if t == nil {
				return
			}
			text := syntax.ExprString(e) + ": " + t.String()
			if c := info.Consts[e]; c != nil {
				text += constText(c)
			}
			lines = append(lines, typedLine{e.Span(), text})
		}
		syntax.Walk(p.Decl, func(n syntax.Node) bool {
			if e, ok := n.(syntax.Expr); ok {
				note(e)
			}
			return true
		})
		sort.SliceStable(lines, func(i, j int) bool { return lines[i].span.Start < lines[j].span.Start })
		for _, l := range lines {
			fmt.Fprintf(&b, "  %s\n", l.text)
		}
	}
	return b.String()
}

type typedLine struct {
	span syntax.Span
	text string
}

func constText(c *check.Const) string {
	switch c.Kind {
	case check.ConstString:
		return fmt.Sprintf(" = %q", c.Str)
	case check.ConstBool:
		return fmt.Sprintf(" = %v", c.Int != 0)
	}
	return fmt.Sprintf(" = %d", int64(c.Int))
}
