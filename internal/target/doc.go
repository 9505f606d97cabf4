// Package target decides whom to trace. It turns the target flags that every tool shares into the constants and map
// contents of bpf/target.bpf.h, so that the kernel does the deciding, and it starts `-- COMMAND` held until the probes are on.
//
// It may read /proc, /sys/fs/cgroup, /etc/passwd and the state files of container runtimes, start one process and signal
// it. It may not attach programs, hold BPF descriptors, look into records or print. Everything that can be wrong with the
// flags is found by Options.Resolve, before anything is loaded.
package target
