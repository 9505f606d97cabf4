//go:build guest

package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest"
)

// Every kind of section is run on the kernels that have it, all in one run; the others say in a sentence that they cannot.
func TestGuestObjectPlaces(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	waitsThenAsks(t, program)
	called := begin(t, exec.Command(program)) // it calls outer 20 times
	user := called.cmd.Process.Pid
	const calls, userCalls = 5, 20
	all := []string{"5.10", "6.1", "6.12", "7.2"}
	kinds := []struct {
		name, section string
		attach        string // in place of the section
		on            []string
		runs          int
		more          bool // others than the test's own calls are seen
	}{
		{"call", "ksyscall/getppid", "", all, calls, false},
		{"call_return", "kretsyscall/getppid", "", all, calls, false},
		{"multi", "kprobe.multi/security_file_op*", "", all[2:], calls, true},
		{"multi_return", "kretprobe.multi/security_file_open", "", all[2:], calls, true},
		{"session", "kprobe.session/security_file_open", "", all[2:], 2 * calls, true},
		{"user_multi", "uprobe.multi", "uprobe.multi/" + program + ":out*", all[2:], userCalls, false},
		{"user_multi_return", "uretprobe.multi", "uretprobe.multi/" + program + ":out*", all[2:], userCalls, false},
		{"user_sleeps", "uprobe.s", "uprobe.s/" + program + ":outer", all[1:], userCalls, false},
		{"user_return_sleeps", "uretprobe.s", "uretprobe.s/" + program + ":outer", all[1:], userCalls, false},
		{"user_multi_sleeps", "uprobe.multi.s", "uprobe.multi.s/" + program + ":outer", all[2:], userCalls, false},
		{"hook_sleeps", "lsm.s/file_open", "", all[1:], calls, true},
		{"entry_sleeps", "fentry.s/", "", all[3:], calls, false},
		{"exit_sleeps", "fexit.s/", "", all[3:], calls, false},
		{"modify_sleeps", "fmod_ret.s/", "", all[3:], calls, false},
	}
	sonde, object := as(t, "sonde"), vmtest.Object(t, "places")
	variables := map[string]int{}
	for _, target := range []int{os.Getpid(), user} {
		args := []string{"--unsafe", "--maps", setTo("target", target)}
		for _, k := range kinds {
			only := []string{"--only", k.name}
			if k.attach != "" {
				only = append(only, "--attach", k.name+"="+k.attach)
			}
			switch {
			case (k.attach != "") != (target == user):
			case slices.Contains(k.on, vmtest.Guest()):
				args = append(args, only...)
			default:
				got := runAll(t, exec.Command(sonde, append(append([]string{"run", "--unsafe", "--dry-run"}, only...), object)...))
				if got.status == exitOK {
					t.Errorf("%s: this kernel has it: %+v", k.name, got)
					continue
				}
				got.refusal(t, exitFailure, "program "+k.name+" (section "+k.section)
			}
		}
		if !slices.Contains(args, "--only") {
			continue
		}
		r := runObjectFor(t, object, args...)
		if target == user {
			called.stdin.Close()
			<-called.done
		}
		for range calls {
			os.Getppid()
			_, _ = unix.Getpgid(0) // it cannot fail
			if f, err := os.Open(os.DevNull); err == nil {
				f.Close()
			}
		}
		for _, l := range r.end(t) {
			if l.Type == "map" && l.Map == ".bss" {
				if err := json.Unmarshal(l.Variables, &variables); err != nil {
					t.Fatalf("%v: %s", err, l.Variables)
				}
				for _, k := range kinds {
					if got := variables["ran_"+k.name]; slices.Contains(k.on, vmtest.Guest()) && (k.attach != "") == (target == user) && (got < k.runs || !k.more && got != k.runs) {
						t.Errorf("%s ran %d times, want %d", k.name, got, k.runs)
					}
				}
			}
		}
	}
	if len(variables) == 0 {
		t.Error("no variables were shown")
	}
	got := runAll(t, exec.Command(sonde, "run", "-q", "--only", "iterator_sleeps", setTo("target", os.Getpid()), object))
	if got.status != exitOK || !strings.Contains(got.stdout, "task of ") {
		t.Errorf("iter.s: %+v", got)
	}
}
