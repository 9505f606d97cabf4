// Package object is a compiled BPF object file: what is in it, what its programs attach to, and what its records and maps
// say, read by the types (BTF) that the compiler put into it.
//
// It is pure: it is given bytes and answers with data. It may use the spec types of cilium/ebpf, its BTF types and the
// escapes of print; it loads nothing, opens nothing, and knows no terminal. What it reads was made by somebody else: sizes and
// offsets are checked, and a fault is one sentence that names the section.
package object
