package bypass

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	reader  = &Way{Name: "a reader", Access: "read"}
	changer = &Way{Name: "a changer", Access: "truncate"}
)

func TestJudge(t *testing.T) {
	free := Result{Way: reader, Outcome: Reached, Effect: WasRead}
	for _, tc := range []struct {
		name             string
		control, guarded Result
		want             Verdict
		why              string
	}{
		{"read", free, Result{Way: reader, Outcome: Reached, Effect: WasRead}, NotCovered, WasRead},
		{"read now and then", free, Result{Way: reader, Outcome: Reached, Effect: WasRead, Tries: 40000, Hits: 13}, NotCovered,
			WasRead + ", in 13 of 40000 tries"},
		{"refused", free, Result{Way: reader, Outcome: Refused, Errno: unix.EACCES}, Covered, ""},
		{"refused behind a new link", free, Result{Way: reader, Outcome: Refused, Errno: unix.EACCES, Changed: []string{"links"}}, Covered, ""},
		{"refused and done", free, Result{Way: changer, Outcome: Refused, Errno: unix.EACCES, Changed: []string{"contents"}}, NotCovered,
			"it was refused (EACCES), and yet it changed: contents"},
		{"changed", free, Result{Way: changer, Outcome: Reached, Effect: WasChanged, Changed: []string{"contents"}}, NotCovered, "changed: contents"},
		{"killed", free, Result{Way: changer, Outcome: Killed}, Late, ""},
		{"killed too late", free, Result{Way: changer, Outcome: Killed, Changed: []string{"contents"}}, Late, "changed: contents"},
		{"gone wrong", free, Result{Way: reader, Outcome: Impossible, Why: "the process ended with status 2"}, Unproven, "the process ended with status 2"},
		{"no such call", Result{Outcome: Impossible, Why: "no such call"}, Result{}, NotHere, "no such call"},
		{"refused anyway", Result{Outcome: Refused, Errno: unix.EPERM}, Result{}, NotHere, "it is refused without a rule too: EPERM"},
		{"killed anyway", Result{Outcome: Killed}, Result{}, NotHere, "the process was killed without a rule too"},
		{"never compared", Result{}, Result{Way: reader, Outcome: Refused, Errno: unix.EACCES}, Unproven, "it was not tried without a rule"},
		{"another name", Result{Outcome: Outside, Why: otherName}, Result{}, NotMeant, otherName},
	} {
		if v, why := Judge(tc.control, tc.guarded); v != tc.want || why != tc.why {
			t.Errorf("%s: %v, %q; want %v, %q", tc.name, v, why, tc.want, tc.why)
		}
	}
}

