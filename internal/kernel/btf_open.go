package kernel

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
)

// OpenBTF reads types from a file that holds nothing but BTF, as those in /sys/kernel/btf do. The types of modules are then
// looked for beside it. A mapping of the file stays for the life of the process.
func OpenBTF(path string) (*BTFTypes, error) { return wholly(openTypes(path, nil)) }

// wholly looks through all types, so that damage is found.
func wholly(b *BTFTypes, err error) (*BTFTypes, error) {
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.pass(math.MaxUint32); err != nil {
		return nil, err
	}
	return b, nil
}

func openTypes(path string, base *BTFTypes) (*BTFTypes, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	src, err := openBTF(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	raw := src.mem
	if !src.mapped {
		raw = make([]byte, src.size)
		if err := readFull(file, raw, 0); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	b, err := newBTFTypes(raw, base)
	if err != nil {
		src.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b.dir = filepath.Dir(path)
	return b, nil
}

// RunningTypes returns the types of the running kernel, which are read once for the process, and no further than they are
// looked for: the kernel has been through them itself.
func RunningTypes() (*BTFTypes, error) { return runningTypes() }

var runningTypes = sync.OnceValues(func() (*BTFTypes, error) { return openTypes(VmlinuxBTF, nil) })

// ParseBTF reads types from raw BTF, which must not be changed afterwards.
func ParseBTF(raw []byte) (*BTFTypes, error) {
	if len(raw) > maxBTFSize {
		return nil, fmt.Errorf("BTF of %d bytes is larger than the %d expected at most", len(raw), maxBTFSize)
	}
	return wholly(newBTFTypes(raw, nil))
}

// ParseSplit reads the types of a module, which continue these.
func (b *BTFTypes) ParseSplit(raw []byte) (*BTFTypes, error) {
	if len(raw) > maxBTFSize {
		return nil, fmt.Errorf("BTF of %d bytes is larger than the %d expected at most", len(raw), maxBTFSize)
	}
	b.Count() // goes through all of them
	return wholly(newBTFTypes(raw, b))
}

// Module returns the types of a kernel module together with these, which it continues: IDs below Count of these are the
// same. The error wraps fs.ErrNotExist where there is no such module, or it shows no types.
func (b *BTFTypes) Module(name string) (*BTFTypes, error) {
	if b == nil || b.base != nil || b.dir == "" || !eventWord(name) {
		return nil, fmt.Errorf("types of the kernel module %q: %w", name, fs.ErrNotExist)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := b.modules[name]; m != nil {
		return m, nil
	}
	b.whole()
	m, err := wholly(openTypes(filepath.Join(b.dir, name), b))
	if err != nil {
		return nil, fmt.Errorf("types of the kernel module %s: %w", name, err)
	}
	b.modules[name] = m
	return m, nil
}

// Modules lists the modules that show types, sorted.
func (b *BTFTypes) Modules() []string {
	if b == nil || b.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.Name() != filepath.Base(VmlinuxBTF) {
			names = append(names, e.Name())
		}
	}
	return names
}
