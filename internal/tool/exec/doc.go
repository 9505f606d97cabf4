// Package exec is the ready tool that shows every execve and execveat: who, whom, how long it took, what it returned,
// the whole command line.
//
// exec.bpf.c makes the records, decode.go reads them, tracer.go joins what came in parts and puts it in order, row.go describes how they
// are shown. The package may touch prog, target, stream, print and its generated object; it knows no terminal, no flags
// and no file descriptors.
package exec
