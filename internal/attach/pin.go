package attach

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// PinDir is a directory of a bpf file system, with what is pinned in it. It is reached through its descriptor, so that
// nobody can put another one in its place; it belongs to root, who alone may look inside.
type PinDir struct {
	fd   int
	path string // for messages
}

// bpffsMagic is BPF_FS_MAGIC (linux/magic.h).
const bpffsMagic = 0xcafe4a11

// usualBpffs is where systemd mounts one.
const usualBpffs = "/sys/fs/bpf"

// ErrNoPins is wrapped by the error of OpenPinRoot where nothing has been pinned yet.
var ErrNoPins = fmt.Errorf("nothing is pinned: %w", fs.ErrNotExist)

// OpenPinRoot opens the directory of that name at the top of the bpf file system, which is made where make is set. The error
// wraps ErrNoPins where it is not there.
func OpenPinRoot(name string, make bool) (*PinDir, error) {
	top, err := bpffs()
	if err != nil {
		if !make {
			return nil, fmt.Errorf("%w: %w", ErrNoPins, err)
		}
		return nil, err
	}
	fd, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", top, err)
	}
	root := &PinDir{fd, top}
	defer root.Close()
	d, err := root.Open(name)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return d, err
	case !make:
		return nil, ErrNoPins
	}
	if d, err = root.Make(name); errors.Is(err, fs.ErrExist) { // another was faster
		return root.Open(name)
	}
	return d, err
}

// bpffs finds a bpf file system. It is told by its magic number, not by its path.
func bpffs() (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(usualBpffs, &st); err == nil && uint32(st.Type) == bpffsMagic {
		return usualBpffs, nil
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for m := range kernel.MountsOf(string(table), "bpf") {
		if err := unix.Statfs(m.Point, &st); err == nil && uint32(st.Type) == bpffsMagic {
			return m.Point, nil
		}
	}
	return "", fmt.Errorf("no bpf file system is mounted; mount one: mount -t bpf bpf %s", usualBpffs)
}

// Make makes a directory that is not there yet; the error wraps fs.ErrExist where it is.
func (d *PinDir) Make(name string) (*PinDir, error) {
	if err := unix.Mkdirat(d.fd, name, 0o700); err != nil {
		return nil, fmt.Errorf("%s/%s: %w", d.path, name, err)
	}
	return d.Open(name)
}

// Open opens a directory in this one. One that is not root's, that others may use or that is a link is refused.
func (d *PinDir) Open(name string) (*PinDir, error) {
	path := d.path + "/" + name
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if st.Uid != 0 || st.Mode&0o077 != 0 {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: it belongs to user %d with mode %o, not to root alone; somebody else made it: remove it", path, st.Uid, st.Mode&0o777)
	}
	return &PinDir{fd, path}, nil
}

// Close gives back the descriptor. What is pinned stays.
func (d *PinDir) Close() error { return unix.Close(d.fd) }

// Path is where it is, for messages.
func (d *PinDir) Path() string { return d.path }

// Names lists what is in it, sorted.
func (d *PinDir) Names() ([]string, error) {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	dir := os.NewFile(uintptr(fd), d.path)
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// RemoveEmpty removes the directory itself if nothing is in it any more.
func (d *PinDir) RemoveEmpty() { _ = unix.Rmdir(d.path) } // ENOTEMPTY is the answer where something is

// Gone says whether the directory has been removed.
func (d *PinDir) Gone() bool {
	var st unix.Stat_t
	return unix.Fstat(d.fd, &st) != nil || st.Nlink == 0
}

// linkPins is how pinned links are called. They go first when a directory is removed: with them the programs stop.
const linkPins = "link_"

// RemoveAll removes a directory of this one with all that is pinned in it. It goes on after an error.
func (d *PinDir) RemoveAll(name string) error {
	in, err := d.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	names, err := in.Names()
	if err != nil {
		return err
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return isLink(b) - isLink(a)
	})
	var errs []error
	for _, n := range names {
		if err := unix.Unlinkat(in.fd, n, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("%s/%s: %w", in.path, n, err))
		}
	}
	if err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		errs = append(errs, fmt.Errorf("%s: %w", in.path, err))
	}
	return errors.Join(errs...)
}

func isLink(name string) int {
	if strings.HasPrefix(name, linkPins) {
		return 1
	}
	return 0
}

