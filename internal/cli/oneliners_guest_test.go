//go:build guest

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGuestOneLiners runs the one-liners as they are typed: on all processes.
func TestGuestOneLiners(t *testing.T) {
	bin, program := oneBench(t)
	for _, x := range oneLiners {
		t.Run(x.name, func(t *testing.T) { x.run(t, bin, program) })
	}
}

// A guest has no counters of the CPU.
func TestGuestNoCounters(t *testing.T) {
	got := runAll(t, exec.Command(as(t, "sonde"), "run", "-e", "hardware:cache-misses:1000000 { @[comm, pid] = count(); }"))
	if got.status == 0 || !regexp.MustCompile(`^sonde: hardware:cache-misses:1000000: .+\n$`).MatchString(got.stderr) {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
}

// TestGuestShebang runs a script that names sonde's place of old.
func TestGuestShebang(t *testing.T) {
	const place = "/usr/local/bin/bpftrace"
	if err := os.MkdirAll("/usr/local/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	linkSelf(t, place)
	defer os.Remove(place)
	script := filepath.Join(t.TempDir(), "script.bt")
	text := "#!" + place + "\n\nBEGIN\n{\n\tprintf(\"%s %d\\n\", str($1), $#);\n\texit();\n}\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	got := runAll(t, exec.Command(script, "first", "2"))
	if got.status != 0 || got.stdout != "first 2\n\n\n" || got.stderr != "Attached 1 probe\n" {
		t.Errorf("status %d, stdout %q, stderr %q", got.status, got.stdout, got.stderr)
	}
}
