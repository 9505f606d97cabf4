package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// bpfThings are what a process has loaded.
type bpfThings struct {
	programs []ebpf.ProgramID
	maps     []ebpf.MapID
	linkIDs  []link.ID
	links    int
}

// holds asks /proc which programs, maps and links a process has descriptors of.
func holds(t *testing.T, pid int) (b bpfThings) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.ReadFile(f)
		if err != nil {
			continue // closed by now
		}
		isLink := bytes.Contains(info, []byte("\nlink_type:")) || bytes.HasPrefix(info, []byte("link_type:"))
		for line := range strings.Lines(string(info)) {
			key, value, _ := strings.Cut(line, ":")
			id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			if err != nil {
				continue
			}
			switch key {
			case "prog_id":
				b.programs = append(b.programs, ebpf.ProgramID(id))
			case "map_id":
				b.maps = append(b.maps, ebpf.MapID(id))
			case "link_id":
				b.linkIDs = append(b.linkIDs, link.ID(id))
			}
		}
		// Before 5.13 a link has no id there.
		if isLink || bytes.Contains(info, []byte("tp_name:")) {
			b.links++
		}
	}
	return b
}

// left are those that still exist. Maps and programs are not opened: the kernel empties a program array when its last
// descriptor is closed, and with two of those closed in quick succession one was never freed (seen on 6.18).
func (b bpfThings) left() (list []string) {
	for _, id := range b.programs {
		if next, err := ebpf.ProgramGetNextID(id - 1); err == nil && next == id {
			list = append(list, fmt.Sprintf("program %d", id))
		}
	}
	for _, id := range b.maps {
		if next, err := ebpf.MapGetNextID(id - 1); err == nil && next == id {
			list = append(list, fmt.Sprintf("map %d", id))
		}
	}
	for _, id := range b.linkIDs {
		if l, err := link.NewFromID(id); err == nil {
			list = append(list, fmt.Sprintf("link %d", id))
			l.Close()
		} else if !errors.Is(err, os.ErrNotExist) {
			list = append(list, err.Error())
		}
	}
	return list
}

// gone checks that nothing of it is left. The kernel frees after an RCU grace period.
func (b bpfThings) gone(t *testing.T) {
	t.Helper()
	if len(b.programs) == 0 || len(b.maps) == 0 {
		t.Fatalf("nothing was loaded: %+v", b)
	}
	var left []string
	for range 1000 {
		if left = b.left(); len(left) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("left behind: %v", left)
}

func TestKernelWeatherKilled(t *testing.T) {
	needExec(t)
	p := begin(t, exec.Command(as(t, "sonde"), "exec", "-p", fmt.Sprint(idle(t).cmd.Process.Pid)))
	p.line(t)
	held := holds(t, p.cmd.Process.Pid)
	if held.links == 0 {
		t.Fatalf("no link: %+v", held)
	}
	p.signal(t, unix.SIGKILL)
	p.wait(t)
	held.gone(t)
}

// A COMMAND that runs when sonde is killed runs on, untraced.
func TestKernelWeatherKilledWithCommand(t *testing.T) {
	needExec(t)
	p := begin(t, exec.Command(as(t, "sonde"), "exec", "-o", "/dev/null", "--", as(t, "role-nest"), "0"))
	p.line(t)
	held := holds(t, p.cmd.Process.Pid)
	p.signal(t, unix.SIGKILL)
	<-p.done
	held.gone(t)
	p.say(t, "spawn "+truePath(t))
	if line := p.line(t); line != "done" {
		t.Errorf("COMMAND says %q", line)
	}
	p.stdin.Close()
	p.rest(t)
}

// A COMMAND that is still held when sonde is killed never runs.
func TestKernelWeatherKilledWhileHeld(t *testing.T) {
	needExec(t)
	sonde := as(t, "sonde")
	for range 50 {
		command, check := untouched(t)
		p := begin(t, exec.Command(sonde, append([]string{"exec", "-o", "/dev/null"}, command...)...))
		var child int
		for child == 0 {
			select {
			case <-p.done:
			default:
				child = launcher(p.cmd.Process.Pid)
				continue
			}
			break
		}
		if child == 0 {
			p.wait(t)
			continue // it went by too fast
		}
		p.signal(t, unix.SIGSTOP)
		// A COMMAND that was told to go just before is another program soon.
		time.Sleep(200 * time.Millisecond)
		if !isHeld(child) {
			p.signal(t, unix.SIGKILL)
			p.wait(t)
			continue
		}
		p.signal(t, unix.SIGKILL)
		<-p.done
		waitFor(t, "the held process to end", func() bool { return !isHeld(child) })
		check()
		return
	}
	t.Error("in 50 rounds it was never stopped while COMMAND was held")
}

// launcher returns the child of a process that waits to become COMMAND, 0 if there is none.
func launcher(pid int) int {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		children, _ := os.ReadFile(f)
		for c := range strings.FieldsSeq(string(children)) {
			if n, err := strconv.Atoi(c); err == nil && isHeld(n) {
				return n
			}
		}
	}
	return 0
}

// isHeld says whether a process is one that waits to become COMMAND. One that has ended has no command line.
func isHeld(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.HasPrefix(line, []byte("sonde: held\x00"))
}
