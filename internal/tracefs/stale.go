package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Leftover is a probe in tracefs that a loader of BPF programs made, by its name, and that seems to be nobody's.
type Leftover struct {
	Event  string // GROUP/NAME
	Place  string // where it is: what stands behind the name
	Loader string // which loader names its probes so
	PID    int    // of the process that made it; 0 where the name does not tell
	Lives  bool   // there is a process of that number: it is left alone
}

// loaderOf tells from the name of a probe which loader made it, and the number of its process; 0 where that is not in the name.
func loaderOf(event string) (loader string, pid int) {
	group, name, _ := strings.Cut(event, "/")
	switch group {
	case "kprobes", "kretprobes", "uprobes", "uretprobes":
		if rest, ok := strings.CutPrefix(name, "libbpf_"); ok {
			digits, _, _ := strings.Cut(rest, "_")
			return numbered("libbpf", digits)
		}
		for _, mark := range []string{"_goebpf_", "_bcc_"} {
			if i := strings.LastIndex(name, mark); i > 0 {
				return numbered(strings.Trim(mark, "_"), name[i+len(mark):])
			}
		}
		return "", 0
	}
	if digits, ok := strings.CutPrefix(group, "ebpf_"); ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == "" {
		return "cilium/ebpf", 0
	}
	if validName(group) {
		return "sonde", 0
	}
	return "", 0
}

func numbered(loader, digits string) (string, int) {
	pid, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || pid == 0 {
		return "", 0
	}
	return loader, int(pid)
}

// leftovers finds them in the text of kprobe_events or uprobe_events.
func leftovers(list string, lives func(pid int) bool) (found []Leftover) {
	for line := range strings.Lines(list) {
		// "p:GROUP/NAME place args...", "r16:..."
		first, place, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		_, event, ok := strings.Cut(first, ":")
		if !ok {
			continue
		}
		loader, pid := loaderOf(event)
		if loader == "" {
			continue
		}
		found = append(found, Leftover{Event: event, Place: place, Loader: loader, PID: pid, Lives: pid != 0 && lives(pid)})
	}
	return found
}

// The files in tracefs that list probes.
var probeLists = []string{"kprobe_events", "uprobe_events"}

// Leftovers lists what loaders of BPF programs seem to have left behind.
func Leftovers() ([]Leftover, error) {
	at, err := findRoot()
	if err != nil {
		return nil, err
	}
	defer at.close()
	var found []Leftover
	seen := make(map[string]bool)
	for _, name := range probeLists {
		list, err := os.ReadFile(filepath.Join(at.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // no such probes here
		}
		if err != nil {
			return nil, fmt.Errorf("tracefs: %w", err)
		}
		for _, l := range leftovers(string(list), lives) {
			if !seen[l.Event] {
				seen[l.Event] = true
				found = append(found, l)
			}
		}
	}
	return found, nil
}

// lives says whether there is a process of that number.
func lives(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

// ErrHeld says that a probe cannot be removed because somebody has a program on it.
var ErrHeld = errors.New("it is in use")

// Remove takes a leftover away. One that somebody holds stays as it is, and the error is ErrHeld.
func (l Leftover) Remove() error {
	at, err := findRoot()
	if err != nil {
		return err
	}
	defer at.close()
	enable := filepath.Join(at.dir, "events", l.Event, "enable")
	was, _ := os.ReadFile(enable)
	on := strings.HasPrefix(string(was), "1")
	if on { // some loaders switch the event on besides; so it could not be removed
		if err := write(enable, "0"); err != nil {
			return err
		}
	}
	err = remove1(at.dir, l.Event)
	if err != nil && on {
		err = errors.Join(err, write(enable, "1"))
	}
	if errors.Is(err, unix.EBUSY) {
		return ErrHeld
	}
	return err
}

// remove1 removes one probe from the list that has it.
func remove1(dir, event string) error {
	var last error
	for _, name := range probeLists {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_APPEND, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = f.WriteString("-:" + event + "\n")
			f.Close()
		}
		if err == nil {
			return nil
		}
		if last == nil || !errors.Is(err, unix.ENOENT) {
			last = err
		}
	}
	return fmt.Errorf("tracefs: %w", Bare(last))
}

func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return fmt.Errorf("tracefs: writing %q to %s: %w", text, path, Bare(err))
	}
	return nil
}
