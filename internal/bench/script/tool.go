package script

import (
	"path/filepath"
	"slices"
	"strconv"

	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/report"
)

// Tool is one of those that are compared: a column of the table.
type Tool struct {
	Key   string // its name for -tools and in the raw results
	Title string // the head of its column
	// Suite is the release of Debian in whose root it lives; nil for what is of this machine.
	Suite *peers.Suite
	// Argv is the command before the script.
	Argv []string
	// KeysVariable is the environment variable that says how many keys a map may have.
	KeysVariable string
	// Reference says that it is the loader of programs in C.
	Reference bool
}

// Keys of the columns that ratios speak of.
const (
	judged    = "sonde"
	newest    = "bpftrace"
	inC       = "clang"
	untraced  = "untraced" // no column, only in the raw results
	sondeName = "sonde run"
)

// Tools returns the table of what is compared. sonde is the path of the binary.
func Tools(sonde string) []Tool {
	return []Tool{
		{Key: judged, Title: sondeName, Argv: []string{sonde, "run"}, KeysVariable: "BPFTRACE_MAX_MAP_KEYS"},
		{Key: newest, Title: "bpftrace (sid)", Suite: &peers.Newest, Argv: []string{"/usr/bin/bpftrace"}, KeysVariable: "BPFTRACE_MAX_MAP_KEYS"},
		{Key: "bpftrace-stable", Title: "bpftrace (bookworm)", Suite: &peers.Stable, Argv: []string{"/usr/bin/bpftrace"}, KeysVariable: "BPFTRACE_MAP_KEYS_MAX"},
		{Key: inC, Title: "C, clang -O2", Reference: true},
	}
}

// Pick returns the tools with these keys.
func Pick(tools []Tool, keys []string) []Tool {
	return slices.DeleteFunc(slices.Clone(tools), func(t Tool) bool { return !slices.Contains(keys, t.Key) })
}

// Suites returns the releases of Debian that the tools live in.
func Suites(tools []Tool) []peers.Suite {
	var suites []peers.Suite
	for _, t := range tools {
		if t.Suite != nil {
			suites = append(suites, *t.Suite)
		}
	}
	return suites
}

// Columns are the heads of a table of these tools. roots are by the name of their suite.
func Columns(tools []Tool, roots map[string]peers.Root) ([]report.Column, error) {
	var columns []report.Column
	for _, t := range tools {
		column := report.Column{Key: t.Key, Title: t.Title}
		if t.Suite != nil {
			versions, err := roots[t.Suite.Name].Versions()
			if err != nil {
				return nil, err
			}
			column.Version = versions["bpftrace"]
		}
		columns = append(columns, column)
	}
	return columns, nil
}

// can says whether a tool can run a script.
func (t Tool) can(s script) bool {
	if t.Reference {
		return s.object != ""
	}
	return s.text != ""
}

// command is how to start a tool with a script that watches a process.
func (b *Bench) command(t Tool, s script, pid int) process.Command {
	if t.Reference {
		return b.reference.Command(s.object, pid)
	}
	return process.Command{Root: b.root(t), Argv: slices.Concat(t.Argv, []string{"-e", s.text, strconv.Itoa(pid)})}
}

// root is the root directory a tool lives in, "" for this machine's own.
func (b *Bench) root(t Tool) string {
	if t.Suite == nil {
		return ""
	}
	return b.Roots[t.Suite.Name].Dir
}

// temporary is the path of a file that a tool finds under the second path.
func (b *Bench) temporary(t Tool, name string) (here, there string) {
	if t.Suite == nil {
		path := filepath.Join(b.dir, name)
		return path, path
	}
	there = filepath.Join("/tmp", filepath.Base(b.dir)+"-"+name)
	return filepath.Join(b.root(t), there), there
}
