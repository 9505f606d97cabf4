// Package guard is sonde guard: programs that decide, where the kernel itself decides, who may do what to a file, and
// the records of what they decided. It may touch prog, target, stream, its generated object and, to arm rules, the file
// system; not the terminal, and no descriptor of a program or a map: tables are written through an interface.
package guard
