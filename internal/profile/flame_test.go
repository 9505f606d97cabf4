package profile

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func picture(t testing.TB, p *Profile) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteFlame(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// drawn is a box as it is in the picture.
type drawn struct {
	class, name    string
	start, value   int64
	row            int
	x, y, width    float64
	label, details string
}

// checkSVG reads a picture as XML, lets nothing be in it but what draws, and returns the boxes and all other texts.
func checkSVG(t testing.TB, text string) (boxes []drawn, texts []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	var path []string
	var box *drawn
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return boxes, texts
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if !slices.Contains([]string{"svg", "title", "style", "rect", "g", "text", "script"}, e.Name.Local) || e.Name.Space != "http://www.w3.org/2000/svg" {
				t.Fatalf("element %v", e.Name)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || a.Name.Local == "style" && a.Value != "display:none" {
					t.Fatalf("attribute %v of %v", a, e.Name)
				}
			}
			if e.Name.Local == "g" && len(path) == 2 && path[1] == "g" && attribute(e, "data-b") != "" {
				boxes = append(boxes, drawn{class: attribute(e, "class")})
				box = &boxes[len(boxes)-1]
				if _, err := fmt.Sscan(attribute(e, "data-b"), &box.start, &box.value, &box.row); err != nil {
					t.Fatal(err)
				}
			}
			if e.Name.Local == "rect" && box != nil {
				box.x, _ = strconv.ParseFloat(attribute(e, "x"), 64)
				box.y, _ = strconv.ParseFloat(attribute(e, "y"), 64)
				box.width, _ = strconv.ParseFloat(attribute(e, "width"), 64)
			}
			path = append(path, e.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
			if len(path) == 2 {
				box = nil
			}
		case xml.CharData:
			switch {
			case len(path) < 2 || path[1] == "script" || path[1] == "style":
			case box != nil && path[len(path)-1] == "title":
				box.details = string(e)
				box.name, _, _ = strings.Cut(box.details, "\n")
			case box != nil && path[len(path)-1] == "text":
				box.label = string(e)
			case strings.TrimSpace(string(e)) != "":
				texts = append(texts, string(e))
			}
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func TestFlame(t *testing.T) {
	boxes, texts := checkSVG(t, picture(t, example()))
	var got []string
	for _, b := range boxes {
		got = append(got, fmt.Sprintf("%d %d+%d %s %s", b.row, b.start, b.value, strings.Fields(b.class)[0], b.name))
	}
	want := []string{
		"0 0+3665 root all",
		"1 0+100 mark [more frames]", "2 0+100 unknown [unknown]", "3 0+100 library malloc", "4 0+100 kernel do_syscall_64",
		"1 100+50 mark [no stack]",
		"1 150+15 program main", "2 150+15 jit LazyCompile:~f a.js:1",
		"1 165+3500 root prog", "2 165+3500 root pid=12", "3 165+500 mark [no frame pointer]", "4 165+500 program [prog]", "5 165+500 library malloc",
		"3 665+3000 program main", "4 665+3000 program load", "5 665+3000 program ns::grow<int>(int)", "6 665+3000 library malloc",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{
		"bytes asked of malloc", "alloc_space: 3,665 bytes (3.6 KiB) in 6 stacks, in 2.5 s", "! 3 samples were lost", "! the map was full 12",
		"! 1 stacks have a value below zero and are not shown", "callers unknown", "kernel", "JIT",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %q", want, all)
		}
	}
	for _, b := range boxes {
		if b.name == "ns::grow<int>(int)" {
			if want := "ns::grow<int>(int)\n3,000 bytes (2.9 KiB), 81.9%, inlined\na.cc in /bin/prog"; b.details != want || b.label != b.name || !strings.Contains(b.class, "inlined") {
				t.Errorf("got %+v, want %q", b, want)
			}
		}
	}
	if boxes, texts := checkSVG(t, picture(t, &Profile{})); boxes != nil || !strings.Contains(strings.Join(texts, " "), "nothing was counted") {
		t.Errorf("of nothing: %v %q", boxes, texts)
	}
}

// Many narrow boxes: what is not drawn is told, nothing is wider than what it stands on, and all of it is accounted for.
func TestFlameOfMany(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	p := &Profile{Types: []ValueType{{"n", "count"}}}
	for range 30_000 {
		s := Sample{Values: []int64{1 + int64(r.IntN(5))}}
		for depth := range 1 + r.IntN(30) {
			s.Stack = append(s.Stack, Frame{Name: fmt.Sprintf("f%d_%d", depth, r.IntN(4)), Module: "/bin/x"})
		}
		p.Samples = append(p.Samples, s)
	}
	root, _, _ := newTree(p)
	if n := root.count(); n < 100_000 {
		t.Fatalf("only %d boxes", n)
	}
	text := picture(t, p)
	boxes, texts := checkSVG(t, text)
	if len(boxes) < maxBoxes/2 || len(boxes) > 2*maxBoxes || len(text) > 8<<20 {
		t.Errorf("%d boxes in %d bytes", len(boxes), len(text))
	}
	if note := strings.Join(texts, " "); !strings.Contains(note, "are not drawn one by one") {
		t.Errorf("nothing is said of what is left out: %q", note)
	}
	var open []drawn
	narrow := 0
	for _, b := range boxes {
		open = open[:b.row]
		if b.row > 0 {
			if below := open[b.row-1]; b.start < below.start || b.start+b.value > below.start+below.value {
				t.Fatalf("%+v does not stand on %+v", b, below)
			}
		}
		open = append(open, b)
		if strings.HasPrefix(b.class, "narrow") {
			narrow++
		}
	}
	if narrow == 0 {
		t.Error("no box stands for narrow ones")
	}
}

// browserVariable names a browser (chromium) by which pictures are tried; nothing is tried without it.
const browserVariable = "SONDE_BROWSER"

// browserScript runs in the page after the picture's own script, and leaves what it saw in an attribute.
const browserScript = `
(function () {
	var seen = [], byId = function (id) { return document.getElementById(id); };
	function box(name) {
		return Array.prototype.filter.call(byId("boxes").children, function (g) { return g.firstElementChild.textContent.split("\n")[0] === name; })[0];
	}
	function shown() { return Array.prototype.filter.call(byId("boxes").children, function (g) { return g.style.display !== "none"; }).length; }
	function press(key) { window.dispatchEvent(new KeyboardEvent("keydown", { key: key })); }
	function say(what) { seen.push(what); }
	say("all " + shown());
	box("main").dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
	say("hover " + byId("details").textContent);
	box("load").dispatchEvent(new MouseEvent("click", { bubbles: true }));
	say("zoomed " + shown() + " " + (Math.abs(Number(box("load").children[1].getAttribute("width")) - (window.innerWidth - 20)) < 1));
	press("/");
	var input = document.querySelector("input");
	input.value = "MALLOC$";
	input.dispatchEvent(new Event("input"));
	say("case " + byId("matched").textContent);
	input.value = "malloc$|^gro";
	input.dispatchEvent(new Event("input"));
	say("found " + byId("matched").textContent);
	input.value = "(";
	input.dispatchEvent(new Event("input"));
	say("wrong " + byId("matched").textContent);
	input.value = "<script>";
	input.dispatchEvent(new Event("input"));
	say("markup " + byId("matched").textContent + " " + document.querySelectorAll("script").length);
	input.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
	say("closed " + (document.querySelector("input") === null) + byId("matched").textContent);
	press("Escape");
	say("reset " + shown());
	press("ArrowUp");
	press("ArrowUp");
	say("moved " + byId("details").textContent.split(" - ")[0]);
	press("Enter");
	say("entered " + byId("reset").style.display);
	press("Backspace");
	press("Backspace");
	say("back " + shown());
	document.documentElement.setAttribute("data-seen", seen.join("|"));
})();
`

// The picture works in a browser: zoom, search, details, keys.
func TestFlameInBrowser(t *testing.T) {
	browser := os.Getenv(browserVariable)
	if browser == "" {
		t.Skip(browserVariable + " names no browser")
	}
	text := picture(t, example())
	text = strings.Replace(text, "\n</svg>", "\n<script><![CDATA["+browserScript+"]]></script>\n</svg>", 1)
	path := filepath.Join(t.TempDir(), "x.svg")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--window-size=1200,700", "--dump-dom", "file://"+path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, seen, found := strings.Cut(string(out), `data-seen="`)
	seen, _, _ = strings.Cut(seen, `"`)
	if !found {
		t.Fatalf("the script did not come to its end: %s", out)
	}
	want := []string{
		"all 17", "hover main - 15 bytes, 0.409% - main.cc in /bin/prog", "zoomed 7 true",
		"case matched: 0.00% of all, 0.00% of what is shown, 0 boxes",
		"found matched: 98.23% of all, 100.00% of what is shown, 3 boxes",
		"wrong not a regular expression: (", "markup matched: 0.00% of all, 0.00% of what is shown, 0 boxes 2", "closed true", "reset 17", "moved pid=12", "entered ", "back 17",
	}
	if got := strings.Split(seen, "|"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
