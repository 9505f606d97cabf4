//go:build guest

package dynevent

import (
	"os"
	"path/filepath"
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
			want := want
			if k == EventProbes && vmtest.Guest() == "6.12" {
				want = nil // a known fault: there they tell nothing, and kprobe events are taken
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
