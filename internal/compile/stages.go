package compile

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
