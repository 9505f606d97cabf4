package symbol

import (
	"bytes"
	"os"
)

// vdso is the code that the kernel maps into every process. It is read from our own memory: another process could have
// written over its own.
type vdso struct {
	tried     bool
	size      uint64
	segments  []segment
	functions *table
}

func (v *vdso) read() {
	v.tried = true
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	mappings, err := readMaps(f)
	if err != nil {
		return
	}
	for _, m := range mappings {
		if m.path != "[vdso]" || m.end-m.start > 1<<20 {
			continue
		}
		memory, err := os.Open("/proc/self/mem")
		if err != nil {
			return
		}
		defer memory.Close()
		data := make([]byte, m.end-m.start)
		if _, err := memory.ReadAt(data, int64(m.start)); err != nil {
			return
		}
		img, err := openImage(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		v.functions, _ = img.functions(nil, "")
		v.size, v.segments = m.end-m.start, img.segments
	}
}

// frame names an address, and tells the base, if the process has the same code as we do: a 32-bit one has not.
func (v *vdso) frame(m *mapping, addr uint64) (frame Frame, base uint64, found bool) {
	if !v.tried {
		v.read()
	}
	if m.end-m.start != v.size || (m.start>>32 == 0) != (^uint(0)>>32 == 0) {
		return Frame{}, 0, false
	}
	vaddr, found := fileAddress(v.segments, addr-m.start)
	if !found {
		return Frame{}, 0, false
	}
	frame, found = v.functions.frame(vaddr)
	return frame, addr - vaddr, found
}
