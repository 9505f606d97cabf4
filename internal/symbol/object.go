package symbol

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Object is an ELF file that is open: what it has of functions, what it needs of other files, and its code.
type Object struct {
	// Path is where the very file can be reached, by this process and while the Object is open.
	Path string
	// Device and Inode tell files apart.
	Device, Inode uint64

	// Name is the path that it was opened by.
	Name string
	file *os.File
	img  *image
}

// OpenObject opens an ELF file. The links of /proc may be among its path.
func OpenObject(path string) (*Object, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	return newObject(f, info, path)
}

// OpenObjectInside opens an ELF file by its path as a process sees it whose root is there.
func OpenObjectInside(root, path string) (*Object, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	f, info, err := reopen(fd, path)
	if err != nil {
		return nil, err
	}
	return newObject(f, info, path)
}

func newObject(f *os.File, info *unix.Stat_t, name string) (*Object, error) {
	img, err := openImage(f, info.Size)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Object{
		Path: fmt.Sprintf("/proc/self/fd/%d", f.Fd()), Device: info.Dev, Inode: info.Ino, Name: name, file: f, img: img,
	}, nil
}

// Close closes the file.
func (o *Object) Close() error { return o.file.Close() }

// Functions lists the functions whose names are wanted, sorted by address; names of one function stand beside each other.
func (o *Object) Functions(want func(name []byte) bool) (found []Symbol, err error) {
	seen := map[Symbol]bool{}
	err = o.img.eachFunction(systemDebugDirs, o.Name, func(s elfSymbol) {
		if len(found) >= maxListed || !want(s.name) {
			return
		}
		offset, mapped := o.img.offset(s.addr)
		if !mapped {
			return
		}
		symbol := Symbol{Name: string(s.name), Address: s.addr, Offset: offset, Size: s.size}
		if !seen[symbol] {
			seen[symbol] = true
			found = append(found, symbol)
		}
	})
	slices.SortFunc(found, func(x, y Symbol) int {
		if x.Address != y.Address {
			return order(x.Address < y.Address)
		}
		return order(x.Name < y.Name)
	})
	return found, err
}

// Code returns up to n bytes at an address of the file, fewer where it ends, nil where there is nothing.
func (o *Object) Code(addr uint64, n int) []byte {
	for _, s := range o.img.segments {
		if addr < s.addr || addr-s.addr >= s.fileSize {
			continue
		}
		code := make([]byte, min(uint64(n), s.fileSize-(addr-s.addr)))
		got, _ := o.file.ReadAt(code, int64(s.offset+addr-s.addr))
		return code[:got]
	}
	return nil
}

// Text is the range of addresses, in the file, of what is mapped to be executed.
func (o *Object) Text() (start, end uint64) {
	for _, s := range o.img.segments {
		if !s.exec {
			continue
		}
		if end == 0 || s.addr < start {
			start = s.addr
		}
		end = max(end, s.addr+s.fileSize)
	}
	return start, end
}

// Entry is where the program begins; 0 if nowhere.
func (o *Object) Entry() uint64 { return o.img.file.Entry }

// maxInterpreter bounds the name of what loads a program.
const maxInterpreter = 4096

// Interpreter is the file that loads the program and the libraries that it needs; empty if there is none.
func (o *Object) Interpreter() (path string) {
	defer func() { _ = recover() }() // as guard
	for _, p := range o.img.file.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz > 0 && p.Filesz <= maxInterpreter {
			text := make([]byte, p.Filesz)
			if n, _ := p.ReadAt(text, 0); n > 0 {
				return string(zeroEnded(text[:n]))
			}
		}
	}
	return ""
}

// Needs lists the libraries that the file needs, and the folders (DT_RUNPATH, or DT_RPATH) in which it wants them looked for.
func (o *Object) Needs() (libraries, folders []string) {
	defer func() { _ = recover() }()
	libraries, _ = o.img.file.DynString(elf.DT_NEEDED)
	if folders, _ = o.img.file.DynString(elf.DT_RUNPATH); len(folders) == 0 {
		folders, _ = o.img.file.DynString(elf.DT_RPATH)
	}
	return libraries, folders
}

// maxRelocations bounds how many are read of a file; relocations is the type of the sections that they are in.
const (
	maxRelocations                 = 1 << 20
	relocations    elf.SectionType = 4
)

// Slots tells by what the file's calls of other files go: the address of the pointer, and the name of the function.
func (o *Object) Slots() (slots map[uint64]string, err error) {
	defer guard(&err)
	if o.img.file.Class != elf.ELFCLASS64 {
		return nil, errors.New("not a 64-bit file")
	}
	names, err := o.img.file.DynamicSymbols()
	if err != nil {
		return nil, err
	}
	slots = map[uint64]string{}
	order := o.img.file.ByteOrder
	for _, s := range o.img.file.Sections {
		if s.Type != relocations {
			continue
		}
		data := o.img.section(s, maxRelocations*24)
		for ; len(data) >= 24; data = data[24:] {
			if i := order.Uint64(data[8:]) >> 32; i > 0 && i <= uint64(len(names)) {
				slots[order.Uint64(data)] = names[i-1].Name
			}
		}
	}
	return slots, nil
}
