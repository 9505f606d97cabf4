package proc

import (
	"bytes"
	"slices"

	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/report"
)

// Tool is one of those that are compared: a column of the table.
type Tool struct {
	Key     string // its name for -tools and in the raw results
	Title   string // the head of its column
	Package string // the Debian package it comes from; "" for sonde itself
	// Argv is the command before the cgroup to watch.
	Argv []string
	// End is how the line of a process that ended with status ends.
	End []byte
}

// Keys of the columns that ratios speak of.
const (
	judged = "sonde"
	libbpf = "exitsnoop"
)

// status is how the processes of the storm end: as few others do.
const status = "117"

// Tools returns the table of what is compared. sonde is the path of the binary.
func Tools(sonde string) []Tool {
	return []Tool{
		{Key: judged, Title: "sonde proc", Argv: []string{sonde, "proc", "--cgroup"}, End: []byte(" [" + status + "]")},
		{Key: libbpf, Title: "exitsnoop (libbpf-tools)", Package: "libbpf-tools", Argv: []string{"/usr/sbin/exitsnoop-libbpf", "-c"}, End: []byte(" code " + status)},
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

// command is how to start a tool that watches the benchmark's cgroup.
func (b *Bench) command(t Tool) process.Command {
	c := process.Command{Argv: append(slices.Clone(t.Argv), b.group)}
	if t.Package != "" {
		c.Root = b.Root.Dir
	}
	return c
}

// ended says whether a line is the record of one of the storm's processes.
func (t Tool) ended(line []byte) bool { return bytes.HasSuffix(bytes.TrimRight(line, " \r"), t.End) }

// Suite is the release of Debian that the peers are of.
var Suite = peers.Newest
