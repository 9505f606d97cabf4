package allocator

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/symbol"
)

const (
	maxLibraries = 1024 // of a program
	maxScripts   = 4    // a script may be run by a script
	maxHeadLine  = 4096
	maxEnviron   = 4 << 20
	maxPreload   = 64 << 10
)

// Program finds what will give a program its memory that does not run yet: it looks for its libraries as the loader will.
func (f *Finder) Program(path string, environ []string) (program *symbol.Object, objects []*Object, err error) {
	l := loader{finder: f, root: "/", environ: environ}
	file, err := l.program(path)
	if err != nil {
		return nil, nil, err
	}
	return l.load(file)
}

// Executed finds it for a process that has just put a program in its place, whose libraries are not mapped yet.
func (f *Finder) Executed(pid int) (program *symbol.Object, objects []*Object, err error) {
	proc := "/proc/" + strconv.Itoa(pid)
	l := loader{finder: f, root: proc + "/root", environ: readEnviron(proc + "/environ")}
	file, err := symbol.OpenObject(proc + "/exe")
	if err != nil {
		return nil, nil, err
	}
	exe, err := os.Readlink(proc + "/exe")
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return l.load(opened{file, strings.TrimSuffix(exe, " (deleted)")})
}

func readEnviron(path string) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	text, _ := io.ReadAll(io.LimitReader(file, maxEnviron))
	return strings.Split(string(text), "\x00")
}

// loader looks for libraries as ld.so does.
type loader struct {
	finder  *Finder
	root    string
	environ []string
	cache   map[string]string
	cached  bool
}

// opened is a file that was found.
type opened struct {
	*symbol.Object
	path string // as the process knows it
}

// program opens a program; of a script, that which runs it.
func (l *loader) program(path string) (opened, error) {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	for range maxScripts {
		file, err := symbol.OpenObject(path)
		if err == nil {
			return opened{file, path}, nil
		}
		interpreter := scriptInterpreter(path)
		if interpreter == "" {
			return opened{}, err
		}
		path = interpreter
	}
	return opened{}, errors.New("scripts that are run by scripts")
}

// scriptInterpreter reads the program of "#!PROGRAM ARGUMENT"; a text without that is run by the shell.
func scriptInterpreter(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	line, _ := bufio.NewReader(io.LimitReader(file, maxHeadLine)).ReadString('\n')
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		if strings.ContainsRune(line, 0) {
			return ""
		}
		return "/bin/sh"
	}
	words := strings.Fields(rest)
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// load lists the files that the loader will map, in the order in which it asks them for a symbol.
func (l *loader) load(program opened) (*symbol.Object, []*Object, error) {
	first := l.finder.take(program.Object, program.path)
	all := []candidate{{first, true}}
	type wanted struct {
		name    string
		folders []string
	}
	// By the entry, for the file is closed if it was known.
	interpreter := first.file.Interpreter()
	var queue []wanted
	if interpreter != "" {
		for _, name := range l.preloaded() {
			queue = append(queue, wanted{name: name})
		}
		needs, folders := first.file.Needs()
		for _, name := range needs {
			queue = append(queue, wanted{name, origin(folders, program.path)})
		}
	}
	names := map[string]bool{}
	seen := map[*entry]bool{first: true}
	for len(queue) > 0 && len(all) < maxLibraries {
		next := queue[0]
		queue = queue[1:]
		if names[next.name] {
			continue
		}
		names[next.name] = true
		file, err := l.library(next.name, next.folders, interpreter)
		if err != nil {
			continue // the loader will say so
		}
		e := l.finder.take(file.Object, file.path)
		if seen[e] {
			continue
		}
		seen[e] = true
		all = append(all, candidate{e, false})
		needs, folders := e.file.Needs()
		for _, name := range needs {
			queue = append(queue, wanted{name, origin(folders, file.path)})
		}
	}
	if interpreter != "" { // musl's is the C library; all tell of what is loaded later
		if file, err := symbol.OpenObjectInside(l.root, interpreter); err == nil {
			if e := l.finder.take(file, interpreter); !seen[e] {
				all = append(all, candidate{e, false})
			}
		}
	}
	objects, err := choose(all)
	return first.file, objects, err
}

// preloaded are the libraries that come before those that the program needs.
func (l *loader) preloaded() (names []string) {
	split := func(text string) {
		names = append(names, strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ' ' || r == '\n' || r == '\t' })...)
	}
	split(l.env("LD_PRELOAD"))
	if file, err := os.Open(filepath.Join(l.root, "etc/ld.so.preload")); err == nil {
		text, _ := io.ReadAll(io.LimitReader(file, maxPreload))
		file.Close()
		split(string(text))
	}
	return names
}

func (l *loader) env(name string) string {
	for _, word := range l.environ {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value
		}
	}
	return ""
}

// origin splits lists of folders and puts the folder of the file that has them in the place of $ORIGIN.
func origin(lists []string, path string) (folders []string) {
	dir := filepath.Dir(path)
	for _, list := range lists {
		for folder := range strings.SplitSeq(list, ":") {
			folders = append(folders, strings.NewReplacer("$ORIGIN", dir, "${ORIGIN}", dir).Replace(folder))
		}
	}
	return folders
}

// library finds a library.
func (l *loader) library(name string, folders []string, interpreter string) (opened, error) {
	try := func(path string) (opened, bool) {
		file, err := symbol.OpenObjectInside(l.root, path)
		return opened{file, path}, err == nil
	}
	if strings.Contains(name, "/") {
		if file, ok := try(name); ok {
			return file, nil
		}
		return opened{}, fs.ErrNotExist
	}
	folders = append(folders, strings.FieldsFunc(l.env("LD_LIBRARY_PATH"), func(r rune) bool { return r == ':' || r == ';' })...)
	for _, folder := range folders {
		if filepath.IsAbs(folder) {
			if file, ok := try(filepath.Join(folder, name)); ok {
				return file, nil
			}
		}
	}
	if !l.cached {
		l.cached = true
		if !strings.Contains(interpreter, "musl") {
			l.cache = kernel.LibraryCache(l.root)
		}
	}
	if path := l.cache[name]; path != "" {
		if file, ok := try(path); ok {
			return file, nil
		}
	}
	for _, folder := range kernel.LibraryDirs() {
		if file, ok := try(filepath.Join(folder, name)); ok {
			return file, nil
		}
	}
	return opened{}, fs.ErrNotExist
}
