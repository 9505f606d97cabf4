package dynevent

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

const namePrefix = "sonde_open_"

// newName is a name for an instance and for the group of its events that nobody can foresee.
func newName() (string, error) {
	var b [8]byte
	if n, err := unix.Getrandom(b[:], 0); err != nil || n != len(b) {
		return "", fmt.Errorf("a name for an instance: getrandom: %w", err)
	}
	return fmt.Sprintf("%s%x", namePrefix, b[:]), nil
}

// validName says whether a name is one that newName makes.
func validName(name string) bool {
	digits, ok := strings.CutPrefix(name, namePrefix)
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// instance is a set of trace buffers of our own.
type instance struct {
	dir  string // of tracefs
	name string
}

func makeInstance(dir, name string) (*instance, error) {
	i := &instance{dir, name}
	err := unix.Mkdir(i.path(), 0o700)
	switch {
	case errors.Is(err, unix.EROFS):
		return nil, errors.New("tracefs can only be read here; mount it: mount -t tracefs nodev /sys/kernel/tracing")
	case errors.Is(err, unix.ENOENT):
		return nil, errors.New("this kernel's tracefs has no instances (CONFIG_TRACING)")
	case err != nil:
		return nil, fmt.Errorf("making an instance in tracefs: %w", err)
	}
	return i, nil
}

func (i *instance) path(below ...string) string {
	return filepath.Join(append([]string{i.dir, "instances", i.name}, below...)...)
}

// set writes a control file.
func (i *instance) set(value string, below ...string) error {
	f, err := os.OpenFile(i.path(below...), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(value + "\n"); err != nil {
		return fmt.Errorf("tracefs: writing %q to %s: %w", value, filepath.Join(below...), bare(err))
	}
	return nil
}

// append writes to a control file that keeps what it has.
func (i *instance) append(value string, below ...string) error {
	f, err := os.OpenFile(i.path(below...), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(value + "\n"); err != nil {
		return fmt.Errorf("tracefs: writing to %s: %w", filepath.Join(below...), bare(err))
	}
	return nil
}

// bare is an error without the path, which the message has already.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// configure sets the instance up: the clock of all other records, the size of each CPU's buffer, nothing overwritten.
func (i *instance) configure(bytesPerCPU int) (subBuffer, error) {
	if err := i.set("0", "tracing_on"); err != nil {
		return subBuffer{}, err
	}
	if err := i.set("mono", "trace_clock"); err != nil {
		return subBuffer{}, err
	}
	// What does not fit any more is lost and counted, and what was there stays; so it is with the BPF programs' ring.
	if err := i.set("0", "options", "overwrite"); err != nil {
		return subBuffer{}, err
	}
	// A page holds a name of 4,095 bytes only just not. Before 6.8 it cannot be made larger.
	if err := i.set("16", "buffer_subbuf_size_kb"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return subBuffer{}, err
	}
	if err := i.set(strconv.Itoa(max(bytesPerCPU>>10, 64)), "buffer_size_kb"); err != nil {
		return subBuffer{}, fmt.Errorf("%w; a smaller --buffer may do", err)
	}
	text, err := os.ReadFile(i.path("events", "header_page"))
	if errors.Is(err, fs.ErrNotExist) { // older kernels have it once
		text, err = os.ReadFile(filepath.Join(i.dir, "events", "header_page"))
	}
	if err != nil {
		return subBuffer{}, fmt.Errorf("tracefs: %w", err)
	}
	return parseHeaderPage(string(text))
}
