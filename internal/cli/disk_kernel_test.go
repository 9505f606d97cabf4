package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The disk fills up: the run goes on to its end, says what was not written, and what is in the file is whole lines but
// for the one that was cut.
func TestKernelWeatherDiskFull(t *testing.T) {
	needExec(t)
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(small, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	const n = 200
	for _, c := range []struct{ name, file, format string }{
		{"json", small + "/json", "json"},
		{"text", small + "/text", "text"},
		{"no room at all", "/dev/full", "json"},
		{"size limit", filepath.Join(t.TempDir(), "limited"), "json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{as(t, "sonde"), "exec", "-f", c.format, "-o", c.file, "--", as(t, "role-storm"), truePath(t), fmt.Sprint(n)}
			if c.format == "text" { // its lines are shorter
				args = append(args[:len(args)-3], as(t, "role-parallel"), truePath(t), fmt.Sprint(n), "150")
			}
			if c.name == "size limit" {
				args = append([]string{as(t, "role-limit"), fmt.Sprint(unix.RLIMIT_FSIZE), "20000"}, args...)
			}
			got := runAll(t, exec.Command(args[0], args[1:]...))
			if got.status != 1 {
				t.Errorf("status %d, want 1; %s", got.status, got.stderr)
			}
			data := []byte{}
			if !strings.HasPrefix(c.file, "/dev") {
				var err error
				if data, err = os.ReadFile(c.file); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(c.file); err != nil {
					t.Fatal(err)
				}
				if len(data) == 0 {
					t.Error("nothing was written")
				}
			}
			events := number(t, got.stderr, `(\d+) events`)
			unwritten := number(t, got.stderr, `(\d+) records? could not be written`)
			whole := 0
			switch c.format {
			case "json":
				torn := 0
				lines := strings.SplitAfter(string(data), "\n")
				for i, line := range lines {
					switch {
					case line == "":
					case json.Valid([]byte(line)):
						if !strings.HasPrefix(line, `{"type":"summary"`) {
							whole++
						}
					default:
						const begins = `{"type":"exec",`
						if torn++; !strings.HasPrefix(line, begins) && !strings.HasPrefix(begins, line) {
							t.Errorf("line %d is the rest of one: %q", i+1, line)
						}
					}
				}
				if torn > 1 {
					t.Errorf("%d torn lines", torn)
				}
			case "text":
				whole = strings.Count(string(data), "\n") - 1
			}
			if events == 0 || unwritten == 0 || whole+unwritten != events {
				t.Errorf("%d whole in the file and %d unwritten, of %d; %s", whole, unwritten, events, got.stderr)
			}
			if !regexp.MustCompile(`(?m)^sonde: writing ` + regexp.QuoteMeta(c.file) + `: .*(no space|file too large)`).MatchString(got.stderr) {
				t.Errorf("it does not say what was wrong: %s", got.stderr)
			}
		})
	}
}

// number returns the number in text that the group of the expression matches.
func number(t *testing.T, text, expr string) int {
	t.Helper()
	m := regexp.MustCompile(expr).FindStringSubmatch(text)
	if m == nil {
		t.Errorf("no %s in %q", expr, text)
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Error(err)
	}
	return n
}

// Standard output may be full too.
func TestKernelWeatherStdoutFull(t *testing.T) {
	needExec(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := exec.Command(as(t, "sonde"), "exec", "-f", "json", "--", truePath(t))
	cmd.Stdout = full
	var stderr strings.Builder
	cmd.Stderr = &stderr
	_ = cmd.Run()
	if s := status(cmd.ProcessState); s != 1 || !strings.Contains(stderr.String(), "\nsonde: writing: ") ||
		!strings.Contains(stderr.String(), "1 record could not be written") {
		t.Errorf("status %d, stderr %q", s, &stderr)
	}
}
