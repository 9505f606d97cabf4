package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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

// loaders are how loaders name their probes: in the group or the event, with the number of their process or without.
var loaders = []struct {
	name   string
	match  *regexp.Regexp // of GROUP/NAME
	hasPID bool
}{
	{"libbpf", regexp.MustCompile(`^(?:kprobes|kretprobes|uprobes|uretprobes)/libbpf_(\d+)_`), true},
	{"bcc", regexp.MustCompile(`^(?:kprobes|uprobes)/[pr]_.*_bcc_(\d+)$`), true},
	{"goebpf", regexp.MustCompile(`^(?:kprobes|kretprobes)/.*_goebpf_(\d+)$`), true},
	{"cilium/ebpf", regexp.MustCompile(`^ebpf_[0-9a-f]{16}/`), false},
	{"sonde", regexp.MustCompile(`^` + NamePrefix + `[a-z]+_[0-9a-f]{16}/`), false},
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
		for _, l := range loaders {
			m := l.match.FindStringSubmatch(event)
			if m == nil {
				continue
			}
			one := Leftover{Event: event, Place: place, Loader: l.name}
			if l.hasPID {
				pid, err := strconv.Atoi(m[1])
				if err != nil {
					break
				}
				one.PID, one.Lives = pid, lives(pid)
			}
			found = append(found, one)
			break
		}
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
