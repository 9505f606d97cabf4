package compile_test

import (
	"testing"

	"sonde/internal/compile"
	"sonde/internal/kernel"
)

func TestShortKeys(t *testing.T) {
	old := kernel.NewFixture().Without(kernel.LargeKeys)
	for _, script := range []string{
		`begin { @[kstack] = count(); }`,
		`begin { @[ustack] = 1; }`,
		`begin { @[str(0), kstack(200), (comm, str(1))] = hist(pid); }`,
		`begin { @[(n = str(0), b = buf(kptr(0), 900))] = lhist(pid, 0, 1000000, 1001); }`,
		`begin { @[ustack(build_id)] = count(); }`,
	} {
		p, diags := compile.Compile([]byte(script), "test", old, compile.Options{})
		if p.Spec == nil {
			t.Errorf("%s: %v", script, diags)
			continue
		}
		for _, m := range p.Maps {
			spec := p.Spec.Collection.Maps[m.BPF]
			if spec.KeySize > 512 || spec.KeySize < 400 {
				t.Errorf("%s: keys of %d bytes", script, spec.KeySize)
			}
			if int(spec.KeySize) < m.Key.Size {
				t.Errorf("%s: keys of %d bytes, of a type of %d", script, spec.KeySize, m.Key.Size)
			}
		}
		if len(p.Choices) == 0 {
			t.Errorf("%s: keys are cut and nothing says so", script)
		}
		if p, _ := compile.Compile([]byte(script), "test", kernel.NewFixture(), compile.Options{}); p.Spec.Collection.Maps[p.Maps[0].BPF].KeySize <= 512 {
			t.Errorf("%s: keys are cut on a kernel that takes large ones", script)
		}
	}
}
