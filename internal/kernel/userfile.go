package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultPath is where programs are looked for when $PATH is not set, or is that of another container.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// libraryDirs are where ld.so looks without a cache.
var libraryDirs = []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
	"/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/local/lib"}

// A fileFinder looks for files as a process sees them.
type fileFinder struct {
	root string // "/", or where the root of another mount namespace is reached
	own  bool   // the process sees the files we see
	pid  int
	seen map[fileID]bool // so that no file is found by two names
	path []string
}

// fileID tells files apart, whatever they are called.
type fileID struct{ dev, inode uint64 }

// findFile resolves the target of a uprobe. An empty name is the program of pid, "*" all files it has mapped to be executed.
func findFile(root, name string, pid int) ([]string, error) {
	if strings.ContainsRune(name, 0) || len(name) > unix.PathMax {
		return nil, fmt.Errorf("%.100q is not the name of a file", name)
	}
	f := &fileFinder{root: root, own: true, pid: pid, seen: make(map[fileID]bool)}
	if pid > 0 {
		if err := f.enter(); err != nil {
			return nil, err
		}
	}
	switch {
	case name == "" && pid == 0:
		return nil, errors.New("there is no file to look for: give a path, or a process by -p")
	case name == "":
		f.program()
	case name == "*" && pid > 0:
		f.mapped()
	case strings.Contains(name, "/"):
		f.glob(name)
	default:
		f.search(name)
	}
	if len(f.path) == 0 {
		return nil, f.notFound(name)
	}
	return f.path, nil
}

func (f *fileFinder) notFound(name string) error {
	in := ""
	if f.pid > 0 {
		in = fmt.Sprintf(", as process %d sees files", f.pid)
	}
	switch {
	case name == "", name == "*":
		return fmt.Errorf("process %d: its program cannot be found: %w", f.pid, fs.ErrNotExist)
	case strings.Contains(name, "/"):
		return fmt.Errorf("%s: there is no such file%s: %w", name, in, fs.ErrNotExist)
	case strings.HasPrefix(name, "lib"):
		return fmt.Errorf("%s: there is no such library in ld.so's cache nor program in $PATH%s; give its path: %w", name, in, fs.ErrNotExist)
	}
	return fmt.Errorf("%s: there is no such program in $PATH%s; give its path: %w", name, in, fs.ErrNotExist)
}

// enter makes the finder see the files that the process sees.
func (f *fileFinder) enter() error {
	proc := filepath.Join(f.root, "proc", strconv.Itoa(f.pid))
	if _, err := os.Stat(proc); err != nil {
		return fmt.Errorf("process %d: there is none: %w", f.pid, fs.ErrNotExist)
	}
	theirs, err := os.Stat(filepath.Join(proc, "root") + "/.")
	if err != nil {
		return fmt.Errorf("process %d: its files cannot be reached: %w", f.pid, err)
	}
	ours, err := os.Stat(f.root)
	if err != nil {
		return err
	}
	space := func(of string) string {
		link, _ := os.Readlink(filepath.Join(f.root, "proc", of, "ns/mnt"))
		return link
	}
	if space(strconv.Itoa(f.pid)) != space("self") || !os.SameFile(ours, theirs) {
		f.root, f.own = filepath.Join(proc, "root"), false
	}
	return nil
}

// maxLinks bounds how many symbolic links are followed, as in the kernel.
const maxLinks = 40

