// Package prog holds the objects that rooms hand to each other: the Spec that a tool, a script or an
// object file turns into, the Record that comes back from the kernel, and the Row that is shown.
//
// It is data only: no behaviour beyond construction, no file descriptors, nothing that depends on the
// running kernel. It may import the spec types of cilium/ebpf and the standard library.
package prog
