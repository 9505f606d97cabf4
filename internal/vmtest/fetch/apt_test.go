package fetch

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSimulation(t *testing.T) {
	got := parseSimulation(`Reading package lists...
The following NEW packages will be installed:
  linux-base linux-image-cloud-amd64
Inst linux-base (4.17 Debian:unstable [all])
Inst libc6 [2.36-9] (2.41-12 Debian:13.7/stable [amd64]) []
Inst qemu-system-x86 (1:10.0.13+ds-0+deb13u1 Debian:13.7/stable [amd64])
Inst broken
Conf linux-base (4.17 Debian:unstable [all])
`)
	want := []Package{{"linux-base", "4.17"}, {"libc6", "2.41-12"}, {"qemu-system-x86", "1:10.0.13+ds-0+deb13u1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The machine's way to its mirror is kept; its hooks, which clean the system's own cache, and its state are not.
func TestPrivateConfig(t *testing.T) {
	got := privateConfig("/p", `Acquire "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::Languages "";
Acquire::Languages:: "none";
Acquire::IndexTargets::deb::DEP-11 "";
APT::Update::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";
`)
	for _, want := range []string{
		`Acquire::http::Proxy "http://proxy.example:3128";`, `Acquire::Languages:: "none";`, `Dir::State "/p/state";`, `Dir::Etc::Parts "/dev/null";`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	for _, bad := range []string{"Post-Invoke", "IndexTargets", "Acquire \"\""} {
		if strings.Contains(got, bad) {
			t.Errorf("%s was taken over:\n%s", bad, got)
		}
	}
}

func TestRunSaysWhatFailed(t *testing.T) {
	_, err := run(t.Context(), "", nil, "sh", "-c", "echo first >&2; echo last words >&2; exit 7")
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.HasSuffix(err.Error(), ": last words") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, "", nil, "sleep", "1000"); err != context.Canceled {
		t.Errorf("cancelled: got %v", err)
	}
}
