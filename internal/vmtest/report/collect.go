package report

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Outcome is how a test ended.
type Outcome uint8

const (
	Passed Outcome = iota
	Failed
	Skipped
)

func (o Outcome) String() string { return [...]string{"passed", "failed", "skipped"}[o] }

// Result is one test, or one thing that failed outside any test (then Test is empty), at one place.
type Result struct {
	Place   string // "host", or a guest kernel's name
	Package string
	Test    string
	Outcome Outcome
	Reason  string // why it was skipped or why it failed, where that is known; one line
}

// Event is one line of `go test -json` (see go doc test2json and go help buildjson).
type Event struct {
	Action      string
	Package     string
	Test        string
	Elapsed     float64
	Output      string
	ImportPath  string
	FailedBuild string
}

// Collector gathers the events of one place. It may be used by several goroutines.
type Collector struct {
	place string

	mu       sync.Mutex
	order    []key
	tests    map[key]*test
	packages map[string]*pkg
	others   []Result
}

type key struct{ pkg, test string }

type test struct {
	ended   bool
	parent  bool
	outcome Outcome
	seconds float64
	output  []string
}

type pkg struct {
	ended, failed bool
	reason        string
	tail          []string // last output outside any test
}

// NewCollector returns a Collector for a place.
func NewCollector(place string) *Collector {
	return &Collector{place: place, tests: map[key]*test{}, packages: map[string]*pkg{}}
}

// maxOutput bounds the lines kept of one test, so that an endless talker does not fill the memory.
const maxOutput = 2000

// Read collects events until r ends, handing each to also (which may be nil). Lines that are not JSON are events of
// action "output" without a package: the go command's own complaints.
func (c *Collector) Read(r io.Reader, also func(Event)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			var e Event
			if json.Unmarshal([]byte(line), &e) != nil {
				e = Event{Action: "output", Output: line}
			}
			c.Add(e)
			if also != nil {
				also(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Add collects one event.
func (c *Collector) Add(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Package == "" {
		return
	}
	if e.Test == "" {
		c.addPackage(e)
		return
	}
	t := c.test(key{e.Package, e.Test})
	switch e.Action {
	case "output":
		if len(t.output) < maxOutput {
			t.output = append(t.output, e.Output)
		}
	case "pass", "fail", "skip":
		t.ended, t.seconds = true, e.Elapsed
		t.outcome = map[string]Outcome{"pass": Passed, "fail": Failed, "skip": Skipped}[e.Action]
		if t.outcome == Passed {
			t.output = nil
		}
	}
}

func (c *Collector) addPackage(e Event) {
	p := c.packages[e.Package]
	if p == nil {
		p = &pkg{}
		c.packages[e.Package] = p
	}
	switch e.Action {
	case "output":
		if s := strings.TrimSpace(e.Output); s != "" {
			p.tail = append(p.tail, s)
			p.tail = p.tail[max(0, len(p.tail)-20):]
		}
	case "pass", "skip":
		p.ended = true
	case "fail":
		p.ended, p.failed = true, true
		if e.FailedBuild != "" {
			p.reason = "does not build"
		}
	}
}

func (c *Collector) test(k key) *test {
	t := c.tests[k]
	if t == nil {
		t = &test{}
		c.tests[k] = t
		c.order = append(c.order, k)
		// A subtest's own name may have slashes too, so not every prefix is a test.
		for name := parent(k.test); name != ""; name = parent(name) {
			if above := c.tests[key{k.pkg, name}]; above != nil {
				above.parent = true
			}
		}
	}
	return t
}

// parent is the name up to its last slash, empty for a top-level test.
func parent(name string) string { return name[:max(0, strings.LastIndexByte(name, '/'))] }

// Fail records a failure outside any test: a package that does not build, a guest that did not report.
func (c *Collector) Fail(pkg, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = append(c.others, Result{Place: c.place, Package: pkg, Outcome: Failed, Reason: reason})
}

// Expect records a failure for each of a package's tests that did not end, or never began.
func (c *Collector) Expect(pkg string, tests []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range tests {
		if t := c.tests[key{pkg, name}]; t == nil {
			c.others = append(c.others, Result{c.place, pkg, name, Failed, "did not run"})
		}
	}
}

// Output returns what a test printed, if it did not pass.
func (c *Collector) Output(pkg, test string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tests[key{pkg, test}]; t != nil {
		return strings.Join(t.output, "")
	}
	return ""
}

// Results returns what is known now, in the order in which tests began. A test with subtests is not counted besides
// them, unless it failed and none of them did. A test that never ended has failed.
func (c *Collector) Results() []Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	failedBelow := map[key]bool{}
	failedIn := map[string]bool{}
	for _, k := range c.order {
		if t := c.tests[k]; t.ended && t.outcome != Failed {
			continue
		}
		failedIn[k.pkg] = true
		for name := parent(k.test); name != ""; name = parent(name) {
			failedBelow[key{k.pkg, name}] = true
		}
	}
	var out []Result
	for _, k := range c.order {
		t := c.tests[k]
		r := Result{Place: c.place, Package: k.pkg, Test: k.test, Outcome: t.outcome}
		switch {
		case !t.ended:
			r.Outcome, r.Reason = Failed, "did not end"
		case t.outcome == Skipped:
			r.Reason = skipReason(t.output)
		}
		if t.parent && (r.Outcome != Failed || failedBelow[k]) {
			continue
		}
		out = append(out, r)
	}
	for _, name := range slices.Sorted(maps.Keys(c.packages)) {
		if p := c.packages[name]; p.failed && !failedIn[name] {
			out = append(out, Result{c.place, name, "", Failed, p.why()})
		}
	}
	return append(out, c.others...)
}

func (p *pkg) why() string {
	if p.reason != "" {
		return p.reason
	}
	for _, line := range p.tail {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
	}
	return "failed outside any test"
}

var logged = regexp.MustCompile(`^\s*[^\s:]+\.go:\d+: (.*)`)

// skipReason finds what a test gave as its reason: the last thing it logged.
func skipReason(output []string) string {
	reason := ""
	for line := range strings.Lines(strings.Join(output, "")) {
		line = strings.TrimRight(line, "\r\n")
		switch m := logged.FindStringSubmatch(line); {
		case m != nil:
			reason = m[1]
		case strings.HasPrefix(line, "---") || strings.HasPrefix(line, "==="):
		case reason != "" && strings.HasPrefix(line, "        "):
			reason += " " + strings.TrimSpace(line)
		}
	}
	if reason == "" {
		return "no reason given"
	}
	return reason
}

// Name is how a result is called in a list: package and test.
func (r Result) Name() string {
	switch {
	case r.Package == "":
		return "(no package)"
	case r.Test == "":
		return r.Package
	}
	return r.Package + " " + r.Test
}
