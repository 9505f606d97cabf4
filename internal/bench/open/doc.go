// Package open measures `sonde open` beside its peers: the C program and the script that people use for the same job, and
// the shortest script that does part of it, from Debian's own packages and in the same run. `make bench` and
// `benchall -only open` run it.
//
// A measure is one file here (flood.go, paced.go, start.go); a tool is a row of Tools; what a figure has to reach is a row
// of Table. What an open pays is told in empty programs: C on the same tracepoints that does nothing, in the same round.
//
// Every tool watches a process of the benchmark itself and no other. The room may make files in a folder of its own, have the
// reference compiled, read /proc, start tools and end those it has started.
package open
