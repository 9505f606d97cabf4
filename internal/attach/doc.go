// Package attach turns a prog.Spec into a running Session: it loads the programs, attaches them and takes them down in
// order. It is the only owner of file descriptors of programs, maps and links.
//
// It may use cilium/ebpf and its link package, and the facts of package kernel. It never looks into records and formats
// nothing but errors. What a kernel allows is found here by trying (Try), because only here may a program be attached.
package attach
