package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The command line as far as it goes without privileges: testdata/script. sonde, execsnoop, opensnoop, bootstrap and bpftrace are in PATH there; the
// variables ESC, CSI, NL and RLO hold what must not reach a terminal.
func TestScript(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("testdata", "script"),
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			bin := filepath.Join(env.WorkDir, "bin")
			if err := os.Mkdir(bin, 0o755); err != nil {
				return err
			}
			for _, name := range []string{"sonde", "execsnoop", "opensnoop", "bootstrap", classicName} {
				if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
					return err
				}
			}
			env.Setenv("PATH", bin+":/usr/bin:/bin")
			env.Setenv("ESC", "\x1b")
			env.Setenv("CSI", "\x9b") // as one byte, which is no UTF-8
			env.Setenv("NL", "\n")
			env.Setenv("RLO", "\u202e") // turns the rest of the line round
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"refused": cmdRefused,
			"json":    cmdJSON,
			"plain":   cmdPlain,
		},
	})
}

// cmdRefused is `refused STATUS COMMAND ARG...`: it must end with the status, having written nothing to standard output
// and to standard error one line that begins with its name and can do a terminal no harm. The line is there for `stderr`.
func cmdRefused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refused STATUS COMMAND ARG...")
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	// A fault that goes unnoticed would trace, and not end.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(ts.Getenv("WORK"), "bin", args[1]), args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("WORK")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), stderr.String())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		ts.Fatalf("status %d, want %d; stderr: %q", got, status, &stderr)
	}
	if stdout.Len() > 0 {
		ts.Fatalf("it wrote to standard output: %q", &stdout)
	}
	line, rest, ended := strings.Cut(stderr.String(), "\n")
	if !ended || rest != "" || !strings.HasPrefix(line, args[1]+": ") {
		ts.Fatalf("not one line that begins with %q: %q", args[1]+": ", &stderr)
	}
	if r, ok := harmless(line); !ok {
		ts.Fatalf("%q in %q reaches the terminal", r, line)
	}
}

// harmless says whether a line is of printable characters only, and gives the first that is none.
func harmless(line string) (rune, bool) {
	for _, r := range line {
		if !strconv.IsPrint(r) {
			return r, false
		}
	}
	return 0, true
}

// cmdJSON is `json FILE`: each line of it must be an object.
func cmdJSON(ts *testscript.TestScript, _ bool, args []string) {
	data := ts.ReadFile(args[0])
	if data == "" {
		ts.Fatalf("%s is empty", args[0])
	}
	for line := range strings.Lines(data) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("%v in %q", err, line)
		}
	}
}

// cmdPlain is `plain FILE`: nothing in it but printable lines.
func cmdPlain(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if r, ok := harmless(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " ")); !ok {
			ts.Fatalf("%q in %q", r, line)
		}
	}
}
