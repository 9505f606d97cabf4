// Package attach turns a prog.Spec into a running Session: it loads the programs, attaches them and takes them down in
// order. It is the only owner of file descriptors of programs, maps and links.
//
// It may use cilium/ebpf and its link package, and the facts of package kernel. It never looks into records and formats
// nothing but errors. What a kernel allows is found here by trying (Try, Trials), because only here may a program be attached.
//
// There are two ways to load. Programs that were compiled elsewhere go through the library, which relocates them. Those that
// were compiled for this kernel (Spec.Lean) go to bpf(2) as they are: loadlean.go and what it calls. How each kind of probe
// is attached is in a file of its own, from probe.go on; event.go has the order in which the programs of one event run.
package attach
