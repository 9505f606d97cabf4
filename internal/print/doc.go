// Package print shows rows: as text columns, as JSON lines, and to whom. One description of a record, its
// prog.RowType, serves every form.
//
// The room may touch prog.Row, io.Writer and, for -o only, the file to be written. It may not touch the kernel,
// BPF, stream, /proc or the environment: whether a terminal is there, how wide it is and whether colour is
// wanted, is for cli to find out.
//
// What comes from a traced process is hostile. Every sink holds two promises whatever bytes it is given: a record
// is one line, and nothing in it can command a terminal (escape.go says what is shown instead).
package print
