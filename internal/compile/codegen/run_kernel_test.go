package codegen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"sonde/internal/attach"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/ir/irtest"
	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// rig runs random programs in the kernel.
type rig struct {
	out, cells, table *ebpf.Map
	fetch             bool
}

func newRig(t testing.TB) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	r := &rig{fetch: attach.Try(kernel.FetchAtomics).State == kernel.Present}
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&r.out, ebpf.MapSpec{Name: irtest.Out, Type: ebpf.Array, KeySize: 4, ValueSize: irtest.OutBytes, MaxEntries: 1}},
		{&r.cells, ebpf.MapSpec{Name: irtest.Cells, Type: ebpf.Array, KeySize: 4, ValueSize: irtest.CellBytes, MaxEntries: irtest.CellCount}},
		{&r.table, ebpf.MapSpec{Name: irtest.Table, Type: ebpf.Hash, KeySize: 8, ValueSize: irtest.TableBytes, MaxEntries: 64}},
	} {
		made, err := ebpf.NewMap(&m.spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { made.Close() })
		*m.to = made
	}
	return r
}

// memory is what a program leaves.
type memory struct {
	ret   uint32
	out   []byte
	cells [irtest.CellCount][]byte
	table [irtest.TableKeys][]byte
}

func (m *memory) diff(o *memory) string {
	if m.ret != o.ret {
		return fmt.Sprintf("returned %d and %d", m.ret, o.ret)
	}
	for i := 0; i < len(m.out); i += 8 {
		if !bytes.Equal(m.out[i:i+8], o.out[i:i+8]) {
			return fmt.Sprintf("out[%d]: %x and %x", i, m.out[i:i+8], o.out[i:i+8])
		}
	}
	for i := range m.cells {
		if !bytes.Equal(m.cells[i], o.cells[i]) {
			return fmt.Sprintf("cell %d: %x and %x", i, m.cells[i], o.cells[i])
		}
	}
	for i := range m.table {
		if !bytes.Equal(m.table[i], o.table[i]) {
			return fmt.Sprintf("element %d: %x and %x", i, m.table[i], o.table[i])
		}
	}
	return ""
}

// context is the program's argument.
func context(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	ctx := make([]byte, 8*irtest.CtxWords)
	for i := 0; i < len(ctx); i += 8 {
		binary.LittleEndian.PutUint64(ctx[i:], r.Uint64()>>(r.UintN(5)*16%64))
	}
	return ctx
}

// load loads code.
func (r *rig) load(code *Code) (*ebpf.Program, error) {
	insns := append(asm.Instructions(nil), code.Instructions...)
	maps := map[string]*ebpf.Map{irtest.Out: r.out, irtest.Cells: r.cells, irtest.Table: r.table}
	for i := range insns {
		if m := maps[insns[i].Reference()]; m != nil && insns[i].IsLoadFromMap() {
			if err := insns[i].AssociateMap(m); err != nil {
				return nil, err
			}
		}
	}
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "test", Type: ebpf.RawTracepoint, License: "Dual BSD/GPL", Instructions: insns, KernelVersion: 1,
	})
}

var errRefused = errors.New("refused")

