package rule

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func files(t testing.TB, glob string) []string {
	t.Helper()
	found, err := filepath.Glob(glob)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", glob, found, err)
	}
	return found
}

func TestFiles(t *testing.T) {
	for _, file := range files(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			set, err := ParseFile("rules.yaml", read(t, file))
			if err != nil {
				t.Fatal(err)
			}
			text := set.YAML()
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", text)
			stable(t, set)
		})
	}
	for _, file := range files(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			set, err := ParseFile("rules.yaml", read(t, file))
			if err == nil {
				t.Fatalf("taken as\n%s", set.YAML())
			}
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "rules.yaml:") || !strings.Contains(line, "; ") {
					t.Errorf("no place, or nothing to do about it: %q", line)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// stable: what a set prints is read as the same set, places apart.
func stable(t *testing.T, set *Set) {
	t.Helper()
	text := set.YAML()
	again, err := ParseFile(set.File, []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff(placeless(set), placeless(again)); diff != "" {
		t.Errorf("%s\n%s", text, diff)
	}
}

func placeless(s *Set) []Rule {
	rules := slices.Clone(s.Rules)
	for i := range rules {
		r := &rules[i]
		r.Pos, r.Who.Pos = Pos{}, Pos{}
		r.What = slices.Clone(r.What)
		for j := range r.What {
			r.What[j].Pos = Pos{}
		}
		r.Except = slices.Clone(r.Except)
		for j := range r.Except {
			r.Except[j].Pos = Pos{}
		}
	}
	return rules
}

var lineTests = []struct {
	line string
	want string // as YAML, without what a plain deny has; or "! " and the problems
}{
	{"deny /etc/shadow", "- name: rule-1\n action: deny\n errno: EACCES\n files:\n - /etc/shadow\n access: [all]\n"},
	{"kill block_test.c", "- name: rule-1\n action: kill\n files:\n - block_test.c\n access: [all]\n"},
	{"deny --write /etc", "- name: rule-1\n action: deny\n errno: EACCES\n files:\n - /etc\n access: [write]\n"},
	{"deny --content --errno=EPERM a/b ../c ../../d ./e/ . .. a/*.c", "- name: rule-1\n action: deny\n errno: EPERM\n files:\n - /w/d/a/b\n - /w/c\n - /d\n - tree: /w/d/e\n - /w/d\n - /w\n - \"/w/d/a/*.c\"\n access: [content]\n"},
	{"log --read --exec --uid 0 --uid daemon --exe /bin/a --comm sh --except-exe ./b --except-exe /c --except-uid 7 --name nn x",
		"- name: nn\n action: log\n files:\n - x\n access: [read, exec]\n who:\n exe: [/bin/a]\n uid: [0]\n user: [daemon]\n comm: [sh]\n except:\n - exe: [/w/d/b, /c]\n - uid: [7]\n"},
	{"allow a , kill b deny+kill c", "- name: rule-1\n action: allow\n files:\n - a\n access: [all]\n - name: rule-2\n action: kill\n files:\n - b\n access: [all]\n - name: rule-3\n action: deny+kill\n errno: EACCES\n files:\n - c\n access: [all]\n"},
	{"kill ./kill name:log file:x tree:/t glob:/a/b\\* glob:*.x", "- name: rule-1\n action: kill\n files:\n - /w/d/kill\n - log\n - file: /w/d/x\n - tree: /t\n - file: \"/a/b*\"\n - \"*.x\"\n access: [all]\n"},

	{"", "! no rule; write for example: deny /etc/shadow"},
	{"/etc/shadow", "! \"/etc/shadow\": a rule begins with its action; known: log, kill, deny, deny+kill, allow"},
	{"dney /x", "! \"dney\": a rule begins with its action; did you mean deny? known: log, kill, deny, deny+kill, allow"},
	{"deny log", "! rule 1 (deny): it names no file; write a path, a glob or a name behind it; a file that is called deny is written ./deny\nrule 2 (log): it names no file; write a path, a glob or a name behind it; a file that is called log is written ./log"},
	{", deny x", "! a comma with no rule before it; a comma stands between two rules"},
	{"deny --wrote x", "! rule 1 (deny): \"--wrote\" is no flag of a rule; did you mean --write? flags of guard itself come before the first rule"},
	{"deny --for 10m x", "! rule 1 (deny): \"--for\" is no flag of a rule; flags of guard itself come before the first rule"},
	{"deny -x y", "! rule 1 (deny): \"-x\" is no flag of a rule; flags of guard itself come before the first rule; a file of that name is written ./-x"},
	{"kill --errno EPERM x", "! rule 1 (kill): errno with the action kill; only deny and deny+kill make an operation fail; leave it out"},
	{"deny --errno EIO x", "! rule 1 (deny): --errno: \"EIO\" is no error to deny with; one of EACCES, EPERM, ENOENT"},
	{"deny --read=1 x", "! rule 1 (deny): --read takes no value; write --read"},
	{"deny x --uid", "! rule 1 (deny): --uid: its value is missing; write it as the next word"},
	{"deny --name a x deny --name a y", "! two rules are called \"a\"; give each a name of its own"},
	{"deny --exe cat --uid 4294967295 a/../b", "! rule 1 (deny): --exe: \"cat\": an executable is told by its path; write it from /; `command -v` finds it\nrule 1 (deny): --uid: \"4294967295\" is no user id; a user id is from 0 to 4294967294\nrule 1 (deny): \"/w/d/a/../b\": .. behind a name leads elsewhere if that is a link; write the path without .."},
}

func TestWords(t *testing.T) {
	for _, tt := range lineTests {
		set, err := ParseWords(strings.Fields(tt.line), "/w/d")
		var got string
		if err != nil {
			got = "! " + err.Error()
		} else {
			var b strings.Builder
			for line := range strings.Lines(strings.TrimPrefix(set.YAML(), "rules:\n")) {
				line, dash := strings.CutPrefix(strings.TrimLeft(line, " "), "- ")
				if b.Len() > 0 {
					b.WriteByte(' ')
				}
				if dash {
					b.WriteString("- ")
				}
				b.WriteString(line)
			}
			got = b.String()
			stable(t, set)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.line, diff)
		}
	}
}

// Every fault of a set is one that errors.As finds, with its place.
func TestProblems(t *testing.T) {
	_, err := ParseFile("f", []byte("rules:\n  - action: x\n    files: y\n"))
	var p *Problem
	if !errors.As(err, &p) || p.Pos != (Pos{2, 13}) || p.File != "f" {
		t.Errorf("%v: %+v", err, p)
	}
	many := "rules:\n" + strings.Repeat("  - 7\n", 200)
	_, err = ParseFile("f", []byte(many))
	if lines := strings.Count(err.Error(), "\n"); lines != maxProblems || !strings.HasSuffix(err.Error(), "and 150 more") {
		t.Errorf("%d lines: %v", lines, err)
	}
}

func TestSizes(t *testing.T) {
	big := "rules:\n" + strings.Repeat("  - {action: log, files: [/some/path]}\n", maxRules+1)
	if _, err := ParseFile("f", []byte(big)); err == nil || !strings.Contains(err.Error(), "f:16386:5: more than 16384 rules") {
		t.Error(err)
	}
	if _, err := ParseFile("f", make([]byte, maxFile+1)); err == nil || !strings.HasPrefix(err.Error(), "f:1:1: a rule file of 4194305 bytes") {
		t.Error(err)
	}
	// However large a file is and whatever is in it, it is read once.
	for _, hostile := range []string{"[", "{a: ", "- ", "? ", "a", "a,", "#\n", "a: b\n", "'a',", "\n", "  - &a x\n", "  - x # c\n", "*a ", "!!str "} {
		for _, before := range []string{"", "rules: [", "rules:\n"} {
			if _, err := ParseFile("f", []byte(before+strings.Repeat(hostile, (maxFile/4)/len(hostile)))); err == nil || !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("%q and many of %q: %v", before, hostile, err)
			}
		}
	}
	// Names that are made up do not meet those that are given.
	set, err := ParseWords(strings.Fields("log a log --name rule-1 b"), "/")
	if err != nil || set.Rules[0].Name != "rule-1-2" {
		t.Error(set, err)
	}
}

func TestAccess(t *testing.T) {
	for a := Access(0); a <= AllAccess; a++ {
		var back Access
		for _, w := range a.Words() {
			bits, ok := accessOf(w)
			if !ok {
				t.Fatal(w)
			}
			back |= bits
		}
		if back != a {
			t.Fatalf("%v is said %q, which is %v", a, a.Words(), back)
		}
	}
	if got := (Write | Exec).String(); got != "write,exec" {
		t.Error(got)
	}
	if len(accessNames) != len(AllAccess.Names()) {
		t.Error(AllAccess.Names())
	}
	if takes, ok := Flag("write"); takes || !ok {
		t.Error("--write")
	}
	if takes, ok := Flag("exe"); !takes || !ok {
		t.Error("--exe")
	}
	if _, ok := Flag("for"); ok {
		t.Error("--for")
	}
}
