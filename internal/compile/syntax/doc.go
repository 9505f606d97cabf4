// Package syntax reads and writes the bpftrace language: scanner, parser, syntax tree, positions, printer.
//
// It knows no types, no kernel and no probes beyond their spelling. It imports the standard library only.
package syntax
