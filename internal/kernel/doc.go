// Package kernel holds facts about the running kernel: BTF, tracefs, features, lockdown, capabilities.
//
// It may read /proc, /sys, BTF and, to find what user probes are put on, ELF files and ld.so's cache. It attaches nothing and owns no links: what can only be found by loading or
// attaching a program is found in attach, and told in this package's terms.
package kernel
