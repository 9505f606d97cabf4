package bypass

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// fixed is a report of two mechanisms that work, one of them late, and one that does not.
func fixed() *Report {
	best := column("fmod_ret", func(w *Way, s Shape) (Verdict, string) {
		switch {
		case w.NotFor[s] != "":
			return NotMeant, w.NotFor[s]
		case w.Group == Held && w.Name != "mmap":
			return NotCovered, WasRead
		case w.Name == "file_setattr":
			return NotHere, "this kernel has no file_setattr(2)"
		case w.Name == "overlay" && s == Tree:
			return NotCovered, WasRead
		}
		return Covered, ""
	})
	late := column("kill", func(w *Way, s Shape) (Verdict, string) {
		if w.Name == "O_TRUNC" {
			return Late, "changed: contents"
		}
		return Late, ""
	})
	return &Report{Release: "5.10.0", Columns: []*Column{{Mechanism: "lsm", Refused: "it was never asked"}, best, late}}
}

func TestWriteText(t *testing.T) {
	var b bytes.Buffer
	if err := fixed().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"lsm: not here: it was never asked\n",
		"WAY                               FMOD_RET            KILL\n",
		"opening it by another name, or by another call\n",
		"  openat                          covered             kills late\n",
		"  overlay                         NOT COVERED (tree)  kills late\n",
		"  O_TRUNC                         covered             kills late, too late\n",
		"  file_setattr                    not possible here   kills late\n",
		"overlay, NOT COVERED (tree): an overlay file system with its directory below; its contents were read\n",
		"\nfmod_ret: covered: open ",
		"\nkill: covered: open 0 of ",
		"\nfmod_ret is enforced: every one of the ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasSuffix(strings.TrimSuffix(line, "\n"), " ") {
			t.Errorf("%q ends with a space", line)
		}
	}
}

func TestWriteTextVerdicts(t *testing.T) {
	of := func(v Verdict) *Column { return column("m", func(*Way, Shape) (Verdict, string) { return v, "" }) }
	for want, r := range map[string]*Report{
		"This kernel lets no mechanism guard anything": {Columns: []*Column{{Mechanism: "lsm", Refused: "no"}}},
		"m is NOT enforced: 0 of":                      {Columns: []*Column{of(NotCovered)}},
		"m does not deny: what a process does before":  {Columns: []*Column{of(Late)}},
		"m is enforced: every one":                     {Columns: []*Column{{Mechanism: "lsm", Refused: "no"}, of(Covered)}},
	} {
		var b bytes.Buffer
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, want) {
			t.Errorf("%q, want %q", last, want)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	var b bytes.Buffer
	if err := fixed().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if want := 2*len(Ways())*len(Shapes) + 1; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	if want := `{"type":"guard_verify","mechanism":"fmod_ret","way":"openat","group":"open","rule":"file","place":"memory",` +
		`"verdict":"covered","why":null,"errno":null,"changed":[]}`; lines[0] != want {
		t.Errorf("%s\nwant\n%s", lines[0], want)
	}
	var sum struct {
		Type, Release, Best string
		Enforced            bool
		Mechanisms          []struct {
			Mechanism string
			Works     bool
			Why       *string
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Type != "guard_verify_summary" || sum.Release != "5.10.0" || sum.Best != "fmod_ret" || !sum.Enforced ||
		len(sum.Mechanisms) != 3 || sum.Mechanisms[0].Works || *sum.Mechanisms[0].Why != "it was never asked" || !sum.Mechanisms[2].Works {
		t.Errorf("%+v", sum)
	}
}
