package profile

import (
	"bufio"
	_ "embed" // the script of the picture
	"io"
	"path"
	"strconv"
	"strings"
)

// The picture's measures, which flame.js has too.
const (
	flameWidth  = 1200
	rowHeight   = 17
	sideMargin  = 10
	fontSize    = 12
	letterWidth = 7.23 // of the font, which is monospaced
	barHeight   = 50
	maxBoxes    = 20000
)

//go:embed flame.js
var flameScript string

//go:embed flame.css
var flameStyle string

// WriteFlame writes an SVG picture that works by itself in a browser: boxes of functions, as wide as what was counted in them
// and in what they called, callers below. It zooms, searches and tells what the mouse is on; without a script it is still a picture.
func WriteFlame(w io.Writer, p *Profile) error {
	root, stacks, left := newTree(p)
	boxes, cut := root.boxes(maxBoxes)
	f := flame{out: bufio.NewWriter(w), total: root.value, stacks: stacks}
	if p.Shown >= 0 && p.Shown < len(p.Types) {
		f.unit, f.what = visible(p.Types[p.Shown].Unit), visible(p.Types[p.Shown].Name)
	}
	f.notes = append(f.notes, p.Notes...)
	f.notes = append(f.notes, left...)
	if cut.functions > 0 {
		f.notes = append(f.notes, grouped(int64(cut.functions))+" boxes of less than "+amount(cut.least, f.unit)+" ("+percent(cut.least, f.total)+
			" of all) are not drawn one by one")
	}
	rows := 1
	for _, b := range boxes {
		rows = max(rows, b.row+1)
	}
	f.head(p, boxes, rows)
	for _, b := range boxes {
		f.box(b)
	}
	f.bar(boxes)
	f.text("<script type=\"text/ecmascript\"><![CDATA[\n", flameScript, "]]></script>\n</svg>\n")
	return f.out.Flush()
}

// flame writes a picture. Its rows are counted from below.
type flame struct {
	out    *bufio.Writer
	total  int64
	unit   string
	what   string
	stacks int
	notes  []string
	bottom int // where the lowest row begins
	height int
}

func (f *flame) text(all ...string) {
	for _, s := range all {
		_, _ = f.out.WriteString(s) // Flush tells
	}
}

// title is above the boxes, the line of details below them: both are outside the group that zooms.
func (f *flame) head(p *Profile, boxes []box, rows int) {
	title := p.Title
	if title == "" {
		title = "Flame graph"
	}
	top := 58 + len(f.notes)*rowHeight
	f.bottom = top + (rows-1)*rowHeight
	f.height = f.bottom + rowHeight + barHeight + 3
	height := strconv.Itoa(f.height)
	f.text(`<?xml version="1.0" encoding="UTF-8" standalone="no"?>`, "\n",
		`<svg xmlns="http://www.w3.org/2000/svg" version="1.1" id="flame" width="1200" height="`, height, `" viewBox="0 0 1200 `, height,
		`" data-total="`, strconv.FormatInt(f.total, 10), `" data-unit="`, xmlText(f.unit), "\">\n<title>", xmlText(visible(title)), "</title>\n<style><![CDATA[\n", flameStyle, "]]></style>\n",
		`<rect id="ground" width="100%" height="100%"/>`, "\n")
	f.line("title", 24, "heading", title)
	f.line("total", 44, "small", f.summary(p))
	for i, note := range f.notes {
		f.line("note"+strconv.Itoa(i), 44+(i+1)*rowHeight, "note", "! "+note)
	}
	f.text(`<g id="boxes">`, "\n")
}

// bar has what is told of a box, and what can be asked; it is above the boxes because it moves over them when they scroll.
func (f *flame) bar(boxes []box) {
	f.text("</g>\n", `<g id="bar"><rect id="barground" x="0" y="`, strconv.Itoa(f.height-barHeight), `" width="1200" height="`, strconv.Itoa(barHeight), `"/>`, "\n")
	f.line("details", f.height-33, "small", " ")
	f.legend(boxes)
	f.text(`<g id="buttons" style="display:none">`)
	button := func(id, class string, x int, text string) {
		f.text(`<text id="`, id, `" class="`, class, `" text-anchor="end" x="`, strconv.Itoa(x), `" y="`, strconv.Itoa(f.height-10), `">`, text, `</text>`)
	}
	button("search", "button", flameWidth-sideMargin, "search (/)")
	button("clear", "button", flameWidth-sideMargin-11*fontSize*2/3, "clear")
	button("reset", "button", flameWidth-sideMargin-18*fontSize*2/3, "all (Esc)")
	f.text(`</g><text id="matched" class="small" x="`, strconv.Itoa(sideMargin), `" y="`, strconv.Itoa(f.height-barHeight-5), `"></text></g>`, "\n")
}

