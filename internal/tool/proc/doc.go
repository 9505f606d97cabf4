// Package proc is the ready tool that shows the lives of processes: how they begin, what program they become, how and after
// how long they end, and what they have used.
//
// Its programs are in proc.bpf.h, compiled as a part of tool/exec's object, whose records of execs it shows as exec does.
// decode.go reads its own records, life.go remembers what the end of a process does not tell, tracer.go puts them in order, row.go
// describes how they are shown; history.go keeps a whole run for tree.go and timeline.go. The package may touch prog,
// target, stream, print and tool/exec; it knows no terminal, no flags and no file descriptors.
package proc
