// Package cli is the command line: commands, flags, drop-in names and exit codes. It chooses the sink, puts the rooms
// below together for one run, and is the only one that prints and decides how the process ends.
//
// It may use everything below through its front door, os and signals. It does not touch cilium/ebpf or the bytes of records.
package cli
