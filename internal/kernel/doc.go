// Package kernel holds facts about a kernel: BTF, tracefs, symbols, features, lockdown, capabilities. Target is all that a compiler
// asks: Live answers for the running kernel, Fixture in tests.
//
// It may read /proc, /sys, BTF and, to find what user probes are put on, ELF files and ld.so's cache. It attaches nothing
// and owns no links: what can only be found by loading or attaching a program is found in attach, and told in this
// package's terms.
package kernel
