//go:build guest

package guard_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
)

// armed is a guard at work, for the length of a test.
type armed struct {
	*attach.Session
	loaded *guard.Loaded
}

// everyMechanism runs a test under each mechanism that this kernel has and that denies.
func everyMechanism(t *testing.T, test func(t *testing.T, m guard.Mechanism)) {
	for m, feature := range map[guard.Mechanism]kernel.Feature{guard.LSM: kernel.LSM, guard.FmodRet: kernel.FmodRet} {
		t.Run(string(m), func(t *testing.T) {
			vmtest.Need(t, feature)
			test(t, m)
		})
	}
}

func arm(t *testing.T, opt guard.Options, a *guard.Armed) *armed {
	t.Helper()
	opt.Sizes = guard.SizesFor(a)
	spec, err := guard.Spec(opt)
	if err != nil {
		t.Fatal(err)
	}
	// No tree is followed here.
	for i := 0; i < len(spec.Probes); i++ {
		if p := spec.Probes[i].Program; p == "target_fork" || p == "target_exit" {
			delete(spec.Collection.Programs, p)
			spec.Probes = append(spec.Probes[:i], spec.Probes[i+1:]...)
			i--
		}
	}
	s, err := attach.Open(spec)
	if err != nil {
		var ve *ebpf.VerifierError
		if errors.As(err, &ve) {
			t.Log(strings.Join(ve.Log[max(0, len(ve.Log)-60):], "\n"))
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	g := &armed{Session: s}
	if g.loaded, err = guard.Load(s, a, 1); err != nil {
		t.Fatal(err)
	}
	if err := g.loaded.Switch(s); err != nil {
		t.Fatal(err)
	}
	if err := s.SetWord(guard.ModeWord, guard.ModeArmed); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *armed) counts(t *testing.T) []guard.Counts {
	t.Helper()
	c, err := g.loaded.Counts(g.Session)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// objectOf is the file at that path as the kernel knows it.
func objectOf(t *testing.T, path string) guard.Object {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return guard.Object{Dev: unix.Major(st.Dev)<<20 | unix.Minor(st.Dev), Ino: st.Ino}
}

func deny(errno unix.Errno, access rule.Access) guard.ArmedRule {
	return guard.ArmedRule{Name: "test", Access: access, Action: rule.Deny, Errno: int(errno)}
}

func decoy(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

func TestGuestFirst(t *testing.T) {
	everyMechanism(t, func(t *testing.T, m guard.Mechanism) {
		dir, file := decoy(t)
		for _, c := range []struct {
			name  string
			armed guard.Armed
		}{
			{"object", guard.Armed{Objects: map[guard.Object][]int{objectOf(t, file): {0}}}},
			{"entry", guard.Armed{Entries: map[guard.Entry][]int{{Dir: objectOf(t, dir), Name: "secret"}: {0}}}},
			{"tree", guard.Armed{Trees: map[guard.Object][]int{objectOf(t, filepath.Dir(dir)): {0}}}},
			{"name", guard.Armed{Names: map[string][]int{"secret": {0}}}},
			{"glob", guard.Armed{Globs: []guard.GlobAt{{Dir: objectOf(t, dir), Pattern: "sec*[a-t]", Rule: 0}}}},
			{"glob below", guard.Armed{Globs: []guard.GlobAt{{Dir: objectOf(t, filepath.Dir(dir)), Below: true, Pattern: "s?cre*t", Rule: 0}}}},
			{"glob anywhere", guard.Armed{Globs: []guard.GlobAt{{Pattern: "*cret", Rule: 0}}}},
		} {
			t.Run(c.name, func(t *testing.T) {
				c.armed.Rules = []guard.ArmedRule{deny(unix.ENOENT, rule.Read)}
				g := arm(t, guard.Options{Mechanism: m}, &c.armed)
				if f, err := os.Open(file); !errors.Is(err, unix.ENOENT) {
					t.Errorf("open: %v", err)
					f.Close()
				}
				other := filepath.Join(t.TempDir(), "other")
				if err := os.WriteFile(other, nil, 0o600); err != nil {
					t.Errorf("another file: %v", err)
				}
				if n := g.counts(t)[0]; n != (guard.Counts{Matches: 1, Denied: 1}) {
					t.Errorf("counted %v", n)
				}
			})
		}
	})
}

var _ = exec.Command
var _ = runtime.GOOS
var _ = strings.Contains
