//go:build boot

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sonde/internal/vmtest"
	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/wire"
)

var blanks = regexp.MustCompile(` +`)

// Lockdown cannot be lifted before the next boot, so this has guests of its own. In integrity mode tracing is allowed.
func TestBootLockdown(t *testing.T) {
	cache, err := fetch.Open("", false, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	payload := filepath.Join(t.TempDir(), "payload.cpio")
	if err := vmtest.Payload(t.Context(), payload, []vmtest.File{{Guest: "/bin/sonde", Host: vmtest.Sonde(t)}}); err != nil {
		t.Fatal(err)
	}
	const lock = `f=/sys/kernel/security/lockdown; grep -q "\[$0\]" $f || echo $0 >$f || exit 99; `
	for _, kernel := range []string{"5.10", "7.2"} {
		t.Run(kernel, func(t *testing.T) {
			jobs := []struct {
				mode, script string
				status       int
				want         []string
			}{
				{"integrity", "sonde exec -- /bin/true seen", 0, []string{"/bin/true seen\n", "sonde: 1 event, none lost"}},
				{"confidentiality", "sonde exec -- /bin/touch /tmp/ran", 1, []string{"sonde: exec: ", "lockdown", "confidentiality", "boot with lockdown=integrity"}},
				{"confidentiality", "sonde doctor; ls /tmp", 0, []string{"\nexec no ", "lockdown mode confidentiality"}},
			}
			config := vmtest.Config{Cache: cache, Kernel: kernel, Archives: []string{payload}, Timeout: 3 * time.Minute}
			outputs := make([]bytes.Buffer, len(jobs))
			for i, j := range jobs {
				config.Jobs = append(config.Jobs, vmtest.Job{
					Job:    wire.Job{Args: []string{"/bin/sh", "-c", lock + j.script, j.mode}, Dir: "/tmp"},
					Output: &outputs[i],
				})
			}
			result, err := vmtest.Boot(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			for i, j := range jobs {
				if exit := result.Exits[i]; exit != (wire.Exit{Code: j.status}) {
					t.Errorf("%s: %s: %+v, want status %d\n%s", j.mode, j.script, exit, j.status, &outputs[i])
				}
				// How wide doctor's columns are depends on what is in them.
				said := blanks.ReplaceAllString(outputs[i].String(), " ")
				for _, w := range j.want {
					if !strings.Contains(said, w) {
						t.Errorf("%s: %s: no %q in\n%s", j.mode, j.script, w, &outputs[i])
					}
				}
			}
			if refused := outputs[1].String(); strings.Count(refused, "\n") != 1 {
				t.Errorf("more than one line: %q", refused)
			}
			if strings.Contains(outputs[2].String(), "\nran\n") {
				t.Error("COMMAND ran although nothing could be traced")
			}
		})
	}
}
