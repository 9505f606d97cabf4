// Package allocator finds out which functions of which files give a process its memory: by symbol, in the files that it
// maps, or in those that a program will map. It may read /proc and ELF files (by package symbol); it attaches nothing, and
// knows neither records nor the terminal.
package allocator
