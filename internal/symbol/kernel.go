package symbol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrHidden says that /proc/kallsyms shows no addresses.
var ErrHidden = errors.New("kernel addresses are hidden: they are shown to root with CAP_SYSLOG, and to nobody while kernel.kptr_restrict is 2 (sysctl kernel.kptr_restrict=1)")

// What does not get a name in a table just read gets one no sooner than after this.
const (
	reloadAfter  = time.Second      // a module came or went
	reloadAnyway = 30 * time.Second // BPF programs and trampolines come and go without a trace
)

// Kernel names kernel addresses by /proc/kallsyms, which is read when the first name is asked for. A nil Kernel knows
// no names. Methods may be called by several goroutines.
type Kernel struct {
	mu       sync.Mutex
	kallsyms string // paths
	modules  string

	text, data *kernelTable // data, if anybody asked for it
	loaded     time.Time
	listed     string // what modules held then
	now        func() time.Time
}

// OpenKernel returns the running kernel's symbols; ErrHidden where its addresses are not shown to us.
func OpenKernel() (*Kernel, error) {
	return openKernel("/proc/kallsyms", "/proc/modules")
}

func openKernel(kallsyms, modules string) (*Kernel, error) {
	f, err := os.Open(kallsyms)
	if err != nil {
		return nil, fmt.Errorf("kernel symbols: %w", err)
	}
	defer f.Close()
	// The first symbol may lie at 0 by right: on x86 those of per-CPU data did.
	shown := false
	err = eachKernelSymbol(io.LimitReader(f, 64<<10), func(s kernelLine) bool {
		shown = s.addr != 0
		return !shown
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kallsyms, err)
	}
	if !shown {
		return nil, ErrHidden
	}
	return &Kernel{kallsyms: kallsyms, modules: modules, now: time.Now}, nil
}

// Lookup names an address: of code, or else of data.
func (k *Kernel) Lookup(addr uint64) Frame {
	if k == nil {
		return Frame{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.load() {
		return Frame{}
	}
	if frame, found := k.text.frame(addr); found {
		return frame
	}
	if addr>>63 == 0 {
		return Frame{} // of user space
	}
	if k.reload() {
		if frame, found := k.text.frame(addr); found {
			return frame
		}
	}
	frame, _ := k.loadData().frame(addr)
	return frame
}

// Address returns the address of a function, or else of data.
func (k *Kernel) Address(name string) (addr uint64, found bool) {
	if k == nil || name == "" || strings.IndexByte(name, 0) >= 0 {
		return 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.load() {
		return 0, false
	}
	if addr, found = k.text.address(name); found {
		return addr, true
	}
	if k.reload() {
		if addr, found = k.text.address(name); found {
			return addr, true
		}
	}
	return k.loadData().address(name)
}

// load reads the functions if they are not there yet.
func (k *Kernel) load() bool {
	if k.text == nil {
		k.read()
	}
	return k.text != nil
}

func (k *Kernel) read() {
	listed := readModules(k.modules)
	f, err := os.Open(k.kallsyms)
	if err != nil {
		return
	}
	defer f.Close()
	text, err := readKernelText(f, moduleEnds(listed))
	if err != nil {
		return
	}
	k.text, k.data, k.listed, k.loaded = text, nil, listed, k.now()
}

// reload reads the functions again if there may be others since.
func (k *Kernel) reload() bool {
	age := k.now().Sub(k.loaded)
	if age < reloadAfter || age < reloadAnyway && readModules(k.modules) == k.listed {
		return false
	}
	k.loaded = k.now() // also of a vain attempt
	k.read()
	return true
}

func (k *Kernel) loadData() *kernelTable {
	if k.data == nil {
		k.data = &kernelTable{}
		if f, err := os.Open(k.kallsyms); err == nil {
			defer f.Close()
			if data, err := readKernelData(f, moduleEnds(k.listed)); err == nil {
				k.data = data
			}
		}
	}
	return k.data
}

// readModules returns the content of /proc/modules; nothing where the kernel has no modules.
func readModules(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4<<20))
	if err != nil {
		return ""
	}
	// The third field, how many use the module, changes all the time.
	lines := bytes.Split(data, []byte("\n"))
	var text strings.Builder
	for _, line := range lines {
		if f := bytes.Fields(line); len(f) >= 6 {
			fmt.Fprintf(&text, "%s %s %s\n", f[0], f[1], f[5])
		}
	}
	return text.String()
}

// moduleEnds says where the modules end, by name.
func moduleEnds(listed string) map[string]uint64 {
	ends := map[string]uint64{}
	for line := range strings.Lines(listed) {
		var name string
		var size, start uint64
		if n, _ := fmt.Sscanf(line, "%s %d 0x%x", &name, &size, &start); n == 3 && start != 0 {
			ends[name] = start + size
		}
	}
	return ends
}

// KernelBuildID is the running kernel's, in hexadecimal; empty where it has none.
func KernelBuildID() string {
	notes, err := os.ReadFile("/sys/kernel/notes")
	if err != nil {
		return ""
	}
	return hex.EncodeToString(buildIDOf(notes, binary.NativeEndian))
}