// summary says what the whole is.
func (f *flame) summary(p *Profile) string {
	text := "nothing was counted"
	if f.total > 0 {
		text = amount(f.total, f.unit)
		if f.what != "" {
			text = f.what + ": " + text
		}
		text += " in " + grouped(int64(f.stacks)) + " stacks"
		if f.stacks == 1 {
			text = strings.TrimSuffix(text, "s")
		}
	}
	if p.Duration > 0 {
		text += ", in " + strconv.FormatFloat(float64(p.Duration)/1e9, 'f', 1, 64) + " s"
	}
	return text
}

// line cuts what is too long for the picture; the whole of it is told to who points at it.
func (f *flame) line(id string, y int, class, text string) {
	whole := visible(text)
	letter := letterWidth
	if class == "heading" {
		letter *= 1.4
	}
	f.text(`<text id="`, id, `" class="`, class, `" x="10" y="`, strconv.Itoa(y), `">`)
	if short := fitted(whole, int((flameWidth-2*sideMargin)/letter)); short != whole {
		f.text("<title>", xmlText(whole), "</title>", xmlText(short))
	} else {
		f.text(xmlText(whole))
	}
	f.text("</text>\n")
}

var kindClass = [kinds]string{"root", "program", "jit", "library", "kernel", "unknown", "mark", "narrow"}

var kindLegend = [kinds]string{"", "program", "JIT", "library", "kernel", "unknown", "callers unknown", "too narrow"}

// legend names the colours that there are.
func (f *flame) legend(boxes []box) {
	var seen [kinds]bool
	for _, b := range boxes {
		seen[b.kind] = true
	}
	x := sideMargin
	f.text(`<g id="legend">`)
	for k, name := range kindLegend {
		if name == "" || !seen[k] {
			continue
		}
		f.text(`<rect class="`, kindClass[k], `" x="`, strconv.Itoa(x), `" y="`, strconv.Itoa(f.height-20), `" width="12" height="12"/><text class="small" x="`,
			strconv.Itoa(x+17), `" y="`, strconv.Itoa(f.height-10), `">`, name, "</text>")
		x += 17 + int(float64(len(name)+2)*letterWidth)
	}
	f.text("</g>\n")
}

// box writes a function: its place is there as numbers for the script, and drawn for who has none.
func (f *flame) box(b box) {
	class := kindClass[b.kind]
	if b.inlined {
		class += " inlined"
	}
	scale := float64(flameWidth-2*sideMargin) / float64(f.total)
	x, width := sideMargin+float64(b.start)*scale, float64(b.value)*scale
	y := f.bottom - b.row*rowHeight
	f.text(`<g class="`, class, ` s`, strconv.Itoa(shade(b.node)), `" data-b="`, strconv.FormatInt(b.start, 10), " ", strconv.FormatInt(b.value, 10), " ", strconv.Itoa(b.row),
		`"><title>`, xmlText(f.details(b)), `</title><rect x="`, decimal(x), `" y="`, strconv.Itoa(y), `" width="`, decimal(width), `" height="16"/><text x="`,
		decimal(x+3), `" y="`, strconv.Itoa(y+12), `">`)
	if letters := int((width - 6) / letterWidth); letters >= 3 {
		f.text(xmlText(fitted(visible(b.name), letters)))
	}
	f.text("</text></g>\n")
}

// details has the name on its first line, where the script finds it.
func (f *flame) details(b box) string {
	text := visible(b.name) + "\n" + amount(b.value, f.unit) + ", " + percent(b.value, f.total)
	if b.self > 0 && b.self != b.value {
		text += ", " + amount(b.self, f.unit) + " of it in itself"
	}
	if b.kind == kindNarrow {
		text += ", of " + grouped(int64(b.merged)) + " boxes too narrow to draw"
	}
	if b.kind == kindMark {
		text += ", of stacks whose callers are not known"
	}
	if b.inlined {
		text += ", inlined"
	}
	if b.file != "" {
		text += "\n" + visible(path.Base(b.file))
		if b.module != "" {
			text += " in " + visible(b.module)
		}
	} else if b.module != "" {
		text += "\n" + visible(b.module)
	}
	return text
}

// shade is one of a kind's colours, always the same for a name.
func shade(n *node) int {
	hash := uint32(2166136261)
	for i := range len(n.name) {
		hash = (hash ^ uint32(n.name[i])) * 16777619
	}
	return int(hash >> 16 % 5)
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// fitted is a text of so many letters at most.
func fitted(s string, letters int) string {
	if len(s) <= letters {
		return s
	}
	n := 0
	for i := range s {
		if n == letters-2 {
			return s[:i] + ".."
		}
		n++
	}
	return s
}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

// xmlText escapes a text for an element or an attribute.
func xmlText(s string) string {
	return xmlEscapes.Replace(s)
}
