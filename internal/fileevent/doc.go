// Package fileevent is what is told of one access to a file, the same for every tool that tells it: the record's layout
// (bpf/file.h), its fields, and how they are filled. It may touch prog and the names of flags and errors; not the kernel,
// the stream the record came from, or the way it is shown.
package fileevent
