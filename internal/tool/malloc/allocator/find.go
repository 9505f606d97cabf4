package allocator

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/symbol"
)

// Finder finds the files that give processes their memory. What was found of a file is kept: files that many processes map
// are read once. It is for one goroutine.
type Finder struct {
	known map[key]*entry
	fresh []*entry // that New has not told of
}

type key struct{ device, inode uint64 }

// entry is a file that was looked at.
type entry struct {
	file  *symbol.Object // nil once it is an Object's, or if it is of no use
	shown string
	found found
	roles map[role]*Object
	// considered says that it was there when it was asked what gives a process its memory; it was taken, or there was one before it.
	considered bool
}

// role is what a file is for a process.
type role struct{ allocator, program, libc bool }

// NewFinder returns a Finder. Close closes the files that it found.
func NewFinder() *Finder { return &Finder{known: map[key]*entry{}} }

// Close closes all files.
func (f *Finder) Close() {
	for _, e := range f.known {
		e.file.Close()
	}
}

// New calls visit for each file that was looked at since it was called last, with a path that leads to it and the one that a process
// knows it by.
func (f *Finder) New(visit func(path, shown string, through []Passage)) {
	for _, e := range f.fresh {
		visit(e.file.Path, e.shown, passages(e))
	}
	f.fresh = nil
}

// ErrNone says that a process, or program, has no allocator that is known by its symbols.
var ErrNone = errors.New("none of its files has malloc, or its like, among its symbols")

// candidate is a file of a process, in the order in which the loader asks them for a symbol, as far as that is known.
type candidate struct {
	*entry
	program bool
}

// maxMaps bounds what is read of /proc/PID/maps.
const maxMaps = 64 << 20

// Process finds what gives a running process its memory. The error wraps fs.ErrNotExist where the process has ended, and
// ErrNone where nothing was found.
func (f *Finder) Process(pid int) ([]*Object, error) {
	all, err := f.mapped(pid)
	if err != nil {
		return nil, err
	}
	return choose(all)
}

// Later finds the allocators among what a process has mapped since it was asked what gives it memory: those of libraries that it
// has loaded by itself.
func (f *Finder) Later(pid int) (found []*Object, err error) {
	all, err := f.mapped(pid)
	for _, c := range all {
		if c.found.malloc && !c.found.libc && !c.considered {
			found = append(found, c.as(role{allocator: true, libc: c.found.maps}))
		}
	}
	return found, err
}

// mapped lists the files that a process has mapped to be executed.
func (f *Finder) mapped(pid int) ([]candidate, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	maps, err := os.Open(proc + "/maps")
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	exe, _ := os.Readlink(proc + "/exe")
	exe = strings.TrimSuffix(exe, " (deleted)")
	var all []candidate
	seen := map[*entry]bool{}
	lines := bufio.NewScanner(maps)
	lines.Buffer(nil, 64<<10)
	mapped, size := 0, 0
	for lines.Scan() && size < maxMaps {
		size += len(lines.Bytes())
		mapped++
		place, inode, path, ok := parseMapping(lines.Text())
		if !ok {
			continue
		}
		e, err := f.open(inode, path, proc+"/map_files/"+place, proc+"/exe", path == exe, proc+"/root")
		if err != nil || e == nil || seen[e] {
			continue
		}
		seen[e] = true
		all = append(all, candidate{e, path == exe})
	}
	if err := lines.Err(); err != nil && !errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	if mapped == 0 {
		return nil, errors.New("it has no memory of its own: a kernel thread, or it is ending")
	}
	return all, nil
}

// parseMapping takes of a line of /proc/PID/maps what is mapped to be executed: "START-END r-xp OFFSET DEVICE INODE   PATH".
func parseMapping(line string) (place string, inode uint64, path string, ok bool) {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) < 6 || len(fields[1]) < 3 || fields[1][2] != 'x' {
		return "", 0, "", false
	}
	inode, err := strconv.ParseUint(fields[4], 10, 64)
	path = strings.TrimLeft(fields[5], " ")
	if err != nil || inode == 0 || path == "" || path[0] != '/' {
		return "", 0, "", false
	}
	path = strings.ReplaceAll(strings.TrimSuffix(path, " (deleted)"), `\012`, "\n")
	return fields[0], inode, path, true
}

