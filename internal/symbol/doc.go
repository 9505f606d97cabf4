// Package symbol turns addresses into names: those of the kernel by /proc/kallsyms (Kernel), those of processes by the
// ELF files they map (Processes), also after a process has ended.
//
// It may read /proc, ELF files and the places where separate debug files lie. It knows neither BPF nor records, and it
// prints nothing. Memory maps, ELF files and JIT maps are written by whom is traced: every size in them is checked and
// capped, no link of theirs is followed out of their own root, and what makes no sense gives no name.
package symbol
