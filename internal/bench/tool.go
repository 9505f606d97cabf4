package bench

import (
	"slices"

	"sonde/internal/bench/report"
	"sonde/internal/bench/traced"
)

// Tool is one of those that are compared: a column of the table.
type Tool struct {
	Key     string // its name for -tools and in the raw results
	Title   string // the head of its column
	Package string // the Debian package it comes from; "" for sonde itself
	Argv    []string
	Where   Where
}

// Where says on which kernels a tool is measured.
type Where uint8

const (
	Here  Where = 1 << iota // on the machine's own kernel
	Guest                   // in a guest
)

// Keys of the columns that ratios speak of.
const (
	judged    = "sonde"
	reference = "libbpf"
	kprobes   = "bpfcc"
)

// Tools returns the table of what is compared. sonde is the path of the binary.
func Tools(sonde string) []Tool {
	return []Tool{
		{Key: judged, Title: "sonde exec", Argv: []string{sonde, "exec"}, Where: Here | Guest},
		{Key: reference, Title: "execsnoop (libbpf-tools)", Package: "libbpf-tools",
			Argv: []string{"/usr/sbin/execsnoop-libbpf"}, Where: Here | Guest},
		// bpftrace is given the script as its #! line would, without env's detour, so that the process is the tool from the start.
		{Key: "bpftrace", Title: "execsnoop.bt (bpftrace)", Package: "bpftrace",
			Argv: []string{"/usr/bin/bpftrace", "/usr/sbin/execsnoop.bt"}, Where: Here},
		// It needs kprobes, which a machine's own kernel may not have, and the headers of the very kernel it runs on.
		{Key: kprobes, Title: "execsnoop (bpfcc)", Package: "bpfcc-tools",
			Argv: []string{"/usr/bin/python3", "/usr/sbin/execsnoop-bpfcc"}, Where: Guest},
	}
}

// Pick returns the tools that are measured there and have one of these keys.
func Pick(tools []Tool, there Where, keys []string) []Tool {
	var picked []Tool
	for _, tool := range tools {
		if tool.Where&there != 0 && slices.Contains(keys, tool.Key) {
			picked = append(picked, tool)
		}
	}
	return picked
}

// Columns are the heads of a table of these tools; versions go by Debian package.
func Columns(tools []Tool, versions map[string]string) []report.Column {
	var columns []report.Column
	for _, tool := range tools {
		columns = append(columns, report.Column{Key: tool.Key, Title: tool.Title, Version: versions[tool.Package]})
	}
	return columns
}

// command is how to start the tool. Peers live in a root of their own.
func (t Tool) command(root string) traced.Command {
	if t.Package == "" {
		return traced.Command{Argv: t.Argv}
	}
	return traced.Command{Root: root, Argv: t.Argv}
}
