// Package proc measures `sonde proc` beside the C program that people use for the same job, from Debian's own packages and in
// the same run. `make bench` and `benchall -only proc` run it.
//
// A tool is a row of Tools; what a figure has to reach is a row of Table. Every tool watches a cgroup in which only processes
// of the benchmark are. The room may make a cgroup, start a shell in it, read /proc, start tools and end those it has started.
package proc
