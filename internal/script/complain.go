package script

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"sonde/internal/compile"
)

// where is a place in the script as bpftrace gives it: line, first and last column, or the lines of a longer one.
func (r *Runner) where(s *site) string {
	src, span := r.p.Source, s.Span
	if src == nil {
		return "script"
	}
	line, col := src.Position(span.Start)
	last, end := src.Position(max(span.Start, span.End))
	switch {
	case line == 0:
		return src.Name
	case last > line:
		return fmt.Sprintf("%s:%d-%d", src.Name, line, last)
	}
	return fmt.Sprintf("%s:%d:%d-%d", src.Name, line, col, end)
}

// excerpt is the line of the script with the place underlined.
func (r *Runner) excerpt(s *site) string {
	src, span := r.p.Source, s.Span
	if src == nil || span.Start < 0 {
		return ""
	}
	line, col := src.Position(span.Start)
	last, end := src.Position(max(span.Start, span.End))
	if last > line {
		var b strings.Builder
		for n := line; n <= min(last, line+9); n++ {
			b.WriteString(src.Line(n) + "\n")
		}
		return b.String()
	}
	return src.Line(line) + "\n" + strings.Repeat(" ", col-1) + strings.Repeat("~", max(end-col, 1)) + "\n"
}

// complain is errorf and warnf.
func (r *Runner) complain(s *site, body []byte) error {
	kind, word := "errorf", "ERROR"
	if s.Kind == compile.SiteWarnf {
		if r.env.NoWarnings {
			return nil
		}
		kind, word = "warnf", "WARNING"
	}
	r.text = r.run(r.text[:0], s, body)
	if r.env.JSON {
		return r.writeMessage(kind, r.text, s, nil)
	}
	end := "\n"
	if bytes.HasSuffix(r.text, []byte("\n")) {
		end = ""
	}
	return r.tell("%s: %s: %s%s", r.where(s), word, r.text, end)
}

// writeMessage writes a message as an object, with further members behind its text.
func (r *Runner) writeMessage(kind string, text []byte, s *site, more []byte) error {
	name, line, col := "", 0, 0
	if src := r.p.Source; src != nil {
		name = src.Name
		line, col = src.Position(s.Span.Start)
	}
	b := append(r.buf[:0], `{"type": "`...)
	b = append(append(b, kind...), `", "msg": `...)
	b = append(quote(b, text), more...)
	b = append(b, `, "filename": `...)
	b = append(quote(b, []byte(name)), `, "line": `...)
	b = append(strconv.AppendInt(b, int64(line), 10), `, "col": `...)
	r.buf = append(strconv.AppendInt(b, int64(col), 10), "}\n"...)
	return r.write(r.buf)
}

func (r *Runner) runtimeError(s *site) error {
	switch {
	case r.env.NoWarnings:
		return nil
	case r.env.JSON:
		return r.writeMessage("runtime_error", []byte(s.Text), s, nil)
	}
	return r.tell("%s: WARNING: %s\n%s", r.where(s), s.Text, r.excerpt(s))
}

// helperError tells of a function of the kernel that failed.
func (r *Runner) helperError(s *site, body []byte) error {
	result := int32(s.int(1, body))
	if s.Text == "map_update_elem" {
		r.full++ // or another reason; the value is lost
	}
	reason := errnoText(result)
	switch {
	case r.env.NoWarnings:
		return nil
	case r.env.JSON:
		r.text = append(append(append(r.text[:0], `, "helper": "`...), s.Text...), `", "retcode": `...)
		r.text = strconv.AppendInt(r.text, int64(result), 10)
		return r.writeMessage("helper_error", []byte(reason), s, r.text)
	}
	message := "the kernel's " + s.Text + " failed: " + reason
	switch {
	case s.Text == "map_update_elem" && -result == int32(syscall.E2BIG):
		message = "the map is full and this value is lost: set max_map_keys in the config block, or declare the map with its size, e.g. let @m = hash(10000);"
	case s.Text == "map_lookup_elem" && result == 0:
		message = "the map has no such key; its value reads as 0"
	case s.Text == "map_delete_elem" && -result == int32(syscall.ENOENT):
		message = "the map has no such key to delete"
	}
	return r.tell("%s: WARNING: %s (%s returned %d)\n%s", r.where(s), message, s.Text, result, r.excerpt(s))
}

// errnoText is what strerror(3) says of a result.
func errnoText(result int32) string {
	if result >= 0 {
		return "Success"
	}
	text := syscall.Errno(-int64(result)).Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
