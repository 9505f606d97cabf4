package langtest

import (
	"strings"
	"testing"

	"sonde/internal/compile/check"
)

// row is a script and what is expected of it.
type row struct {
	script string // a whole script, or the body of a begin probe
	want   string // what it prints, without the last newline
	maps   string // its maps at the end, without the last newline
	json   bool   // -f json: maps follow what it prints
	code   int    // of exit()
	// refused is a part of what the compiler says; the script does not run.
	refused string
	// says are parts of what is told at run time; without any, nothing may be told.
	says []string

	params   []string
	named    map[string]string
	settings map[string]string
	warnings bool // -k
	unsafe   bool
	silent   bool // --no-warnings
	cpus     int

	// differs is why bpftrace gives something else; peer is what, "" to leave it out: it may change, or be an error.
	differs, peer string
}

type option func(*row)

// is makes a row.
func is(script, want string, options ...option) row {
	r := row{script: script, want: want}
	for _, o := range options {
		o(&r)
	}
	return r
}

// wrong makes the row of a script that is refused.
func wrong(script, refused string, options ...option) row {
	r := is(script, "", options...)
	r.refused = refused
	return r
}

func maps(text string) option        { return func(r *row) { r.maps = text } }
func asJSON(r *row)                  { r.json = true }
func code(n int) option              { return func(r *row) { r.code = n } }
func says(parts ...string) option    { return func(r *row) { r.says = parts } }
func params(values ...string) option { return func(r *row) { r.params = values } }
func named(name, value string) option {
	return func(r *row) { r.named = map[string]string{name: value} }
}
func setting(name, value string) option {
	return func(r *row) { r.settings = map[string]string{name: value} }
}
func withWarnings(r *row)                { r.warnings = true }
func unsafely(r *row)                    { r.unsafe = true }
func silently(r *row)                    { r.silent = true }
func onCPUs(n int) option                { return func(r *row) { r.cpus = n } }
func differs(why string) option          { return func(r *row) { r.differs = why } }
func bpftrace(prints, why string) option { return func(r *row) { r.differs, r.peer = why, prints } }

// text is the whole script of a row.
func (r *row) text() string {
	if strings.Contains(r.script, "begin") || strings.Contains(r.script, "BEGIN") || strings.HasPrefix(r.script, "end ") {
		return r.script
	}
	return "begin { " + r.script + " }"
}

// run is how to run a row.
func (r *row) run() run {
	how := run{json: r.json, quiet: r.silent, cpus: r.cpus}
	how.Options.Options = check.Options{Positional: r.params, Named: r.named, Settings: r.settings, Unsafe: r.unsafe}
	how.Warnings = r.warnings
	return how
}

// chapters are all rows, by what they are about.
var chapters = []struct {
	name string
	rows []row
}{
	{"numbers", numberRows},
	{"types", typeRows},
	{"strings", stringRows},
	{"printf", printfRows},
	{"maps", mapRows},
	{"aggregates", aggregateRows},
	{"per CPU", cpuRows},
	{"control", controlRows},
	{"scripts", scriptRows},
	{"preamble", preambleRows},
	{"kernel", kernelRows},
	{"errors", errorRows},
	{"json", jsonRows},
	{"large", largeRows},
}

// eachRow runs f for every row.
func eachRow(t *testing.T, f func(t *testing.T, r *row)) {
	for _, c := range chapters {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.rows {
				r := &c.rows[i]
				t.Run(r.script, func(t *testing.T) { f(t, r) })
			}
		})
	}
}
