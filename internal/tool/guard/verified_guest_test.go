//go:build guest

package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/tool/guard"
	"sonde/internal/vmtest"
)

// What the verifiers look at is nearly all of the time that a guard takes to start, and they give up after a million instructions.
// It must stay little, whatever is asked for and whoever is meant: constants take branches out of the programs, and the targets put some in.
func TestGuestVerifiedInstructions(t *testing.T) {
	const most = 20_000
	// All that can be asked for, for all targets (target.bpf.h): the other tests have the least of both.
	const mode = uint32(1 | 2 | 4 | 8 | 16 | 32 | 64)
	for _, m := range []struct {
		name    string
		feature kernel.Feature
		opt     guard.Options
	}{
		{"lsm", kernel.LSM, guard.Options{Mechanism: guard.LSM}},
		{"fmod_ret", kernel.FmodRet, guard.Options{Mechanism: guard.FmodRet}},
		{"override by kprobes", kernel.Kprobe, guard.Options{Mechanism: guard.Override}},
		{"override by fmod_ret", kernel.FmodRetSyscall, guard.Options{Mechanism: guard.Override, Modifies: attach.ModifiesReturn}},
		{"kill", kernel.Kprobe, guard.Options{Mechanism: guard.Kill}},
		{"kill by returns", kernel.RawTracepoint, guard.Options{Mechanism: guard.Kill, Returns: true}},
	} {
		t.Run(m.name, func(t *testing.T) {
			vmtest.Need(t, m.feature)
			spec, err := guard.Spec(m.opt)
			if err != nil {
				t.Fatal(err)
			}
			withoutHelper(t, spec)
			if err := spec.Collection.Variables["target_mode"].Set(mode); err != nil {
				t.Fatal(err)
			}
			s, err := attach.Open(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := verified(t)
			t.Log(got)
			for name, n := range got {
				if n > most {
					t.Errorf("%s: the verifier looked at %d instructions", name, n)
				}
			}
		})
	}
}

// verified is at how many instructions the kernel looked of each program of guard that is loaded, where it tells.
func verified(t *testing.T) map[string]uint32 {
	t.Helper()
	counts := make(map[string]uint32)
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, ebpf.ErrKeyNotExist) || err != nil {
			break
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue
		}
		info, err := p.Info()
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := info.VerifiedInstructions(); ok && strings.HasPrefix(info.Name, "guard_") {
			counts[info.Name] = max(counts[info.Name], n)
		}
	}
	return counts
}
