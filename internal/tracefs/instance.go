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

// NamePrefix begins the names of all instances of sonde; a word follows that says what for.
const NamePrefix = "sonde_"

// NewName is a name for an instance, and for the group of its events, that nobody can foresee. purpose is a word of small letters.
func NewName(purpose string) (string, error) {
	var b [8]byte
	if n, err := unix.Getrandom(b[:], 0); err != nil || n != len(b) {
		return "", fmt.Errorf("a name for an instance: getrandom: %w", err)
	}
	return fmt.Sprintf("%s%s_%x", NamePrefix, purpose, b[:]), nil
}

// validName says whether a name is one that NewName makes.
func validName(name string) bool {
	rest, ok := strings.CutPrefix(name, NamePrefix)
	purpose, digits, parted := strings.Cut(rest, "_")
	return ok && parted && purpose != "" && strings.Trim(purpose, "abcdefghijklmnopqrstuvwxyz") == "" &&
		len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// Instance is a set of trace buffers of our own.
type Instance struct {
	Dir  string // of tracefs
	Name string
}

func MakeInstance(dir, name string) (*Instance, error) {
	i := &Instance{dir, name}
	err := unix.Mkdir(i.Path(), 0o700)
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

func (i *Instance) Path(below ...string) string {
	return filepath.Join(append([]string{i.Dir, "instances", i.Name}, below...)...)
}

// Set writes a control file.
func (i *Instance) Set(value string, below ...string) error {
	f, err := os.OpenFile(i.Path(below...), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(value + "\n"); err != nil {
		return fmt.Errorf("tracefs: writing %q to %s: %w", value, filepath.Join(below...), Bare(err))
	}
	return nil
}

// Append writes to a control file that keeps what it has.
func (i *Instance) Append(value string, below ...string) error {
	f, err := os.OpenFile(i.Path(below...), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(value + "\n"); err != nil {
		return fmt.Errorf("tracefs: writing to %s: %w", filepath.Join(below...), Bare(err))
	}
	return nil
}

// Bare is an error without the path, which the message has already.
func Bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Configure sets the instance up: the clock of all other records, the size of each CPU's buffer, nothing overwritten.
func (i *Instance) Configure(bytesPerCPU int) (SubBuffer, error) {
	if err := i.Set("0", "tracing_on"); err != nil {
		return SubBuffer{}, err
	}
	if err := i.Set("mono", "trace_clock"); err != nil {
		return SubBuffer{}, err
	}
	// What does not fit any more is lost and counted, and what was there stays; so it is with the BPF programs' ring.
	if err := i.Set("0", "options", "overwrite"); err != nil {
		return SubBuffer{}, err
	}
	// A page holds a name of 4,095 bytes only just not. Before 6.8 it cannot be made larger.
	if err := i.Set("16", "buffer_subbuf_size_kb"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return SubBuffer{}, err
	}
	if err := i.Set(strconv.Itoa(max(bytesPerCPU>>10, 64)), "buffer_size_kb"); err != nil {
		return SubBuffer{}, fmt.Errorf("%w; a smaller --buffer may do", err)
	}
	text, err := os.ReadFile(i.Path("events", "header_page"))
	if errors.Is(err, fs.ErrNotExist) { // older kernels have it once
		text, err = os.ReadFile(filepath.Join(i.Dir, "events", "header_page"))
	}
	if err != nil {
		return SubBuffer{}, fmt.Errorf("tracefs: %w", err)
	}
	return ParseHeaderPage(string(text))
}