// kernel runs code.
func (r *rig) kernel(code *Code, ctx []byte) (*memory, error) {
	if err := r.out.Put(uint32(0), make([]byte, irtest.OutBytes)); err != nil {
		return nil, err
	}
	for i := range uint32(irtest.CellCount) {
		if err := r.cells.Put(i, make([]byte, irtest.CellBytes)); err != nil {
			return nil, err
		}
	}
	for i := range uint64(irtest.TableKeys) {
		if err := r.table.Delete(i); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, err
		}
	}
	prog, err := r.load(code)
	if err != nil {
		return nil, fmt.Errorf("%w: %+v", errRefused, err)
	}
	defer prog.Close()
	m := &memory{}
	if m.ret, err = prog.Run(&ebpf.RunOptions{Context: ctx}); err != nil {
		return nil, err
	}
	if m.out, err = r.out.LookupBytes(uint32(0)); err != nil {
		return nil, err
	}
	for i := range m.cells {
		if m.cells[i], err = r.cells.LookupBytes(uint32(i)); err != nil {
			return nil, err
		}
	}
	for i := range m.table {
		if m.table[i], err = r.table.LookupBytes(uint64(i)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// interpreted runs p in ir's interpreter.
func interpreted(p *ir.Program, ctx []byte) (*memory, error) {
	e := irtest.Env(ctx)
	ret, err := ir.Run(p, e)
	if err != nil {
		return nil, err
	}
	m := &memory{ret: uint32(ret), out: e.Value(irtest.Out, make([]byte, 4))}
	for i := range m.cells {
		m.cells[i] = e.Value(irtest.Cells, binary.LittleEndian.AppendUint32(nil, uint32(i)))
		if m.cells[i] == nil {
			m.cells[i] = make([]byte, irtest.CellBytes)
		}
	}
	for i := range m.table {
		m.table[i] = e.Value(irtest.Table, binary.LittleEndian.AppendUint64(nil, uint64(i)))
	}
	return m, nil
}

// tooLarge says whether p was refused for its size, which is the fault of the generator.
func tooLarge(err error) bool {
	var stack *StackError
	return errors.As(err, &stack) || bytes.Contains([]byte(err.Error()), []byte("argument list too long"))
}

func (r *rig) options(seed uint64) irtest.Options {
	return irtest.Options{Statements: 5 + int(seed%60), Fetch: r.fetch}
}

func TestKernelAgreesWithInterpreter(t *testing.T) {
	r := newRig(t)
	large, programs := 0, 200
	if vmtest.Guest() != "" {
		programs = 25 // emulated
	}
	for seed := range uint64(programs) {
		p := irtest.Random(seed, r.options(seed))
		if err := ir.Verify(p); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p)
		}
		ctx := context(seed)
		want, err := interpreted(p, ctx)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p)
		}
		for _, optimize := range []bool{false, true} {
			if optimize {
				ir.Optimize(p, nil)
			}
			code, err := Generate(p)
			if err != nil {
				if tooLarge(err) {
					large++
					continue
				}
				t.Fatalf("seed %d: %v\n%s", seed, err, p)
			}
			got, err := r.kernel(code, ctx)
			if err != nil {
				if tooLarge(err) {
					large++
					continue
				}
				t.Fatalf("seed %d: %v\n%s\n%v", seed, err, p, code.Instructions)
			}
			if d := want.diff(got); d != "" {
				t.Fatalf("seed %d: interpreter and kernel: %s\n%s\n%v", seed, d, p, code.Instructions)
			}
		}
	}
	if large > programs/5 {
		t.Errorf("%d of %d codes were too large", large, 2*programs)
	}
}

// The comparison is worth something only if it sees a wrong allocator.
func TestKernelSeesFaults(t *testing.T) {
	r := newRig(t)
	const programs = 40
	for f, name := range map[fault]string{freeEarly: "freeEarly", forgetCalls: "forgetCalls", movesInOrder: "movesInOrder", forgetLoops: "forgetLoops"} {
		seen := 0
		for seed := range uint64(programs) {
			p := irtest.Random(seed, irtest.Options{Statements: 30})
			ctx := context(seed)
			want, err := interpreted(p, ctx)
			if err != nil {
				t.Fatal(err)
			}
			code, err := generate(p, f)
			if err != nil {
				continue
			}
			if got, err := r.kernel(code, ctx); err != nil || want.diff(got) != "" {
				seen++
			}
		}
		t.Logf("%s: seen in %d of %d programs", name, seen, programs)
		if seen < programs/8 {
			t.Errorf("%s: seen in %d of %d programs only", name, seen, programs)
		}
	}
}
