package attach

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func TestLoadError(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"an old kernel", fmt.Errorf("map create: %w", ebpf.ErrNotSupported), []string{"exec: this kernel (", "Linux 5.10 or later", "sonde doctor"}},
		{"the verifier", fmt.Errorf("program x: %w", &ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"0: (85) call 7", "R1 is odd", "processed 3 insns", ""}}),
			[]string{"bug of sonde", "(R1 is odd)"}},
		{"no log", &ebpf.VerifierError{Cause: unix.EINVAL}, []string{"(no log)"}},
		{"anything else", errors.New("no memory"), []string{"exec: load the programs: no memory"}},
		{"refused", fmt.Errorf("program x: %w", unix.EPERM), []string{"exec: ", "operation not permitted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := loadError("exec", c.err)
			for _, want := range c.want {
				if !strings.Contains(got.Error(), want) {
					t.Errorf("%q does not say %q", got, want)
				}
			}
			if strings.Contains(got.Error(), "\n") {
				t.Errorf("more than one line: %q", got)
			}
		})
	}
}
