// Package dynevent sees opens without BPF: by dynamic events that it defines in tracefs, in an instance of the kernel's
// trace buffers that is its own. It makes of them the records that the BPF programs of sonde open would have sent.
//
// It may touch tracefs and /proc. It leaves other instances and other people's events alone, and takes its own away however
// the run ends (see tracefs.Remover). It knows neither rows nor the terminal.
package dynevent
