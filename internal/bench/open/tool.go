package open

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/report"
)

// Tool is one of those that are compared: a column of the table.
type Tool struct {
	Key     string // its name for -tools and in the raw results
	Title   string // the head of its column
	Package string // the Debian package it comes from; "" for sonde itself
	// Argv is the command before the process to watch.
	Argv []string
	// Script is, for a tool that takes the path of a script before the process, that script in its root.
	Script string
	// Small are arguments, before the process, for the smallest buffer that the tool takes; nil if it has no such option.
	Small []string
}

// Keys of the columns that ratios speak of.
const (
	judged   = "sonde"
	libbpf   = "opensnoop"
	inC      = "clang"    // no column, only in the raw results
	untraced = "untraced" // likewise
)

// oneLiner is what people type who have no tool at hand.
const oneLiner = `tracepoint:syscalls:sys_enter_openat /pid == $1/ { printf("%s %s\n", comm, str(args.filename)); }`

// Tools returns the table of what is compared. sonde is the path of the binary.
func Tools(sonde string) []Tool {
	return []Tool{
		{Key: judged, Title: "sonde open", Argv: []string{sonde, "open", "-p"}, Small: []string{sonde, "open", "-b", "1", "-p"}},
		{Key: libbpf, Title: "opensnoop (libbpf-tools)", Package: "libbpf-tools", Argv: []string{"/usr/sbin/opensnoop-libbpf", "-p"}},
		{Key: "opensnoop.bt", Title: "opensnoop.bt (bpftrace)", Package: "bpftrace", Argv: []string{"/usr/bin/bpftrace"}, Script: "/usr/sbin/opensnoop.bt"},
		{Key: "bpftrace", Title: "one line of bpftrace", Package: "bpftrace", Argv: []string{"/usr/bin/bpftrace", "-e", oneLiner}},
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

// command is how to start a tool that watches the caller.
func (b *Bench) command(t Tool) process.Command {
	return b.withArguments(t, t.Argv)
}

func (b *Bench) withArguments(t Tool, argv []string) process.Command {
	c := process.Command{Argv: slices.Clone(argv)}
	if t.Package != "" {
		c.Root = b.Root.Dir
	}
	if t.Script != "" {
		c.Argv = append(c.Argv, b.copyOf(t))
	}
	c.Argv = append(c.Argv, strconv.Itoa(b.caller.PID))
	return c
}

// copyOf is where, in its root, a script lies that shows one process only.
func (b *Bench) copyOf(t Tool) string {
	return filepath.Join("/tmp", filepath.Base(b.dir)+"-"+filepath.Base(t.Script))
}

// restrictScripts puts copies of the tools' scripts into their root that show one process only. The caller removes them.
func (b *Bench) restrictScripts() (remove func(), err error) {
	var made []string
	remove = func() {
		for _, path := range made {
			_ = os.Remove(path) // in a folder for temporary files
		}
	}
	for _, t := range b.Tools {
		if t.Script == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(b.Root.Dir, t.Script))
		if err != nil {
			return remove, err
		}
		if text, err = restrict(text); err != nil {
			return remove, fmt.Errorf("%s: %w", t.Script, err)
		}
		path := filepath.Join(b.Root.Dir, b.copyOf(t))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return remove, err
		}
		made = append(made, path)
	}
	return remove, nil
}

// The script notes the name on entry and shows what it has noted on return: a filter on entry is enough.
var (
	lastEntry = []byte("tracepoint:syscalls:sys_enter_openat2\n{")
	filtered  = []byte("tracepoint:syscalls:sys_enter_openat2\n/pid == $1/\n{")
)

// restrict makes opensnoop.bt, which takes no process, show that of its first argument only.
func restrict(script []byte) ([]byte, error) {
	if bytes.Count(script, lastEntry) != 1 {
		return nil, fmt.Errorf("want one %q: it is not the script that this benchmark knows", lastEntry)
	}
	return bytes.Replace(script, lastEntry, filtered, 1), nil
}

// Suite is the release of Debian that the peers are of.
var Suite = peers.Newest
