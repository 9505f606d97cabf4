package vmtest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/vmtest/fetch"
)

// Names in the environment of a test.
const (
	guestEnv = "SONDE_GUEST_KERNEL"
	sondeEnv = "SONDE_BIN"
)

// Guest returns the name of the guest's kernel ("6.1"; "image" for one that somebody brought), or "" on the machine itself.
func Guest() string { return os.Getenv(guestEnv) }

// Need makes the test depend on kernel features: it is skipped, with the reason, where one of them is really absent,
// which is found by trying it. In a guest whose stock kernel should have the feature the test fails instead.
func Need(t testing.TB, features ...kernel.Feature) {
	t.Helper()
	for _, f := range features {
		finding := try(f)
		fail, reason := judge(Guest(), finding)
		switch {
		case fail:
			t.Fatal(reason)
		case reason != "":
			t.Skip(reason)
		}
	}
}

// judge decides what becomes of a test that needs what was looked for: it runs when reason is empty.
func judge(guest string, f kernel.Finding) (fail bool, reason string) {
	// Of a kernel that somebody brought nothing is expected.
	if guest != "" && guest != fetch.OwnImage {
		should, err := expects(guest, f.Feature)
		switch {
		case err != nil:
			return true, err.Error()
		case should && f.State != kernel.Present:
			return true, "kernel " + guest + " should have " + string(f.Feature) + " but: " + f.Reason
		}
	}
	if guest != "" && f.State == kernel.Untried {
		// Nothing is out of root's reach in a guest.
		return true, string(f.Feature) + " could not be tried in a guest: " + f.Reason
	}
	switch f.State {
	case kernel.Present:
		return false, ""
	case kernel.Absent:
		return false, "kernel lacks " + string(f.Feature) + ": " + f.Reason
	}
	return false, "cannot try " + string(f.Feature) + ": " + f.Reason
}

// try asks each feature once: trying loads programs, and its answer does not change while a test binary runs.
func try(f kernel.Feature) kernel.Finding {
	tried.Lock()
	defer tried.Unlock()
	finding, ok := tried.findings[f]
	if !ok {
		finding = attach.Try(f)
		tried.findings[f] = finding
	}
	return finding
}

var tried = struct {
	sync.Mutex
	findings map[kernel.Feature]kernel.Finding
}{findings: map[kernel.Feature]kernel.Finding{}}

// Sonde returns the path of a sonde binary made from this source: $SONDE_BIN, which the runner sets on the machine and
// in guests, else one that is built for this call.
func Sonde(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(sondeEnv); path != "" {
		return path
	}
	if Guest() != "" {
		t.Fatal("there is no sonde in this guest: cmd/sonde did not build")
	}
	path := filepath.Join(t.TempDir(), "sonde")
	if err := BuildSonde(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}
