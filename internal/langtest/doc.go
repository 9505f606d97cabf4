// Package langtest tests the language of scripts as a whole: what a script prints, from its source to its output, with the
// kernel in between.
//
// It is for tests only and has nothing but tests. Scripts run by BPF_PROG_TEST_RUN, so nothing is attached and nobody else is
// traced. The rows of rows_*_test.go say what is expected; they are also run by the original, bpftrace, where it is at hand. Random
// scripts are compared with an interpreter that knows nothing of the compiler.
package langtest
