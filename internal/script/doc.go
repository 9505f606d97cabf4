// Package script is the running script: it does what the records of a compiled script ask for, and shows values and maps
// as bpftrace does, as text and as JSON.
//
// It may touch the compiled Program, records, the maps by their names, and writers; commands, files and user names only
// because the script says so. It knows no terminal, no BPF and no command line: what it needs of them is in Env.
//
// Records come from the kernel, by a program that this house compiled, and are checked all the same: one that is too short
// is counted and left out.
package script
