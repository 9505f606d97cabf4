// Package profile holds stacks with values and writes them in the forms that others read: folded lines, flame graphs,
// pprof files.
//
// It is pure: what it gets are names and numbers, what it gives are bytes to an io.Writer. It knows no BPF, no process and
// no symbol file. All names come from who is traced: they are escaped for the form they are written in.
package profile
