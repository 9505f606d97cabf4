package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard"
)

// mostHolders are told one by one.
const mostHolders = 20

// tellHolders says who has files open already that the rules deny or kill for, and with --revoke kills them. It comes when
// the rules are in force: who opens one from now on has been asked.
func (g *guardRun) tellHolders() error {
	held, err := guard.Holders(g.armed)
	if err != nil {
		g.tell("%v", err)
	}
	held = g.concerned(held)
	for i, h := range held {
		if i == mostHolders && !g.flags.revoke {
			g.tell("and %d more descriptors and mappings that were there before the rules", len(held)-i)
			break
		}
		how := "mapped"
		if h.FD >= 0 {
			how = fmt.Sprintf("open as descriptor %d", h.FD)
		}
		g.tell("held before the rules: %s (process %d) has %s %s, for %s (rule %s)", h.Comm, h.PID, h.Path, how, h.Access, g.armed.Rules[h.Rule].Name)
	}
	if g.flags.revoke {
		return g.revoke(held)
	}
	return nil
}

// concerned leaves out whom this run is not about. COMMAND holds nothing yet.
func (g *guardRun) concerned(held []guard.Holder) (those []guard.Holder) {
	t := &g.flags.target
	if !g.flags.narrows() {
		return held
	}
	for _, h := range held {
		for _, pid := range g.run.target.PIDs() {
			if h.PID == pid {
				those = append(those, h)
			}
		}
	}
	if len(t.Trees)+len(t.Cgroups) > 0 || t.User != "" || t.PPID != "" || t.Container != "" || t.CgroupMap != "" || t.MntnsMap != "" {
		g.tell("who holds files already was looked for among the processes of -p only")
	}
	return those
}

// revoke kills who holds what the rules deny. Each is looked at again when its number can no longer become another's.
func (g *guardRun) revoke(held []guard.Holder) error {
	var errs []error
	killed := make(map[uint32]bool)
	for _, h := range held {
		if killed[h.PID] || h.PID == 1 || int(h.PID) == os.Getpid() {
			continue
		}
		done, err := killHolder(h)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("--revoke: %s (process %d): %w", h.Comm, h.PID, err))
		case done:
			killed[h.PID] = true
			g.tell("killed %s (process %d)", h.Comm, h.PID)
		}
	}
	return errors.Join(errs...)
}

// killHolder kills a process if it still has the file.
func killHolder(h guard.Holder) (done bool, err error) {
	fd, err := unix.PidfdOpen(int(h.PID), 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if !stillHeld(h) {
		return false, nil
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	return err == nil, err
}

// stillHeld looks once more.
func stillHeld(h guard.Holder) bool {
	dir := fmt.Sprintf("/proc/%d/", h.PID)
	if h.FD >= 0 {
		link, err := os.Readlink(dir + fmt.Sprintf("fd/%d", h.FD))
		return err == nil && link == h.Path
	}
	maps, err := os.ReadFile(dir + "maps")
	return err == nil && bytes.Contains(maps, []byte(" "+strings.ReplaceAll(h.Path, "\n", `\012`)+"\n"))
}
