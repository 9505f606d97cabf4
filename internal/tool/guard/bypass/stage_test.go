package bypass

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest"
)

// needRoot skips what no unprivileged user can do.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// unseen are the ways of whose success the decoy itself shows nothing.
var unseen = map[string]bool{"mount over it": true, "rmdir": true}

// Without a rule every way leads to the decoy, in memory and on a disk; but for those of which the test knows why not.
func TestKernelUnguarded(t *testing.T) {
	needRoot(t)
	shapes := Shapes
	if vmtest.Guest() != "" {
		shapes = []Shape{File, Create} // emulated; what verify is compared with is all of them
	}
	for _, place := range Places() {
		t.Run(place.Kind, func(t *testing.T) {
			stage, err := NewStage(place.Dir)
			if err != nil {
				t.Fatal(err)
			}
			defer stage.Close()
			counts := make(map[Outcome]int)
			for _, w := range Ways() {
				for _, shape := range shapes {
					r, err := stage.Try(context.Background(), w, shape, Unguarded)
					counts[r.Outcome]++
					switch {
					case err != nil:
						t.Errorf("%s, %v: %v", w.Name, shape, err)
					case r.Outcome == Outside:
					case r.Outcome == Reached && (r.Effect != LetThrough || unseen[w.Name]):
					case r.Outcome == Impossible && w.Group != Opens:
						t.Logf("%s, %v: %v", w.Name, shape, r)
					default:
						t.Errorf("%s, %v: %v", w.Name, shape, r)
					}
				}
			}
			t.Log(len(Ways()), "ways:", counts)
		})
	}
}

// A stage is gone when the process that made it was killed.
func TestKernelStageIsRemoved(t *testing.T) {
	parent := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "BYPASS_TEST_STAGE="+parent)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	dir := strings.TrimSpace(line)
	if _, serr := os.Stat(filepath.Join(dir, "left")); err != nil || serr != nil {
		t.Fatal(err, serr)
	}
	cmd.Process.Kill()
	_ = cmd.Wait()
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(until) {
			t.Fatal(dir, "is still there")
		}
	}
}

// What removes stages removes nothing else.
func TestBroomKnowsStages(t *testing.T) {
	dir := t.TempDir()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	stdin := os.Stdin
	os.Stdin = null
	defer func() { os.Stdin = stdin; null.Close() }()
	for _, bad := range []string{dir, "relative", "sonde-decoy-relative", dir + "/not-sonde-decoy-"} {
		if status := sweep([]string{bad}); status != 2 {
			t.Errorf("%q: status %d", bad, status)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	good := filepath.Join(dir, stagePrefix+"x")
	if err := os.MkdirAll(good+"/below", 0o700); err != nil {
		t.Fatal(err)
	}
	if status := sweep([]string{good}); status != 0 {
		t.Error("status", status)
	}
	if _, err := os.Stat(good); !errors.Is(err, os.ErrNotExist) {
		t.Error("it is still there")
	}
}

// A child that is killed is seen to be, and what it was to do is undone with the stage.
func TestKernelKilled(t *testing.T) {
	needRoot(t)
	parent := t.TempDir()
	stage, err := NewStage(parent)
	if err != nil {
		t.Fatal(err)
	}
	kill := func(m Meant) (func() error, error) {
		return func() error { return nil }, unix.Kill(m.PID, unix.SIGKILL)
	}
	for _, shape := range []Shape{File, Create} {
		r, err := stage.Try(context.Background(), Find("truncate"), shape, kill)
		if err != nil || r.Outcome != Killed || !r.Intact() {
			t.Errorf("%v: %v, %v", shape, r, err)
		}
	}
	refused := errors.New("no")
	if _, err := stage.Try(context.Background(), Find("openat"), File, func(Meant) (func() error, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := stage.Try(gone, Find("openat"), File, Unguarded); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := stage.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Error("left:", left, err)
	}
}