// inside returns where a path of the finder's root is reached from ours. Links are followed by hand, for one to an absolute path
// would lead out of another root.
func (f *fileFinder) inside(path string) (string, bool) {
	if f.root == "/" {
		return path, true
	}
	todo, done := strings.Split(path, "/"), "/"
	for links := 0; len(todo) > 0; {
		next := filepath.Join(done, todo[0])
		todo = todo[1:]
		target, err := os.Readlink(f.root + next)
		if err != nil {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", false
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return f.root + done, true
}

// add takes a path, in the finder's root, if it is a file that was not found before.
func (f *fileFinder) add(path string) bool {
	file, ok := f.inside(path)
	return ok && f.addOurs(file, 0)
}

// addOurs takes a path as we see it. inode is 0 for any.
func (f *fileFinder) addOurs(file string, inode uint64) bool {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || inode != 0 && st.Ino != inode {
		return false
	}
	if id := (fileID{st.Dev, st.Ino}); !f.seen[id] {
		f.seen[id] = true
		f.path = append(f.path, file)
	}
	return true
}

// glob takes a path; in it only '*' stands for something else.
func (f *fileFinder) glob(path string) {
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return
		}
		path = filepath.Join(dir, path)
	}
	if !hasStar(path) {
		f.add(filepath.Clean(path))
		return
	}
	plain := strings.NewReplacer(`\`, `\\`, `?`, `\?`, `[`, `\[`)
	root := ""
	if f.root != "/" {
		root = f.root
	}
	found, err := filepath.Glob(plain.Replace(root) + plain.Replace(path))
	if err != nil {
		return
	}
	for _, file := range found {
		f.add(strings.TrimPrefix(file, root))
	}
}

// search looks for a name without a path: a program, or a library.
func (f *fileFinder) search(name string) {
	if !strings.HasPrefix(name, "lib") || !f.library(name) {
		dirs := defaultPath
		if env := os.Getenv("PATH"); f.own && env != "" {
			dirs = env
		}
		for dir := range strings.SplitSeq(dirs, ":") {
			if !filepath.IsAbs(dir) {
				continue // the current folder is asked for by "./"
			}
			if hasStar(name) {
				f.glob(filepath.Join(dir, name))
			} else if f.add(filepath.Join(dir, name)) {
				return
			}
		}
	}
}

// library looks in ld.so's cache, and where there is none, as with musl, in the usual folders.
func (f *fileFinder) library(name string) bool {
	if cache, ok := f.inside("/etc/ld.so.cache"); ok {
		if raw, err := readSmall(cache, maxLdCacheSize); err == nil {
			if libraries, err := parseLdCache([]byte(raw), runtime.GOARCH); err == nil {
				p := newPattern(name)
				for _, lib := range libraries {
					if isLibrary(lib.name, name) || hasStar(name) && p.match(lib.name) {
						f.add(lib.path)
					}
				}
			}
		}
	}
	if len(f.path) > 0 {
		return true
	}
	for _, dir := range libraryDirs {
		there, ok := f.inside(dir)
		if !ok {
			continue
		}
		entries, err := os.ReadDir(there)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if isLibrary(e.Name(), name) {
				f.add(filepath.Join(dir, e.Name()))
			}
		}
	}
	return len(f.path) > 0
}

// program takes the program that the process runs.
func (f *fileFinder) program() {
	proc := filepath.Join(f.root, "proc")
	if !f.own {
		proc = filepath.Dir(filepath.Dir(f.root))
	}
	exe := filepath.Join(proc, strconv.Itoa(f.pid), "exe")
	if target, err := os.Readlink(exe); err == nil && !strings.HasSuffix(target, " (deleted)") && f.add(target) {
		return
	}
	if _, err := os.Stat(exe); err == nil {
		f.path = append(f.path, exe)
	}
}

// mapped takes the files that the process has mapped to be executed.
func (f *fileFinder) mapped() {
	root := f.root
	if !f.own {
		root = filepath.Dir(filepath.Dir(filepath.Dir(f.root)))
	}
	maps, err := readSmall(filepath.Join(root, "proc", strconv.Itoa(f.pid), "maps"), 64<<20)
	if err != nil {
		return
	}
	for line := range strings.Lines(maps) {
		// "address perms offset dev inode   path", proc_pid_maps(5)
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.Contains(fields[1], "x") {
			continue
		}
		at := strings.IndexByte(line, '/')
		if at < 0 {
			continue
		}
		// The kernel shows paths from our root on, if they can be reached from it, and from the process's if not.
		path := strings.TrimSuffix(line[at:], "\n")
		if inode, err := strconv.ParseUint(fields[4], 10, 64); err == nil && !f.addOurs(path, inode) {
			f.add(path)
		}
	}
	slices.Sort(f.path)
}

// IsGo says whether a file is a program of Go: by its symbols, or by Go's own tables where it is stripped.
func IsGo(t Target, path string) bool {
	found, _ := t.Functions(path, "runtime.goexit*") // what cannot be read has none
	return len(found) > 0
}
