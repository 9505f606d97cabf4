package profile

import (
	"bufio"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// WriteFolded writes a line for each stack, "outermost;...;innermost VALUE", with the value that is shown; labels come before
// the first function. The notes stand above as lines that begin with '#'.
func WriteFolded(w io.Writer, p *Profile) error {
	out := bufio.NewWriter(w)
	lines, left := foldedLines(p)
	for _, note := range append(slices.Clip(p.Notes), left...) {
		// A line that ends in a number would be taken for a stack.
		if _, err := out.WriteString("# " + strings.TrimRight(visible(note), " ") + ".\n"); err != nil {
			return err
		}
	}
	for _, stack := range slices.Sorted(maps.Keys(lines)) {
		if _, err := out.WriteString(stack + " " + strconv.FormatInt(lines[stack], 10) + "\n"); err != nil {
			return err
		}
	}
	return out.Flush()
}

func foldedLines(p *Profile) (lines map[string]int64, left []string) {
	lines = map[string]int64{}
	tally := tally{}
	for i := range p.Samples {
		value, drawn := tally.take(p, i)
		if !drawn {
			continue
		}
		var line strings.Builder
		eachFrame(&p.Samples[i], func(f drawnFrame) {
			if line.Len() > 0 {
				line.WriteByte(';')
			}
			line.WriteString(foldedName(f.name, line.Len() == 0))
		})
		lines[line.String()] += value
	}
	return lines, tally.notes()
}

// foldedName is a name without the character that parts frames, and without one at the beginning that would make a note of the line.
func foldedName(name string, first bool) string {
	name = strings.ReplaceAll(visible(name), ";", ":")
	if first && strings.HasPrefix(name, "#") {
		name = `\x23` + name[1:]
	}
	return name
}

// drawnFrame is a frame as lines and pictures have it.
type drawnFrame struct {
	name  string
	frame *Frame // nil: a label or a mark
	mark  bool
}

// eachFrame calls visit for the frames of a sample, the outermost first, with what stands before them.
func eachFrame(s *Sample, visit func(drawnFrame)) {
	for _, label := range s.Labels {
		visit(drawnFrame{name: label.root()})
	}
	if mark := s.End.mark(); mark != "" {
		visit(drawnFrame{name: mark, mark: true})
	} else if len(s.Stack) == 0 && len(s.Labels) == 0 {
		visit(drawnFrame{name: markMissing, mark: true})
	}
	for i := len(s.Stack) - 1; i >= 0; i-- {
		visit(drawnFrame{name: s.Stack[i].shown(), frame: &s.Stack[i]})
	}
}

// tally chooses the samples that have something to show, and counts those that cannot be shown.
type tally struct{ negative int64 }

func (t *tally) take(p *Profile, sample int) (value int64, drawn bool) {
	values := p.Samples[sample].Values
	if p.Shown < 0 || p.Shown >= len(values) {
		return 0, false
	}
	value = values[p.Shown]
	if value < 0 {
		t.negative++
	}
	return value, value > 0
}

func (t *tally) notes() []string {
	if t.negative == 0 {
		return nil
	}
	return []string{strconv.FormatInt(t.negative, 10) + " stacks have a value below zero and are not shown"}
}
