// Package stream brings records from the kernel to a handler and proves whether any are missing: a reader of BPF
// ring buffers, the loop around it, order across CPUs, loss counters and sequence numbers.
//
// It may touch ring buffer and counter maps, and prog.Record. What is inside a record's body is not its business,
// and neither are symbols, columns, the command line or how programs are attached.
//
// Kernel needed: 5.8 (ring buffers).
package stream
