package bypass

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// broomName is the first argument of the process that removes a stage when the one that made it ends, however it ends.
const broomName = "sonde: broom"

func isBroom(args []string) bool { return len(args) == 2 && args[0] == broomName }

// stagePrefix begins the names of private directories. The broom removes no other.
const stagePrefix = "sonde-decoy-"

// sweep waits until its standard input ends, and removes the directory.
func sweep(args []string) int {
	dir := args[0]
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end too
	if !filepath.IsAbs(dir) || !strings.HasPrefix(filepath.Base(dir), stagePrefix) {
		return 2
	}
	if err := removeAll(dir); err != nil {
		return 1
	}
	return 0
}

// broom is the process, and the pipe that holds it.
type broom struct {
	cmd  *exec.Cmd
	hold io.WriteCloser
}

func startBroom(dir string) (*broom, error) {
	b := &broom{cmd: exec.Command("/proc/self/exe", dir)}
	b.cmd.Args[0] = broomName
	b.cmd.Env = []string{}
	b.cmd.Dir = "/"
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a signal of the terminal does not reach it
	hold, err := b.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	b.hold = hold
	if err := b.cmd.Start(); err != nil {
		hold.Close()
		return nil, fmt.Errorf("starting sonde again: %w; is /proc mounted?", err)
	}
	return b, nil
}

// done has the directory removed and waits for that.
func (b *broom) done() error {
	b.hold.Close()
	return b.cmd.Wait()
}
