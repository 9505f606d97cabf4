//go:build guest

package dynevent

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// Each kind of dynamic events sees the same opens.
func TestGuestKinds(t *testing.T) {
	root, err := kernel.TracefsDir()
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(root + "/dynamic_events")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "cat /etc/passwd /no/such; echo x >" + dir + "/new; cat " + dir + "/new"
	want := []string{
		`cat "/etc/passwd" flags 0x0 dirfd -100 ok`, `cat "/no/such" flags 0x0 dirfd -100 -2`,
		`sh "` + dir + `/new" flags 0x241 dirfd -100 mode 666 ok`, `cat "` + dir + `/new" flags 0x0 dirfd -100 ok`,
	}
	for _, k := range []Kind{Kprobes, EventProbes} {
		t.Run(k.String(), func(t *testing.T) {
			if k == EventProbes && vmtest.Guest() == "5.10" {
				if tr, err := Open(Options{Kind: k}); err == nil {
					tr.Close()
					t.Error("event probes before 5.15")
				} else if !strings.Contains(err.Error(), "CONFIG_EPROBE_EVENTS") {
					t.Error(err)
				}
				return
			}
			if k == EventProbes && readsBytes(t, root) {
				if tr, err := Open(Options{Kind: k}); err == nil {
					tr.Close()
					t.Error("event probes that cannot read names are taken")
				} else if !errors.Is(err, errPointers) || strings.Contains(err.Error(), "\n") {
					t.Error(err)
				}
				return
			}
			got := runTraced(t, Options{Kind: k}, "/bin/sh", "-c", script)
			if diff := cmp.Diff(want, got.lines); diff != "" || got.lost != 0 || got.kind != k {
				t.Errorf("%v, lost %d (-want +got):\n%s", got.kind, got.lost, diff)
			}
		})
	}
	left, _ := filepath.Glob(root + "/instances/*")
	if events, err := os.ReadFile(root + "/dynamic_events"); err != nil || string(events) != string(before) || len(left) > 0 {
		t.Errorf("left: %q %q %v", left, events, err)
	}
}

// readsBytes says whether this kernel's event probes take a byte for an address: asked in another way than Open does.
func readsBytes(t *testing.T, root string) bool {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", `cd "$1" && mkdir instances/bytes &&
		echo 'e:bytes/at syscalls.sys_enter_openat at=$filename:x64' >>dynamic_events && cd instances/bytes &&
		echo 1 >events/bytes/at/enable && cat /dev/null && echo 0 >events/bytes/at/enable && cat trace; rc=$?
		cd "$1" && rmdir instances/bytes && echo -:bytes/at >>dynamic_events && exit $rc`, "sh", root).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " at=0x") {
		t.Fatalf("%v\n%s", err, out)
	}
	return regexp.MustCompile(` at=0x(f{14})?[0-9a-f]{1,2}\n`).Match(out)
}
