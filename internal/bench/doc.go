// Package bench measures `sonde exec` beside its peers: the C program and the script that people use for the same job,
// from Debian's own packages, in the same run and with the same workload. `make bench` is cmd/benchall.
//
// A tool is a row of Tools; a measure is one file here (start.go, storm.go, cost.go, size.go); what a figure has to
// reach is a row of Rows. Rooms below: peers makes the roots the peers live in, traced runs a tool on a
// terminal of its own, process out of sight, workload is what they watch, reference is programs in C to compare with, guest
// takes a part of it in a virtual machine, measure reads what they cost, report writes it down. `sonde run`, whose peers take
// scripts, is measured in script, `sonde open` in open, and in guard what rules cost.
//
// It is test-only: no shipped package imports it, and it imports none. It may touch /proc, BPF object information,
// terminals and processes that it has started itself; it signals no other process.
package bench
