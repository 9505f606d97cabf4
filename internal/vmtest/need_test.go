package vmtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/vmtest/fetch"
)

func TestJudge(t *testing.T) {
	present := func(f kernel.Feature) kernel.Finding { return kernel.Finding{Feature: f, State: kernel.Present} }
	absent := func(f kernel.Feature) kernel.Finding {
		return kernel.Finding{Feature: f, State: kernel.Absent, Reason: "it is off"}
	}
	untried := func(f kernel.Feature) kernel.Finding { return kernel.Finding{Feature: f, Reason: "no root"} }
	for _, tt := range []struct {
		name    string
		guest   string
		finding kernel.Finding
		fail    bool
		reason  string
	}{
		{"own kernel, present", "", present(kernel.LSM), false, ""},
		{"own kernel, absent", "", absent(kernel.LSM), false, "kernel lacks bpf_lsm: it is off"},
		{"own kernel, no privileges", "", untried(kernel.LSM), false, "cannot try bpf_lsm: no root"},
		{"guest, present as expected", "6.1", present(kernel.LSM), false, ""},
		{"guest, absent as expected", "5.10", absent(kernel.LSM), false, "kernel lacks bpf_lsm: it is off"},
		{"guest, absent against expectation", "6.1", absent(kernel.LSM), true, "kernel 6.1 should have bpf_lsm but: it is off"},
		{"guest, present against expectation", "5.10", present(kernel.LSM), false, ""},
		{"guest, untried", "6.1", untried(kernel.LSM), true, "kernel 6.1 should have bpf_lsm but: no root"},
		{"guest, untried, not expected", "5.10", untried(kernel.LSM), true, "bpf_lsm could not be tried in a guest: no root"},
		{"guest of an image, absent", "image", absent(kernel.LSM), false, "kernel lacks bpf_lsm: it is off"},
		{"guest of an image, untried", "image", untried(kernel.LSM), true, "bpf_lsm could not be tried in a guest: no root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fail, reason := judge(tt.guest, tt.finding)
			if fail != tt.fail || reason != tt.reason {
				t.Errorf("got %v %q, want %v %q", fail, reason, tt.fail, tt.reason)
			}
		})
	}
	for _, tt := range []struct{ guest, feature string }{{"4.4", string(kernel.LSM)}, {"6.1", "no_such_feature"}} {
		fail, reason := judge(tt.guest, present(kernel.Feature(tt.feature)))
		if !fail || !strings.Contains(reason, "expect.go") {
			t.Errorf("%v: got %v %q, want a failure that says where to add it", tt, fail, reason)
		}
	}
}

// The table must have a column for each kernel that is fetched.
func TestExpectedColumns(t *testing.T) {
	if diff := cmp.Diff(fetch.Names(), stockKernels); diff != "" {
		t.Errorf("the columns are not the kernels that are fetched:\n%s", diff)
	}
	for feature, row := range expected {
		if len(row) != len(stockKernels) {
			t.Errorf("%s has %d columns, want %d", feature, len(row), len(stockKernels))
		}
	}
}
