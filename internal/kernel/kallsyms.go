package kernel

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
)

// kernelSymbol is a line of /proc/kallsyms. Code is 0 for a symbol that there is none of; the address is 0 where the kernel hides
// it (kernel.kptr_restrict).
type kernelSymbol struct {
	addr uint64
	code byte // as nm(1) has it
}

// isText says whether the symbol is code.
func (s kernelSymbol) isText() bool {
	switch s.code {
	case 't', 'T', 'w', 'W':
		return true
	}
	return false
}

// kallsymsLines goes through the lines of /proc/kallsyms in pieces, some whole lines each.
func kallsymsLines(path string, each func(lines []byte) (more bool)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, 64<<10)
	for held := 0; ; {
		n, err := file.Read(buf[held:])
		held += n
		if end := bytes.LastIndexByte(buf[:held], '\n') + 1; end > 0 {
			if !each(buf[:end]) {
				return nil
			}
			held = copy(buf, buf[end:held])
		} else if held == len(buf) { // a line as long is not of kallsyms
			return io.ErrShortBuffer
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// findSymbol looks for one name, without a list of the others. module is "" for the kernel itself and any module.
func findSymbol(path, module, name string) (found kernelSymbol) {
	if name == "" || strings.ContainsAny(name+module, " \t\n") {
		return found
	}
	want := []byte(" " + name)
	_ = kallsymsLines(path, func(lines []byte) bool {
		for {
			at := bytes.Index(lines, want)
			if at < 0 {
				return true
			}
			start, rest := bytes.LastIndexByte(lines[:at], '\n')+1, lines[at+len(want):]
			if rest[0] == '\n' || rest[0] == '\t' {
				end := bytes.IndexByte(rest, '\n')
				if s, _, in, ok := parseSymbol(string(lines[start : at+len(want)+end])); ok && (module == "" || in == module) {
					found = s
					return false
				}
			}
			lines = rest
		}
	})
	return found
}

// WeakFunctions lists the kernel's own functions that stand in for others, which it is built without: of system calls those that
// only say so. The kernel's types do not tell them from the others.
func WeakFunctions() (map[string]bool, error) { return weakFunctions("/proc/kallsyms") }

func weakFunctions(path string) (map[string]bool, error) {
	weak := make(map[string]bool)
	err := kallsymsLines(path, func(lines []byte) bool {
		for line := range bytes.Lines(lines) {
			if code := bytes.IndexByte(line, ' ') + 1; code == 0 || line[code] != 'W' && line[code] != 'w' {
				continue
			}
			if _, name, module, ok := parseSymbol(string(bytes.TrimSpace(line))); ok && module == "" {
				weak[name] = true
			}
		}
		return true
	})
	return weak, err
}

// parseSymbol reads "ffffffffc0a01000 t name	[module]".
func parseSymbol(line string) (s kernelSymbol, name, module string, ok bool) {
	address, rest, _ := strings.Cut(line, " ")
	code, rest, found := strings.Cut(rest, " ")
	if !found || len(code) != 1 {
		return s, "", "", false
	}
	addr, err := strconv.ParseUint(address, 16, 64)
	if err != nil {
		return s, "", "", false
	}
	name, module, _ = strings.Cut(rest, "\t")
	module = strings.TrimSuffix(strings.TrimPrefix(module, "["), "]")
	return kernelSymbol{addr, code[0]}, name, module, name != ""
}
