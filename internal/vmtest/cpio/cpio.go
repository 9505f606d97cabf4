// Package cpio writes cpio archives in the "newc" form that the Linux kernel unpacks as an initramfs (format:
// Documentation/driver-api/early-userspace/buffer-format.rst). The kernel unpacks archives that follow each other in
// one file one over the other. It writes to an io.Writer and touches nothing else.
package cpio

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Writer writes one archive. Names are relative to the root, without a leading slash; the directories that a name
// lies in are made when they are missing. Errors stay: the first is returned by every later call.
type Writer struct {
	w    *bufio.Writer
	at   int64
	ino  uint32
	dirs map[string]bool
	err  error
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 1<<20), dirs: map[string]bool{".": true}}
}

const (
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
	typeChar = 0o020000
)

// Dir adds a directory, once.
func (w *Writer) Dir(name string, perm fs.FileMode) error {
	name = path.Clean(name)
	if !w.place(name) || w.dirs[name] {
		return w.err
	}
	w.dirs[name] = true
	w.header(name, typeDir|uint32(perm.Perm()), 2, 0, 0, 0)
	return w.err
}

// Bytes adds a regular file.
func (w *Writer) Bytes(name string, perm fs.FileMode, content []byte) error {
	return w.file(name, perm, int64(len(content)), strings.NewReader(string(content)))
}

// Symlink adds a symbolic link to target.
func (w *Writer) Symlink(name, target string) error {
	if !w.place(name) {
		return w.err
	}
	w.header(name, typeLink|0o777, 1, int64(len(target)), 0, 0)
	w.write([]byte(target))
	w.pad()
	return w.err
}

// CharDev adds a character device.
func (w *Writer) CharDev(name string, perm fs.FileMode, major, minor uint32) error {
	if !w.place(name) {
		return w.err
	}
	w.header(name, typeChar|uint32(perm.Perm()), 1, 0, major, minor)
	return w.err
}

// Copy adds the file, directory with all below it, or symbolic link at the host path from.
// Sockets, pipes and devices are left out.
func (w *Writer) Copy(name, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(rel))
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return w.Dir(to, info.Mode())
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return w.Symlink(to, target)
		case d.Type().IsRegular():
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			return w.file(to, info.Mode(), info.Size(), f)
		}
		return nil
	})
}

// Close ends the archive. It does not close the underlying writer.
func (w *Writer) Close() error {
	w.header("TRAILER!!!", 0, 1, 0, 0, 0)
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

func (w *Writer) file(name string, perm fs.FileMode, size int64, content io.Reader) error {
	if !w.place(name) {
		return w.err
	}
	w.header(name, typeFile|uint32(perm.Perm()), 1, size, 0, 0)
	if w.err != nil {
		return w.err
	}
	n, err := io.Copy(w.w, io.LimitReader(content, size))
	w.at += n
	switch {
	case err != nil:
		w.err = err
	case n != size:
		w.err = fmt.Errorf("%s became shorter while it was archived", name)
	}
	w.pad()
	return w.err
}

// place checks a name and makes the directories that it lies in; it reports whether something may be put there.
func (w *Writer) place(name string) bool {
	if w.err != nil {
		return false
	}
	if name == "" || len(name) >= 4096 || strings.ContainsRune(name, 0) || !filepath.IsLocal(name) {
		w.err = fmt.Errorf("%q cannot be a name in an initramfs: it must be relative, without zero bytes, below 4096 bytes", name)
		return false
	}
	if dir := path.Dir(path.Clean(name)); !w.dirs[dir] {
		return w.Dir(dir, 0o755) == nil
	}
	return true
}

func (w *Writer) header(name string, mode, links uint32, size int64, major, minor uint32) {
	switch {
	case w.err != nil:
		return
	case size < 0 || size > math.MaxUint32:
		w.err = fmt.Errorf("%s: %d bytes do not fit an initramfs: 4 GiB is the most", name, size)
		return
	}
	w.ino++
	w.write(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		w.ino, mode, 0, 0, links, 0, size, 0, 0, major, minor, len(name)+1, 0, name))
	w.pad()
}

func (w *Writer) write(b []byte) {
	if w.err == nil {
		var n int
		n, w.err = w.w.Write(b)
		w.at += int64(n)
	}
}

// pad fills up to a multiple of four, as the format wants after each header and each content.
func (w *Writer) pad() {
	w.write(make([]byte, -w.at&3))
}
