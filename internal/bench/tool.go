package bench

import (
	"regexp"
	"strconv"

	"sonde/internal/bench/traced"
)

// Tool is one of those that are compared: a column of the table.
type Tool struct {
	Key     string // its name for -tools and in the raw results
	Title   string // the head of its column
	Package string // the Debian package it comes from; "" for sonde itself
	Argv    []string
}

// Keys of the two columns that targets speak of.
const (
	judged    = "sonde"
	reference = "libbpf"
)

// Tools returns the table of what is compared. sonde is the path of the binary.
func Tools(sonde string) []Tool {
	return []Tool{
		{Key: judged, Title: "sonde exec", Argv: []string{sonde, "exec"}},
		{Key: reference, Title: "execsnoop (libbpf-tools)", Package: "libbpf-tools", Argv: []string{"/usr/sbin/execsnoop-libbpf"}},
		// The script is given to bpftrace as its #! line would, without env's detour, so that the process is the tool from the start.
		{Key: "bpftrace", Title: "execsnoop.bt (bpftrace)", Package: "bpftrace", Argv: []string{"/usr/bin/bpftrace", "/usr/sbin/execsnoop.bt"}},
	}
}

// command is how to start the tool. Peers live in a root of their own.
func (t Tool) command(root string) traced.Command {
	if t.Package == "" {
		return traced.Command{Argv: t.Argv}
	}
	return traced.Command{Root: root, Argv: t.Argv}
}

// losses finds what the tools say of lost records: "Lost 12 events on CPU #1!" (libbpf-tools), "Lost 12 events"
// (bpftrace), "12 lost" or "lost 12" (sonde's accounting line).
var losses = regexp.MustCompile(`(?i)\blost:? (\d+)|\b(\d+)(?: events| records)? lost\b`)

// lostIn sums up the losses that a tool's remarks speak of.
func lostIn(remarks string) int {
	sum := 0
	for _, match := range losses.FindAllStringSubmatch(remarks, -1) {
		n, err := strconv.Atoi(match[1] + match[2])
		if err != nil {
			continue // beyond what an int holds: no count
		}
		sum += n
	}
	return sum
}
