// Package measure reads what a process costs: CPU time, memory, the BPF objects it holds, and sums samples up.
//
// It reads /proc and asks the kernel for BPF object information; it starts, signals and changes nothing.
package measure
