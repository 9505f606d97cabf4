package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/bypass"
)

// A mechanism works if its hook was seen to run and the child was stopped by just what it is to be stopped by.
func TestProven(t *testing.T) {
	openat := bypass.Find("openat")
	opened := bypass.Result{Way: openat, Outcome: bypass.Reached, Effect: bypass.WasRead}
	refused := bypass.Result{Way: openat, Outcome: bypass.Refused, Errno: unix.EACCES}
	killed := bypass.Result{Way: openat, Outcome: bypass.Killed}
	emptied := bypass.Result{Way: openat, Outcome: bypass.Refused, Errno: unix.EACCES, Changed: []string{"contents"}}
	denies, kills := guard.Counts{Matches: 1, Denied: 1}, guard.Counts{Matches: 1, Killed: 1}
	const otherwise = "something else than was to be expected"
	for _, tc := range []struct {
		name      string
		mechanism guard.Mechanism
		result    bypass.Result
		counts    guard.Counts
		want      string // "" if it works
	}{
		{"denied", guard.LSM, refused, denies, ""},
		{"denied by fmod_ret", guard.FmodRet, refused, denies, ""},
		{"killed", guard.Kill, killed, kills, ""},
		{"never asked", guard.LSM, opened, guard.Counts{}, "attached and never asked, because bpf is not among the active security modules ("},
		{"never asked, fmod_ret", guard.FmodRet, opened, guard.Counts{}, "attached and never asked"},
		{"said no in vain", guard.FmodRet, opened, denies, "said no, and a decoy was opened all the same"},
		{"another said no", guard.LSM, refused, guard.Counts{}, otherwise},
		{"asked, and another said no", guard.LSM, refused, guard.Counts{Matches: 1, Logged: 1}, otherwise},
		{"another error", guard.LSM, bypass.Result{Way: openat, Outcome: bypass.Refused, Errno: unix.EPERM}, denies, otherwise},
		{"denied and emptied", guard.LSM, emptied, denies, otherwise},
		{"killed by one that denies", guard.LSM, killed, kills, otherwise},
		{"denied by one that kills", guard.Kill, refused, denies, otherwise},
		{"killed by somebody else", guard.Kill, killed, guard.Counts{}, otherwise},
		{"not tried", guard.LSM, bypass.Result{Way: openat, Outcome: bypass.Impossible, Why: "why"}, guard.Counts{}, otherwise},
	} {
		err := (&guardSession{mechanism: tc.mechanism}).proven(tc.result, tc.counts)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestNoMechanism(t *testing.T) {
	one := &noMechanism{[]refusedMechanism{{guard.LSM, errors.New("why")}}}
	if got := one.Error(); got != "lsm does not work here: why" {
		t.Error(got)
	}
	two := &noMechanism{append(one.refused, refusedMechanism{guard.Kill, errors.New("because")})}
	if got := two.Error(); got != "this kernel lets no mechanism guard files: lsm: why; kill: because" {
		t.Error(got)
	}
}

// On a kernel that lets nothing deny, verify says so in plain words, for each mechanism why.
func TestVerifyWhereNothingDenies(t *testing.T) {
	needRoot(t)
	denying := slices.DeleteFunc(guard.Mechanisms(), func(m guard.Mechanism) bool { return !m.Denies() })
	for _, m := range denying {
		if f := whatItNeeds(m); attach.Try(f).State == kernel.Present {
			t.Skipf("this kernel has %s", f)
		}
	}
	for _, m := range denying {
		cmd := exec.Command(as(t, "sonde"), "guard", "verify", "--mechanism", string(m))
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitFailure {
			t.Errorf("%v, want status %d", err, exitFailure)
		}
		lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
		if len(lines) != 2 || !strings.HasPrefix(lines[0], string(m)+": not here: ") || strings.Contains(lines[0], "bug of sonde") || stderr.Len() > 0 {
			t.Errorf("%s%s", &stdout, &stderr)
		}
	}
}

// Without hooks and kprobes a kill still comes: of who opens or executes the file.
func TestVerifyByReturns(t *testing.T) {
	needRoot(t)
	if !byReturns(guard.Kill) {
		t.Skip("this kernel has kprobes")
	}
	g, err := openGuard(t.Context(), []guard.Mechanism{guard.Kill}, func(m guard.Mechanism) (*prog.Spec, error) {
		return guard.Spec(guard.Options{Mechanism: m, Returns: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	v := newVerifier(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	v.survey.Shapes = []bypass.Shape{bypass.File}
	v.survey.Ways = slices.DeleteFunc(slices.Clone(bypass.Ways()), func(w *bypass.Way) bool { return w.Group != bypass.Opens })
	if err := v.free(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := v.under(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range v.survey.Ways {
		want := bypass.Late
		if strings.HasPrefix(w.Name, "io_uring") {
			want = bypass.NotCovered
		}
		if cell := c.Cell(w); cell.Verdict != want && cell.Verdict != bypass.NotHere {
			t.Errorf("%s: %v (%s), want %v", w.Name, cell, cell.Why, want)
		}
	}
}