// What a child did is judged by the decoy, and its word counts only where the decoy shows nothing.
func TestTrialJudge(t *testing.T) {
	const exited, killed, aborted = syscall.WaitStatus(ranStatus << 8), syscall.WaitStatus(unix.SIGKILL), syscall.WaitStatus(unix.SIGABRT)
	secret := strings.Repeat("s", secretLen)
	hex := strings.Repeat("73", secretLen)
	for _, tc := range []struct {
		name    string
		way     *Way
		report  *report
		status  syscall.WaitStatus
		changed []string
		want    string
	}{
		{"read", reader, &report{Got: hex}, 0, nil, "reached: its contents were read"},
		{"read, and an error", reader, &report{Got: hex, Text: "late", Errno: 5}, 0, nil, "reached: its contents were read"},
		{"read, then killed", reader, &report{Got: hex}, killed, nil, "reached: its contents were read"},
		{"other contents", reader, &report{Got: "00"}, 0, nil, "reached: the call succeeded"},
		{"no hexadecimal", reader, &report{Got: "zz", Text: "no", Errno: 13}, 0, nil, "refused (EACCES)"},
		{"ran", reader, nil, exited, nil, "reached: it was run"},
		{"killed without a word", reader, nil, killed, nil, "killed"},
		{"killed after a change", changer, nil, killed, []string{"contents"}, "killed; changed: [contents]"},
		{"died", reader, nil, aborted, nil, "not possible: the process was ended by SIGABRT"},
		{"refused", changer, &report{Text: "no", Errno: 13}, 0, nil, "refused (EACCES)"},
		{"refused, but changed", changer, &report{Text: "no", Errno: 13}, 0, []string{"mode"}, "reached: it was changed; changed: [mode]"},
		{"only said to be done", changer, &report{}, 0, nil, "reached: the call succeeded"},
		{"unknown error", reader, &report{Text: "no", Errno: 9999}, 0, nil, "refused (9999)"},
		{"lacking", reader, &report{Text: "no such call", NotHere: true, Errno: 38}, 0, nil, "not possible: no such call"},
	} {
		trial := trial{scene: &scene{secret: []byte(secret)}, way: tc.way, result: &Result{Way: tc.way, Changed: tc.changed}}
		trial.judge(tc.report, tc.status)
		if got := trial.result.String(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestWays(t *testing.T) {
	names := make(map[string]bool)
	groups := make(map[Group]int)
	for _, w := range Ways() {
		if w.Name == "" || w.Does == "" || headings[w.Group] == "" || w.try == nil || names[w.Name] || Find(w.Name) != w {
			t.Errorf("%+v: a way has a name of its own, says what it does, and does it", w)
		}
		if w.Access == "" && w.Name != "mount over it" {
			t.Errorf("%s: what is done to the file?", w.Name)
		}
		if len(w.NotFor) == len(Shapes) {
			t.Errorf("%s: no rule means it", w.Name)
		}
		names[w.Name] = true
		groups[w.Group]++
	}
	const leastOpens = 17 // the ways of the table that was measured
	if groups[Opens] < leastOpens || Find("no such way") != nil {
		t.Errorf("%v", groups)
	}
}

func column(mechanism string, verdict func(w *Way, shape Shape) (Verdict, string)) *Column {
	c := &Column{Mechanism: mechanism}
	for _, shape := range Shapes {
		for _, w := range Ways() {
			v, why := verdict(w, shape)
			c.Findings = append(c.Findings, Finding{Try: Try{w, shape, "memory"}, Verdict: v, Why: why})
		}
	}
	return c
}

func TestCell(t *testing.T) {
	for _, tc := range []struct {
		by   map[Shape]Verdict
		want string
	}{
		{map[Shape]Verdict{File: Covered, Tree: Covered, Base: NotMeant}, "covered"},
		{map[Shape]Verdict{File: Covered, Tree: NotCovered, Base: NotCovered}, "NOT COVERED (tree, name)"},
		{map[Shape]Verdict{File: NotCovered, Tree: NotCovered, Base: NotMeant}, "NOT COVERED"},
		{map[Shape]Verdict{File: NotHere, Tree: NotMeant}, "not possible here"},
		{map[Shape]Verdict{File: Late, Tree: Late}, "kills late"},
		{map[Shape]Verdict{File: Late, Tree: Unproven}, "not proven (tree)"},
		{nil, "-"},
	} {
		var c Column
		for _, shape := range Shapes {
			if v, ok := tc.by[shape]; ok {
				c.Findings = append(c.Findings, Finding{Try: Try{Way: reader, Shape: shape}, Verdict: v})
			}
		}
		if got := c.Cell(reader).String(); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.by, got, tc.want)
		}
	}
	c := Column{Findings: []Finding{{Try: Try{Way: reader}, Verdict: Late}, {Try: Try{Way: reader, Shape: Tree}, Verdict: Late, Why: "changed: contents"}}}
	if got := c.Cell(reader).String(); got != "kills late, too late" {
		t.Error(got)
	}
}

// One way of the first group that is not covered, or only late, or not proven, is one too many.
func TestEnforces(t *testing.T) {
	all := func(v Verdict) *Column { return column("m", func(*Way, Shape) (Verdict, string) { return v, "" }) }
	if !all(Covered).Enforces() {
		t.Error("all covered, and not enforced")
	}
	for _, v := range []Verdict{NotMeant, NotHere, Late, Unproven, NotCovered} {
		if all(v).Enforces() {
			t.Errorf("all %v, and enforced", v)
		}
	}
	for _, w := range opens {
		for _, v := range []Verdict{Late, Unproven, NotCovered} {
			for _, shape := range Shapes {
				c := column("m", func(other *Way, s Shape) (Verdict, string) {
					if other == w && s == shape {
						return v, "because"
					}
					return Covered, ""
				})
				if c.Enforces() {
					t.Errorf("%s is %v for %v, and enforced", w.Name, v, shape)
				}
			}
		}
	}
	held := column("m", func(w *Way, _ Shape) (Verdict, string) {
		if w.Group == Opens {
			return Covered, ""
		}
		return NotCovered, ""
	})
	if !held.Enforces() {
		t.Error("what is not about opening counts")
	}
}
