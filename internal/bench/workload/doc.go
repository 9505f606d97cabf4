// Package workload is what the measured tools watch: marked execs at a steady pace, storms of execs, timed execs; and
// for scripts and opens, system calls in a tight loop or at a steady pace.
//
// It runs in a process of its own, so that its costs are nobody else's: the benchmark starts itself again
// with Role as the first argument. It starts processes and waits for them, and touches nothing else.
//
// Every exec carries "TAG-NUMBER" as its first argument, so that each record can be told from all others.
package workload
