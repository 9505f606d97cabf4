package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	maxFormatSize   = 1 << 20 // bytes of text; usual is one or two kilobytes
	maxFormatFields = 1024
	maxRecordSize   = 64 << 10 // bytes; the kernel's own bound is a page
)

// ParseFormat reads the text of a file events/GROUP/NAME/format of tracefs.
func ParseFormat(group, text string) (*TracepointFormat, error) {
	f := &TracepointFormat{Group: group}
	fail := func(line string, why string) (*TracepointFormat, error) {
		return nil, fmt.Errorf("format of tracepoint %s:%s: %s: %.100q", group, f.Name, why, line)
	}
	if len(text) > maxFormatSize {
		return fail("", "longer than expected")
	}
	for line := range strings.SplitSeq(text, "\n") {
		key, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			continue
		}
		switch key {
		case "name":
			f.Name = strings.TrimSpace(value)
		case "ID":
			id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			if err != nil {
				return fail(line, "its ID is not a number")
			}
			f.ID = id
		case "print fmt":
			f.Print = strings.TrimSpace(value)
		case "field":
			field, ok := parseField(value)
			if !ok {
				return fail(line, "not a field")
			}
			if len(f.Fields) == maxFormatFields {
				return fail(line, "more fields than expected")
			}
			f.Fields = append(f.Fields, field)
		}
	}
	if f.Name == "" {
		return fail("", "it has no name")
	}
	return f, nil
}

// parseField reads "const char * filename;	offset:24;	size:8;	signed:0;".
func parseField(text string) (f TracepointField, ok bool) {
	declaration, rest, ok := strings.Cut(text, ";")
	if !ok {
		return f, false
	}
	seen := 0
	for part := range strings.SplitSeq(rest, ";") {
		key, value, found := strings.Cut(strings.TrimSpace(part), ":")
		if !found {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > maxRecordSize {
			return f, false
		}
		switch key {
		case "offset":
			f.Offset, seen = n, seen|1
		case "size":
			f.Size, seen = n, seen|2
		case "signed":
			f.Signed = n != 0
		}
	}
	if seen != 3 || !f.declare(strings.TrimSpace(declaration)) {
		return f, false
	}
	f.Common = strings.HasPrefix(f.Name, "common_")
	return f, true
}

// declare takes a C declaration apart: the name is its last word, or what stands before the brackets.
func (f *TracepointField) declare(text string) bool {
	var ok bool
	if text, ok = strings.CutPrefix(text, "__data_loc "); ok {
		f.DataLoc = true
	} else if text, ok = strings.CutPrefix(text, "__rel_loc "); ok {
		f.RelLoc = true
	}
	dimensions := ""
	if f.DataLoc || f.RelLoc { // "char[] filename": the brackets are with the type
		f.Name = lastWord(text)
		f.Type = strings.TrimSpace(strings.TrimSuffix(text, f.Name))
		if f.RelLoc {
			f.Type = "__rel_loc " + f.Type
		} else {
			f.Type = "__data_loc " + f.Type
		}
		return f.Name != ""
	}
	if at := strings.IndexByte(text, '['); at > 0 && strings.HasSuffix(text, "]") {
		text, dimensions = strings.TrimSpace(text[:at]), text[at:]
	}
	f.Name = lastWord(text)
	f.Type = strings.TrimSpace(strings.TrimSuffix(text, f.Name))
	if f.Name == "" || f.Type == "" {
		return false
	}
	if dimensions != "" {
		f.Array = f.count(dimensions)
		f.Type += dimensions
	}
	return true
}

// lastWord returns the C identifier at the end of s.
func lastWord(s string) string {
	at := len(s)
	for at > 0 && (s[at-1] == '_' || s[at-1] >= '0' && s[at-1] <= '9' || s[at-1]|0x20 >= 'a' && s[at-1]|0x20 <= 'z') {
		at--
	}
	return s[at:]
}

// count multiplies what is in the brackets. Old kernels show the name of a constant there; then the size of the whole tells.
func (f *TracepointField) count(dimensions string) int {
	product := 1
	for part := range strings.SplitSeq(strings.TrimSuffix(dimensions[1:], "]"), "[") {
		n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(part, "]")))
		if err != nil || n < 0 || n > maxRecordSize || product*n > maxRecordSize {
			if each := elementSize(f.Type); each > 0 {
				return f.Size / each
			}
			return 0
		}
		product *= n
	}
	return product
}

// elementSize knows the sizes of the plain types that arrays of tracepoints are made of; 0: it does not.
func elementSize(typ string) int {
	switch strings.TrimPrefix(typ, "const ") {
	case "char", "unsigned char", "signed char", "u8", "s8", "__u8", "__s8", "uint8_t", "bool":
		return 1
	case "short", "unsigned short", "u16", "s16", "__u16", "__s16", "uint16_t", "__le16", "__be16":
		return 2
	case "int", "unsigned int", "unsigned", "u32", "s32", "__u32", "__s32", "uint32_t", "__le32", "__be32":
		return 4
	case "long", "unsigned long", "long long", "unsigned long long", "u64", "s64", "__u64", "__s64", "uint64_t", "__le64", "__be64":
		return 8
	}
	if strings.HasSuffix(typ, "*") {
		return pointerSize
	}
	return 0
}

// readFormat reads a tracepoint's format below a tracefs.
func readFormat(tracefs, group, name string) (*TracepointFormat, error) {
	if !eventWord(group) || !eventWord(name) {
		return nil, fmt.Errorf("tracepoint %q:%q: a name has only letters, digits, '_', '-' and '.': %w", group, name, fs.ErrNotExist)
	}
	text, err := readSmall(filepath.Join(tracefs, "events", group, name, "format"), maxFormatSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("tracepoint %s:%s: this kernel does not have it: %w", group, name, fs.ErrNotExist)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("tracepoint %s:%s: %w; run as root or with CAP_DAC_READ_SEARCH", group, name, err)
	case err != nil:
		return nil, fmt.Errorf("tracepoint %s:%s: %w", group, name, err)
	}
	return ParseFormat(group, text)
}
