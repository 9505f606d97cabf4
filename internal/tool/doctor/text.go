package doctor

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"sonde/internal/kernel"
)

// TextOptions say how the text form is laid out.
type TextOptions struct {
	Width int // of the terminal in cells; lines are wrapped there. 0, or less than is sensible, does not wrap
}

// minWidth is the narrowest terminal that lines are wrapped for.
const minWidth = 60

// WriteText writes the report for people: the facts, then a table of features, then a table of commands. What is wrong is
// followed by the remedy on a line of its own that begins with "->".
func (r Report) WriteText(w io.Writer, opts TextOptions) error {
	if opts.Width < minWidth {
		opts.Width = 0
	}
	var b bytes.Buffer
	for _, fact := range r.facts() {
		line(&b, opts.Width, cell(fact[0], 10), fact[1])
	}

	wide := len("FEATURE")
	for _, f := range r.Features {
		wide = max(wide, len(f.Feature))
	}
	fmt.Fprintf(&b, "\n%-*s  %-7s  WHY\n", wide, "FEATURE", "STATE")
	for _, f := range r.Features {
		row(&b, opts.Width, cell(string(f.Feature), wide)+cell(f.State.String(), 7), f.Reason, f.Remedy)
	}

	fmt.Fprintf(&b, "\n%-*s  %-7s  WHY\n", wide, "COMMAND", "WORKS")
	for _, c := range r.Commands {
		row(&b, opts.Width, cell(c.Command, wide)+cell(string(c.State), 7), c.Reason, c.Remedy)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// facts are the lines above the tables, each with its name.
func (r Report) facts() [][2]string {
	user := fmt.Sprintf("uid %d with %s", r.UID, words(r.Capabilities, "no capability that matters here"))
	if len(r.Missing) > 0 && len(r.Capabilities) > 0 {
		user += "; without " + strings.Join(r.Missing, " ")
	}
	if r.UserNamespace {
		user += "; all of them only inside a user namespace, where they do not count for BPF"
	}
	lockdown := string(r.Lockdown)
	if r.Lockdown == kernel.LockdownUnknown {
		lockdown += " (there is no readable /sys/kernel/security/lockdown)"
	}
	tracefs := r.Tracefs
	switch tracefs {
	case TracefsPrivate:
		tracefs = "not mounted; sonde mounts it for itself, where nobody else sees it"
	case "":
		tracefs = "not mounted, and cannot be"
	}
	return [][2]string{
		{"kernel", r.Release + " " + r.Arch},
		{"user", user},
		{"lockdown", lockdown},
		{"lsm", words(r.LSMs, "unknown (there is no readable /sys/kernel/security/lsm)")},
		{"tracefs", tracefs},
		{"sysctl", "unprivileged_bpf_disabled " + number(r.UnprivilegedBPF) + ", perf_event_paranoid " + number(r.PerfParanoid)},
	}
}

func words(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, " ")
}

func number(n *int) string {
	if n == nil {
		return "unknown"
	}
	return fmt.Sprint(*n)
}

// cell pads text to a column of that width and the gap behind it.
func cell(text string, width int) string { return fmt.Sprintf("%-*s  ", width, text) }

// row writes one line of a table, and the remedy below its reason.
func row(b *bytes.Buffer, width int, head, reason, remedy string) {
	line(b, width, head, reason)
	if remedy != "" {
		line(b, width, strings.Repeat(" ", len(head))+"-> ", remedy)
	}
}

// line writes head and then text, wrapped between words so that it stays to the right of head.
func line(b *bytes.Buffer, width int, head, text string) {
	out := head
	col := utf8.RuneCountInString(head)
	first := true
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case first:
		case width > 0 && col+1+n > width:
			b.WriteString(strings.TrimRight(out, " ") + "\n")
			out, col = strings.Repeat(" ", len(head)), len(head)
		default:
			out += " "
			col++
		}
		out += word
		col += n
		first = false
	}
	b.WriteString(strings.TrimRight(out, " ") + "\n")
}