// open takes the way that leads to the very file: the kernel's own link, which needs privileges and is there though the file was
// deleted; else the program's link, or the path as the process sees it.
func (f *Finder) open(inode uint64, path, link, exe string, program bool, root string) (*entry, error) {
	file, err := symbol.OpenObject(link)
	if err != nil && program {
		file, err = symbol.OpenObject(exe)
	}
	if err != nil {
		if file, err = symbol.OpenObjectInside(root, path); err == nil && file.Inode != inode {
			file.Close()
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		return nil, err
	}
	return f.take(file, path), nil
}

// take looks at a file, once.
func (f *Finder) take(file *symbol.Object, path string) *entry {
	k := key{file.Device, file.Inode}
	if e := f.known[k]; e != nil {
		file.Close()
		return e
	}
	e := &entry{file: file, shown: path, roles: map[role]*Object{}}
	e.found, _ = inspect(file, path) // what was read before an error holds
	f.known[k] = e
	f.fresh = append(f.fresh, e)
	return e
}

// choose says which of a process's files gives it memory: the first that has malloc, where a C library comes last, because
// everything that brings a malloc of its own takes its place. A program that has one under another name, as Rust's and Go's
// do, uses that besides.
func choose(all []candidate) ([]*Object, error) {
	var chosen, libc, loader *entry
	var program *entry
	for _, c := range all {
		if c.program {
			program = c.entry
		}
	}
	for _, c := range all {
		if c.found.tells != 0 && !c.program {
			loader = c.entry
		}
		if c.found.malloc && !c.found.libc {
			c.considered = true
		}
		switch {
		case c.found.libc && !c.program:
			if libc == nil {
				libc = c.entry
			}
		case !c.found.malloc:
		case chosen == nil, c.program && chosen != program:
			chosen = c.entry
		}
	}
	if chosen == nil {
		chosen = libc
	}
	var objects []*Object
	add := func(e *entry, r role) {
		if o := e.as(r); (len(o.Functions) > 0 || o.Tells != 0) && !slices.Contains(objects, o) {
			objects = append(objects, o)
		}
	}
	if chosen != nil {
		add(chosen, role{allocator: true, program: chosen == program, libc: chosen.found.maps})
	}
	if libc != nil && libc != chosen && (chosen == nil || !chosen.found.maps) {
		add(libc, role{libc: true})
	}
	if loader != nil && loader != libc && loader != chosen {
		add(loader, role{libc: true})
	}
	if program != nil && program != chosen && program.found.goes {
		add(program, role{program: true})
	}
	if !slices.ContainsFunc(objects, func(o *Object) bool { return o.Gives() }) {
		return nil, ErrNone
	}
	return objects, nil
}

// Gives says whether the file is what gives memory, rather than only the C library with mmap.
func (o *Object) Gives() bool {
	return slices.ContainsFunc(o.Functions, func(f Function) bool { return !f.Frees && f.Size != SizeMmap && !f.Kept })
}

// as makes of a file what it is for a process.
func (e *entry) as(r role) *Object {
	if o := e.roles[r]; o != nil {
		return o
	}
	// What libraries have is theirs; in a program there is also the program.
	o := newObject(e.file, e.shown, e.found, !r.program, func(name string, k kind) bool {
		switch {
		case name == goAllocator:
			return r.program
		case k.libc:
			return r.libc
		}
		return r.allocator
	})
	if r.libc {
		o.Tells = e.found.tells
	}
	e.roles[r] = o
	return o
}

// Describe says in a few words what gives memory: "glibc's malloc (/lib/x86_64-linux-gnu/libc.so.6)".
func Describe(objects []*Object) string {
	var parts []string
	for _, o := range objects {
		if !o.Gives() {
			continue
		}
		what := "malloc"
		switch {
		case o.Go && !slices.ContainsFunc(o.Functions, func(f Function) bool { return f.Size != SizeGo }):
			what = "Go's allocator"
		case o.Family != "":
			what = o.Family + "'s malloc"
		}
		if o.Go && what != "Go's allocator" {
			what += " and Go's allocator"
		}
		parts = append(parts, what+" ("+filepath.Clean(o.Shown)+")")
	}
	return strings.Join(parts, ", ")
}
