package codegen

import "sonde/internal/compile/ir"

// Faults are generators whose allocation of registers is wrong on purpose, by what is wrong. They are for tests of other
// packages: a comparison is worth something only if it notices them.
func Faults() map[string]func(*ir.Program) (*Code, error) {
	with := func(f fault) func(*ir.Program) (*Code, error) {
		return func(p *ir.Program) (*Code, error) { return generate(p, f) }
	}
	return map[string]func(*ir.Program) (*Code, error){
		"registers are free too early":        with(freeEarly),
		"calls destroy nothing":               with(forgetCalls),
		"arguments are moved one by one":      with(movesInOrder),
		"slots of loops are free before them": with(forgetLoops),
	}
}
