// Package script measures `sonde run` beside its peers: bpftrace of two Debian releases, given the very same scripts in
// the same run, and for what a program costs in the kernel the same program in C, by clang -O2 and libbpf
// (internal/bench/reference). `make bench` and `benchall -only run` run it.
//
// A measure is one file here (cost.go, flood.go, start.go, stop.go, compile.go, dump.go); a peer is a row of Tools;
// what a figure has to reach is a row of Table; the scripts are in scripts.go.
//
// Every script watches a process of the benchmark itself and no other. The room may have the reference programs compiled,
// read /proc, start tools and end those it has started.
package script
