package symbol

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	// Files are kept open from the time they are seen until a name in them is asked for, since they may be deleted.
	maxOpenFiles = 128
	maxTables    = 512 << 20 // bytes of all functions held
	maxKnown     = 1 << 15   // files
)

// fileID tells files from each other. Inode numbers are used again as soon as a file is deleted, so they are not enough.
type fileID struct {
	device, inode uint64
	size          int64
	modified      unix.Timespec
}

func idOf(info *unix.Stat_t) fileID {
	return fileID{info.Dev, info.Ino, info.Size, info.Mtim}
}

// file is an ELF file that a process maps. All who map it share it.
type file struct {
	id   fileID
	path string // where it may be found again; as the first process seen knew it
	open *os.File
	used uint64 // when it was seen or a name last asked for, by files.clock

	parsed    bool // headers: what follows is valid
	segments  []segment
	buildID   []byte
	fixed     bool
	functions *table // nil: not read yet, or given up for others

	triedGo, traced bool // tables of Go, and debug information, were looked for

	golang *goSource // nil: it is no program of Go
	source *source   // nil: there is none, or it was given up for others
	chains map[uint64][]inlined
	fault  error // why debug information that is there is not used
}

// files holds what is known of files.
type files struct {
	known  map[fileID]*file
	debug  debugDirs
	clock  uint64
	opened int // files with a descriptor
	bytes  int // of all functions

	sources int // bytes of all debug information
	budget  int // how many may still be read
}

func newFiles() *files {
	return &files{known: map[fileID]*file{}, debug: systemDebugDirs, budget: maxSourcesRead}
}

// hold takes a descriptor of a file, and returns what is known of the file.
func (fs *files) hold(f *os.File, info *unix.Stat_t, path string) *file {
	id := idOf(info)
	if known := fs.known[id]; known != nil {
		f.Close()
		return known
	}
	if len(fs.known) >= maxKnown {
		fs.forget()
	}
	if fs.opened >= maxOpenFiles {
		fs.release()
	}
	fs.clock++
	held := &file{id: id, path: path, open: f, used: fs.clock}
	fs.known[id] = held
	fs.opened++
	return held
}

// release closes half of the descriptors. Of a file that can be found under its path nothing is lost; others are read now.
func (fs *files) release() {
	open := fs.sorted(func(f *file) bool { return f.open != nil })
	for _, f := range open[:(len(open)+1)/2] {
		if again, err := f.reopen(); err == nil {
			again.Close()
			fs.closeFile(f)
		} else {
			fs.load(f)
		}
	}
}

// forget drops half of the files that are not open, those used last excepted. Who still maps one goes on with it alone.
func (fs *files) forget() {
	closed := fs.sorted(func(f *file) bool { return f.open == nil })
	for _, f := range closed[:len(closed)/2] {
		fs.bytes -= f.functions.bytes()
		f.functions = nil
		fs.dropSource(f)
		f.chains = nil
		delete(fs.known, f.id)
	}
}

// sorted returns the files that were used last last.
func (fs *files) sorted(which func(*file) bool) []*file {
	var found []*file
	for _, f := range fs.known {
		if which(f) {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(x, y *file) int { return order(x.used < y.used) })
	return found
}

func (fs *files) closeFile(f *file) {
	if f.open != nil {
		f.open.Close()
		f.open = nil
		fs.opened--
	}
}

// reopen finds the very same file by its path.
func (f *file) reopen() (*os.File, error) {
	again, info, err := openInside("/", f.path)
	if err != nil {
		return nil, err
	}
	if idOf(info) != f.id {
		again.Close()
		return nil, os.ErrNotExist
	}
	return again, nil
}

// withImage calls do with the file's headers, if it is an ELF file and can still be read.
func (fs *files) withImage(f *file, do func(*image)) {
	from := f.open
	if from == nil {
		again, err := f.reopen()
		if err != nil {
			return
		}
		defer again.Close()
		from = again
	}
	img, err := openImage(from, f.id.size)
	if err != nil {
		return
	}
	do(img)
}

// parse reads the headers.
func (fs *files) parse(f *file) {
	if f.parsed {
		return
	}
	f.parsed = true
	fs.withImage(f, func(img *image) { f.take(img) })
}

func (f *file) take(img *image) {
	f.parsed, f.segments, f.buildID, f.fixed = true, img.segments, img.buildID, img.fixed
}

// load reads the functions.
func (fs *files) load(f *file) {
	fs.clock++
	f.used = fs.clock
	if f.functions != nil {
		return
	}
	f.parsed, f.functions = true, &table{}
	more := false
	fs.withImage(f, func(img *image) {
		f.take(img)
		// What was read before an error holds.
		f.functions, _ = img.functions(fs.debug, f.path)
		more = img.hasSource() || fs.debug.have(img.buildID) || img.sectionNamed(".gopclntab", ".data.rel.ro.gopclntab") != nil
	})
	if !more || f.traced { // debug information may be asked for later
		fs.closeFile(f)
	}
	fs.bytes += f.functions.bytes()
	if fs.bytes > maxTables {
		fs.forgetTables(f)
	}
}

// forgetTables gives up the tables that were not used for longest, but for one. They are read again when they are
// needed and the file is still there.
func (fs *files) forgetTables(but *file) {
	loaded := fs.sorted(func(f *file) bool { return f.functions != nil && f != but })
	fs.bytes = but.functions.bytes()
	for _, f := range loaded {
		fs.bytes += f.functions.bytes()
	}
	for _, f := range loaded {
		if fs.bytes <= maxTables/2 {
			return
		}
		fs.bytes -= f.functions.bytes()
		f.functions = nil
	}
}

// frame names a byte of the file and tells its address as the file has it.
func (fs *files) frame(f *file, offset uint64) (frame Frame, addr uint64, found bool) {
	fs.load(f)
	addr, found = fileAddress(f.segments, offset)
	if !found {
		return Frame{}, 0, false
	}
	frame, _ = f.functions.frame(addr)
	return frame, addr, true
}

func (fs *files) closeAll() {
	for _, f := range fs.known {
		fs.closeFile(f)
	}
}
