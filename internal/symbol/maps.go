package symbol

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

const (
	maxMaps     = 256 << 20 // of /proc/PID/maps
	maxMappings = 1 << 16   // executable ones
)

// mapping is an executable range of a process's memory.
type mapping struct {
	start, end, offset uint64
	device             string
	inode              uint64
	path               string // "": anonymous; "[vdso]" and the like
	deleted            bool
	file               *file // nil: none, or it cannot be opened
}

// readMaps reads the executable ranges of a /proc/PID/maps.
func readMaps(r io.Reader) ([]mapping, error) {
	var found []mapping
	lines := bufio.NewReaderSize(io.LimitReader(r, maxMaps), 64<<10)
	for len(found) < maxMappings {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return found, err
		}
		if m, ok := parseMapping(line); ok {
			found = append(found, m)
		}
	}
	return found, nil
}

// parseMapping reads "START-END r-xp OFFSET MAJOR:MINOR INODE     PATH" if the range is executable.
func parseMapping(line []byte) (m mapping, ok bool) {
	start, rest, ok := cutHex(line)
	if !ok || len(rest) == 0 || rest[0] != '-' {
		return m, false
	}
	end, rest, ok := cutHex(rest[1:])
	if !ok || len(rest) < 7 || rest[0] != ' ' || rest[3] != 'x' || rest[5] != ' ' || end <= start {
		return m, false
	}
	offset, rest, ok := cutHex(rest[6:])
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return m, false
	}
	device, rest, ok := bytes.Cut(rest[1:], []byte(" "))
	if !ok {
		return m, false
	}
	inode, path, _ := bytes.Cut(bytes.TrimSuffix(rest, []byte("\n")), []byte(" "))
	m = mapping{start: start, end: end, offset: offset, device: string(device)}
	for _, c := range inode {
		if c < '0' || c > '9' {
			return m, false
		}
		m.inode = m.inode*10 + uint64(c-'0')
	}
	m.path = string(bytes.TrimLeft(path, " "))
	// The kernel escapes only newlines.
	m.path = strings.ReplaceAll(m.path, `\012`, "\n")
	if m.inode != 0 {
		m.path, m.deleted = strings.CutSuffix(m.path, " (deleted)")
	}
	return m, true
}

// anonymous says that the code may be made at run time. Some JITs map theirs twice, from a file without a name.
func (m *mapping) anonymous() bool {
	if m.inode == 0 {
		return !strings.HasPrefix(m.path, "[v") && m.path != "[uprobes]" && m.path != "[sigpage]"
	}
	return m.deleted && (strings.HasPrefix(m.path, "/memfd:") || strings.HasPrefix(m.path, "/dev/zero") || strings.HasPrefix(m.path, "/SYSV"))
}
