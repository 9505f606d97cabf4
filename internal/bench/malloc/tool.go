package malloc

import (
	"slices"

	"sonde/internal/bench/peers"
	"sonde/internal/bench/report"
)

// Tool is one of those that are compared: a column of the table.
type Tool struct {
	Key     string // its name for -tools and in the raw results
	Title   string // the head of its column
	Package string // the Debian package it comes from; "" for sonde itself
	// Argv is the command; PID in it is the process to watch.
	Argv []string
	// Stack is how the line looks that begins a stack in what it prints.
	Stack string
	// Says is what it says on standard error when it is attached; empty if it does not.
	Says string
}

// Keys of the columns that ratios speak of.
const (
	judged   = "sonde"
	bcc      = "mallocstacks"
	untraced = "untraced" // no column, only in the raw results
)

// pid stands for the process in a Tool's Argv; the script of bcc is put there by the benchmark.
const (
	pid       = "PID"
	bccScript = "/tmp/sonde-bench-mallocstacks.py"
	oneLiner  = "uprobe:libc:malloc { @[ustack] = sum(arg0); }"
)

// Suite is the release of Debian that the peers are of.
var Suite = peers.Newest

// Tools returns the table of what is compared. sonde is the path of the binary.
func Tools(sonde string) []Tool {
	return []Tool{
		{Key: judged, Title: "sonde malloc", Argv: []string{sonde, "malloc", "-p", pid}, Stack: " bytes in ", Says: "malloc ("},
		{Key: bcc, Title: "mallocstacks (bcc)", Package: "bpfcc-tools", Argv: []string{"/usr/bin/python3", bccScript, pid},
			Stack: " bytes allocated at:", Says: "attached"},
		{Key: "bpftrace", Title: "one line of bpftrace", Package: "bpftrace", Argv: []string{"/usr/bin/bpftrace", "-p", pid, "-e", oneLiner}, Stack: "@["},
	}
}

// Pick returns the tools with these keys.
func Pick(tools []Tool, keys []string) []Tool {
	return slices.DeleteFunc(slices.Clone(tools), func(t Tool) bool { return !slices.Contains(keys, t.Key) })
}

// Columns are the heads of a table of these tools; versions go by Debian package.
func Columns(tools []Tool, versions map[string]string) []report.Column {
	var columns []report.Column
	for _, tool := range tools {
		columns = append(columns, report.Column{Key: tool.Key, Title: tool.Title, Version: versions[tool.Package]})
	}
	return columns
}
