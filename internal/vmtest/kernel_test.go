package vmtest

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/vmtest/fetch"
)

// The kernel that a test is told of is the one that it runs on.
func TestKernelIsTheNamedOne(t *testing.T) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	host := unix.ByteSliceToString(u.Nodename[:])
	if name := Guest(); name != "" && name != fetch.OwnImage && (!strings.HasPrefix(release, name+".") || !strings.HasSuffix(release, "-cloud-amd64")) {
		t.Errorf("the guest is called %s and runs %s", name, release)
	}
	if got, want := strings.HasPrefix(host, "guest-"), Guest() != ""; got != want {
		t.Errorf("host name %s, but being in a guest is %v", host, want)
	}
}

func TestKernelNeedRuns(t *testing.T) {
	Need(t, kernel.Tracefs, kernel.Tracepoint)
	if Guest() == "" {
		return // where tracefs is not mounted here, it is known by a mount of sonde's own
	}
	if _, err := os.Stat("/sys/kernel/tracing/events"); err != nil {
		t.Errorf("tracefs is there for Need but not for a test: %v", err)
	}
}

// The table has a row for each feature that can be tried, and in a guest of a stock kernel every finding is what the table
// expects, in both directions.
func TestKernelHasWhatIsExpected(t *testing.T) {
	name := Guest()
	if name == fetch.OwnImage {
		name = ""
	}
	for _, finding := range attach.TryAll() {
		t.Run(string(finding.Feature), func(t *testing.T) {
			column := name
			if column == "" {
				column = stockKernels[0]
			}
			want, err := expects(column, finding.Feature)
			if err != nil {
				t.Fatal(err)
			}
			if got := finding.State == kernel.Present; name != "" && got != want {
				t.Errorf("expected %v, found %+v: internal/vmtest/expect.go is wrong, or this kernel has changed", want, finding)
			}
			if finding.State != kernel.Present && finding.Reason == "" {
				t.Errorf("%+v: no reason for its absence", finding)
			}
		})
	}
}
