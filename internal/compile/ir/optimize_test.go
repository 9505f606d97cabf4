package ir_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/ir/irtest"
)

// outcome runs p and returns all it leaves.
func outcome(t *testing.T, p *ir.Program, ctx []byte) []byte {
	t.Helper()
	e := irtest.Env(ctx)
	ret, err := ir.Run(p, e)
	if err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(ret))
	out = append(out, e.Value(irtest.Out, make([]byte, 4))...)
	for i := range uint32(irtest.CellCount) {
		cell := e.Value(irtest.Cells, binary.LittleEndian.AppendUint32(nil, i))
		if cell == nil {
			cell = make([]byte, irtest.CellBytes)
		}
		out = append(out, cell...)
	}
	for i := range uint64(irtest.TableKeys) {
		value := e.Value(irtest.Table, binary.LittleEndian.AppendUint64(nil, i))
		out = append(append(out, byte(len(value))), value...)
	}
	return out
}

func context(r *rand.Rand) []byte {
	ctx := make([]byte, 8*irtest.CtxWords)
	for i := 0; i < len(ctx); i += 8 {
		binary.LittleEndian.PutUint64(ctx[i:], r.Uint64()>>(16*r.UintN(4)))
	}
	return ctx
}

// Every pass alone and all together keep what random programs do.
func TestPassesKeepMeaning(t *testing.T) {
	names := []string{"all"}
	for _, pass := range ir.Passes {
		if pass.Why != "" {
			names = append(names, pass.Name)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			programs := uint64(100)
			if name == "all" {
				programs = 400
			}
			for seed := range programs {
				options := irtest.Options{Statements: 4 + int(seed%40), Fetch: true}
				p := irtest.Random(seed, options)
				before := p.String()
				ir.Optimize(p, func(pass string) bool { return name == "all" || pass == name })
				if err := ir.Verify(p); err != nil {
					t.Fatalf("seed %d: %v\n%s\n%s", seed, err, before, p)
				}
				r := rand.New(rand.NewPCG(seed, 2))
				for range 3 {
					ctx := context(r)
					if !bytes.Equal(outcome(t, irtest.Random(seed, options), ctx), outcome(t, p, ctx)) {
						t.Fatalf("seed %d: another outcome\n%s\n%s", seed, before, p)
					}
				}
			}
		})
	}
}

func TestTextIsReadBack(t *testing.T) {
	for seed := range uint64(100) {
		p := irtest.Random(seed, irtest.Options{Statements: 30, Fetch: true})
		text := p.String()
		q, err := ir.Parse(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if q.String() != text {
			t.Fatalf("seed %d: read back as another program\n%s\n%s", seed, text, q)
		}
		ctx := context(rand.New(rand.NewPCG(seed, 3)))
		if !bytes.Equal(outcome(t, p, ctx), outcome(t, q, ctx)) {
			t.Fatalf("seed %d: read back, it does another thing\n%s", seed, text)
		}
	}
}
