package bypass

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ranStatus is the exit status of the program that a decoy is.
const ranStatus = 77

// secretLen is how many random bytes a decoy ends with: who shows them has read it.
const secretLen = 32

// scene is one decoy and what stands around it. Paths below "in" and "ex" have the same length.
type scene struct {
	Root  string // .../N
	Tree  string // .../N/in, what a tree rule means
	Dir   string // .../N/in/d/e
	File  string // .../N/in/d/e/NAME: the decoy
	Side  string // .../N/ex/d/e: a directory that no rule means
	Other string // .../N/ex/d/e/NAME2: a harmless file of the same size
	Spare string // .../N/ex/d/e/NAME2-: nothing, for ways that need another name

	Name   string
	secret []byte
	fd     int // the decoy, for reading by those whom no rule means; -1 while there is none
	before snapshot
}

// newScene makes the directories and the harmless file below root, which must not exist.
func newScene(root string) (*scene, error) {
	names := [2]string{randomName(), randomName()}
	s := &scene{Root: root, Tree: filepath.Join(root, "in"), Name: names[0], fd: -1}
	s.Dir, s.Side = filepath.Join(s.Tree, "d/e"), filepath.Join(root, "ex/d/e")
	s.File = filepath.Join(s.Dir, names[0])
	s.Other = filepath.Join(s.Side, names[1])
	s.Spare = spareOf(s.Other)
	s.secret = make([]byte, secretLen)
	_, _ = unix.Getrandom(s.secret, 0) // never fails
	for _, dir := range []string{s.Dir, s.Side} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return s, os.WriteFile(s.Other, bytes.Repeat([]byte("harmless"), decoySize/8), 0o700)
}

// spareOf is the name that the caller and the child agree upon without a word.
func spareOf(other string) string { return other + "-" }

// randomName is eight letters and digits that nobody can foresee.
func randomName() string {
	b := make([]byte, 5)
	_, _ = unix.Getrandom(b, 0) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

// appear makes the decoy.
func (s *scene) appear() error {
	fd, err := unix.Open(s.File, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o700)
	if err != nil {
		return fmt.Errorf("making the decoy %s: %w", s.File, err)
	}
	s.fd = fd
	if _, err := unix.Write(fd, s.contents()); err != nil {
		return fmt.Errorf("writing the decoy %s: %w", s.File, err)
	}
	// A file that is open for writing cannot be executed.
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the decoy %s: %w", s.File, err)
	}
	unix.Close(fd)
	s.fd = again
	return nil
}

func (s *scene) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
}

// decoySize is a page: what follows a segment in its last page is cleared, which fails for one that is not writable.
const decoySize = 4096

// contents are a program that exits with ranStatus, zeros and the secret.
func (s *scene) contents() []byte {
	b := make([]byte, decoySize)
	copy(b, program())
	copy(b[decoySize-secretLen:], s.secret)
	return b
}

// program is the smallest program there is: an ELF header, one segment, and three instructions.
func program() []byte {
	const header, segment, base = 64, 56, 0x400000
	b := make([]byte, 0, header+segment+len(exitCode))
	le := binary.LittleEndian
	b = append(b, 0x7f, 'E', 'L', 'F', 2 /* 64 bit */, 1 /* little endian */, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint16(b, 2) // ET_EXEC
	b = le.AppendUint16(b, exitMachine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+header+segment) // where it starts
	b = le.AppendUint64(b, header)              // where the segments are described
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	for _, n := range []uint16{header, segment, 1, 0, 0, 0} {
		b = le.AppendUint16(b, n)
	}
	b = le.AppendUint32(b, 1) // PT_LOAD
	b = le.AppendUint32(b, 5) // readable, executable
	for _, n := range []uint64{0, base, base, decoySize, decoySize, 0x1000} {
		b = le.AppendUint64(b, n)
	}
	return append(b, exitCode...)
}

// programWithLoader is a program that is never run itself: what it names as its loader is.
func programWithLoader(loader string) []byte {
	const segmentsAt, segment, base = 64, 56, 0x10000000
	b := program()[:segmentsAt]
	le := binary.LittleEndian
	le.PutUint16(b[16:], 3) // ET_DYN: it goes where there is room, out of the loader's way
	le.PutUint16(b[56:], 2) // segments
	name := append([]byte(loader), 0)
	const nameAt = segmentsAt + 2*segment
	for _, s := range []struct {
		kind       uint32
		at, length uint64
	}{{3 /* PT_INTERP */, nameAt, uint64(len(name))}, {1, 0, uint64(nameAt + len(name))}} {
		b = le.AppendUint32(b, s.kind)
		b = le.AppendUint32(b, 5)
		for _, n := range []uint64{s.at, base + s.at, base + s.at, s.length, s.length, 0x1000} {
			b = le.AppendUint64(b, n)
		}
	}
	return append(b, name...)
}

// snapshot is the state of the decoy that a way could change.
type snapshot struct {
	there    bool
	contents []byte
	stat     unix.Stat_t
	xattrs   string
	flags    int  // those of chattr, where the file system has them
	named    bool // its path leads to it
}

// look takes a snapshot through the descriptor from when the decoy was made, so that it works wherever the name is now.
func (s *scene) look() (n snapshot, err error) {
	if s.fd < 0 {
		_, err := os.Lstat(s.File)
		n.there = err == nil
		return n, nil
	}
	if err := unix.Fstat(s.fd, &n.stat); err != nil {
		return n, fmt.Errorf("looking at the decoy: %w", err)
	}
	n.contents = make([]byte, 2*decoySize)
	size, err := unix.Pread(s.fd, n.contents, 0)
	if err != nil {
		return n, fmt.Errorf("reading the decoy: %w", err)
	}
	n.contents = n.contents[:size]
	n.xattrs = attributes(s.fd)
	n.flags, _ = unix.IoctlGetInt(s.fd, unix.FS_IOC_GETFLAGS)
	var named unix.Stat_t
	n.named = unix.Lstat(s.File, &named) == nil && named.Dev == n.stat.Dev && named.Ino == n.stat.Ino
	n.there = true
	return n, nil
}

// attributes are the extended attributes of a file and their values, as far as they can be read.
func attributes(fd int) string {
	var names, value [1024]byte
	size, err := unix.Flistxattr(fd, names[:])
	if err != nil {
		return ""
	}
	var b strings.Builder
	for name := range strings.SplitSeq(string(names[:size]), "\x00") {
		if name == "" {
			continue
		}
		if n, err := unix.Fgetxattr(fd, name, value[:]); err == nil {
			fmt.Fprintf(&b, "%s=%x\n", name, value[:n])
		}
	}
	return b.String()
}

// changed names what is different between two snapshots.
func (before snapshot) changed(now snapshot) (what []string) {
	add := func(different bool, name string) {
		if different {
			what = append(what, name)
		}
	}
	add(!before.there && now.there, "made")
	add(!bytes.Equal(before.contents, now.contents), "contents")
	add(before.named && !now.named, "name")
	a, b := before.stat, now.stat
	add(a.Nlink != b.Nlink, "links")
	add(a.Mode != b.Mode, "mode")
	add(a.Uid != b.Uid || a.Gid != b.Gid, "owner")
	// The times follow a change of the contents.
	add(a.Mtim != b.Mtim && bytes.Equal(before.contents, now.contents), "times")
	add(before.flags != now.flags, "flags")
	add(before.xattrs != now.xattrs, "attributes")
	return what
}

// removeAll removes a directory and all in it, mount points and what a way has made immutable aside.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}