// at is the path of a name in the directory by its descriptor: bpf(2) takes paths only (before 6.5).
func (d *PinDir) at(name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", d.fd, name) }

func (d *PinDir) pin(name string, fd int) error {
	path, err := cString(d.at(name))
	if err == nil {
		_, err = bpf(unix.BPF_OBJ_PIN, &objPinAttr{path: unsafe.Pointer(path), fd: uint32(fd)})
	}
	if err != nil {
		return fmt.Errorf("pin %s/%s: %w", d.path, name, err)
	}
	return nil
}

// pinName is a map's name as the bpf file system takes it: without dots.
func pinName(name string) string {
	return "map_" + strings.Trim(strings.ReplaceAll(name, ".", "_"), "_")
}

// Pin makes these maps, and all that is attached, outlive this process: they stay until the directory is removed, with the
// programs and what these use. Where it fails, what was pinned so far is for the caller to remove.
func (s *Session) Pin(d *PinDir, maps ...string) error {
	for _, name := range maps {
		m := s.coll.Maps[name]
		if m == nil {
			return fmt.Errorf("%s: no map %q to pin", s.spec.Name, name)
		}
		if err := d.pin(pinName(name), m.FD()); err != nil {
			return err
		}
	}
	for i, l := range s.links {
		fd, ok := linkDescriptor(l)
		if !ok {
			return fmt.Errorf("%s: this kernel cannot keep what this mechanism is attached by (kprobes, before 5.15), once the process has ended", s.spec.Name)
		}
		if err := d.pin(fmt.Sprintf("%s%03d", linkPins, i), fd); err != nil {
			return err
		}
	}
	return nil
}

func linkDescriptor(c io.Closer) (int, bool) {
	switch l := c.(type) {
	case descriptor:
		return int(l), true
	case perfProbe:
		return int(l.link), l.link >= 0
	}
	return -1, false
}

// PinBytes keeps some bytes (at most 4 MiB less a page) beside what else is pinned, in a map of their own, in place of those
// that it kept under that name before.
func (d *PinDir) PinBytes(name string, data []byte) error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(data)+7) &^ 7, MaxEntries: 1,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, refusal(err))
	}
	defer m.Close()
	if err := m.Put(uint32(0), append(data[:len(data):len(data)], make([]byte, -len(data)&7)...)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// Pinned beside the old one and moved there, so that at every moment one of the two is seen.
	pin := pinName(name)
	if err := d.pin(pin+newPin, m.FD()); err != nil {
		return err
	}
	if err := unix.Renameat(d.fd, pin+newPin, d.fd, pin); err != nil {
		return fmt.Errorf("%s/%s: %w", d.path, pin, err)
	}
	return nil
}

const newPin = "_new"

// Map opens a map that was pinned. It is the caller's to close.
func (d *PinDir) Map(name string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(d.at(pinName(name)), nil)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", d.path, pinName(name), refusal(err))
	}
	return m, nil
}

// Bytes returns what PinBytes kept, with up to seven zeros behind it.
func (d *PinDir) Bytes(name string) ([]byte, error) {
	m, err := d.Map(name)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if m.Type() != ebpf.Array || m.MaxEntries() != 1 {
		return nil, fmt.Errorf("%s/%s: not what sonde pins there", d.path, pinName(name))
	}
	return m.LookupBytes(uint32(0))
}

// Place is where a global variable of programs lies: in which map, how far from its start, and how many bytes it has.
type Place struct {
	Map          string
	Offset, Size uint32
}

// Places says where the variables that are numbers lie, so that they can be read once they are pinned.
func (s *Session) Places() map[string]Place {
	places := make(map[string]Place)
	for name, v := range s.spec.Collection.Variables {
		if v.Size() == 4 || v.Size() == 8 {
			places[name] = Place{v.SectionName, v.Offset, v.Size()}
		}
	}
	return places
}

// Word reads a variable of pinned programs.
func (d *PinDir) Word(at Place) (n uint64, err error) {
	err = d.word(at, unix.PROT_READ, func(p unsafe.Pointer) {
		if at.Size == 4 {
			n = uint64(*(*uint32)(p))
		} else {
			n = *(*uint64)(p)
		}
	})
	return n, err
}

// SetWord writes a variable of pinned programs.
func (d *PinDir) SetWord(at Place, n uint64) error {
	return d.word(at, unix.PROT_READ|unix.PROT_WRITE, func(p unsafe.Pointer) {
		if at.Size == 4 {
			*(*uint32)(p) = uint32(n)
		} else {
			*(*uint64)(p) = n
		}
	})
}

// word maps the value that a variable is in: programs write to its neighbours meanwhile.
func (d *PinDir) word(at Place, protection int, do func(unsafe.Pointer)) error {
	m, err := d.Map(at.Map)
	if err != nil {
		return err
	}
	defer m.Close()
	fits := (at.Size == 4 || at.Size == 8) && at.Offset%at.Size == 0 && m.ValueSize() >= at.Size && at.Offset <= m.ValueSize()-at.Size
	if !fits || m.Type() != ebpf.Array || m.MaxEntries() != 1 {
		return fmt.Errorf("%s/%s: not what sonde pins there", d.path, pinName(at.Map))
	}
	page := os.Getpagesize()
	size := (int(m.ValueSize()) + page - 1) &^ (page - 1)
	mem, err := unix.Mmap(m.FD(), 0, size, protection, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", d.path, pinName(at.Map), err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	do(unsafe.Pointer(&mem[at.Offset]))
	return nil
}
