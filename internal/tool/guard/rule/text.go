package rule

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// YAML returns the set as a rule file that says all that it means: names, accesses and errors in full. ParseFile of it gives
// the same rules.
func (s *Set) YAML() string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range s.Rules {
		s.Rules[i].yaml(&b)
	}
	return b.String()
}

func (r *Rule) yaml(b *strings.Builder) {
	fmt.Fprintf(b, "  - name: %s\n    action: %s\n", yamlText(r.Name), r.Action)
	if r.Action.Denies() {
		fmt.Fprintf(b, "    errno: %s\n", ErrnoName(r.Errno))
	}
	b.WriteString("    files:\n")
	for _, p := range r.What {
		fmt.Fprintf(b, "      - %s\n", p)
	}
	fmt.Fprintf(b, "    access: [%s]\n", strings.Join(r.Access.Words(), ", "))
	if !r.Who.IsZero() {
		b.WriteString("    who:\n")
		r.Who.yaml(b, "      ", "      ")
	}
	if len(r.Except) > 0 {
		b.WriteString("    except:\n")
		for i := range r.Except {
			r.Except[i].yaml(b, "      - ", "        ")
		}
	}
}

// String is the pattern as a rule file has it.
func (p Pattern) String() string {
	again, f := parsePattern(p.Path, "")
	again.Pos = p.Pos
	if f == nil && again == p {
		return yamlText(p.Path)
	}
	return p.Kind.String() + ": " + yamlText(p.Path)
}

// yaml writes the keys of a who, the first behind first and the others behind indent.
func (w *Who) yaml(b *strings.Builder, first, indent string) {
	line := func(key, value string) {
		fmt.Fprintf(b, "%s%s: %s\n", first, key, value)
		first = indent
	}
	texts := func(key string, values []string) {
		if len(values) == 0 {
			return
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = yamlText(v)
		}
		line(key, "["+strings.Join(quoted, ", ")+"]")
	}
	numbers := func(key string, values []uint32) {
		if len(values) == 0 {
			return
		}
		digits := make([]string, len(values))
		for i, v := range values {
			digits[i] = strconv.FormatUint(uint64(v), 10)
		}
		line(key, "["+strings.Join(digits, ", ")+"]")
	}
	texts("exe", w.Exe)
	numbers("uid", w.UIDs)
	texts("user", w.Users)
	numbers("pid", w.PIDs)
	texts("comm", w.Comm)
	texts("cgroup", w.Cgroups)
	if w.Container != "" {
		line("container", yamlText(w.Container))
	}
	if w.Tree {
		line("tree", "command")
	}
}

// yamlText writes a text so that YAML reads it as one: plain where nobody could take it for something else, bytes that are
// not UTF-8 as base64.
func yamlText(s string) string {
	switch {
	case !utf8.ValidString(s):
		return "!!binary " + base64.StdEncoding.EncodeToString([]byte(s))
	case isPlain(s):
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func isPlain(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if s == "" || strings.IndexByte(letters+"/", s[0]) < 0 || strings.Trim(s, letters+"0123456789/._-+@") != "" {
		return false
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}
