package script

import (
	"context"
	"fmt"
	"os"
	"slices"

	"sonde/internal/bench/process"
)

// assigned is how many assignments the long script has.
const assigned = 2000

// compile measures a long script from start to end: it is compiled, loaded, run once and done.
func (b *Bench) compile(ctx context.Context) {
	long := script{key: "assignments", text: assignments(assigned)}
	b.rounds(ctx, "run-compile", b.Rounds, func() {
		b.each(ctx, "run-compile", long, func(tool Tool) error { return b.compiled(tool, long) })
	})
}

func (b *Bench) compiled(tool Tool, long script) error {
	here, there := b.temporary(tool, "long.bt")
	if err := os.WriteFile(here, []byte(long.text), 0o644); err != nil { // too long for a command line
		return err
	}
	defer os.Remove(here)
	p, err := process.Launch(process.Command{Root: b.root(tool), Argv: append(slices.Clone(tool.Argv), there)})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Wait(patience); err != nil {
		return err
	}
	if sum, want := counted(p.Output()), assigned*(assigned-1)/2; sum != want {
		return fmt.Errorf("the values of its map add up to %d, not to %d: %w", sum, want, p.Said())
	}
	b.Results.Add("compile.cpu", tool.Key, ms(p.Total()))
	b.Results.Add("compile.wall", tool.Key, ms(p.Gone.Sub(p.Started)))
	return nil
}
