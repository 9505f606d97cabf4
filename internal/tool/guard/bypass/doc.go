// Package bypass is the list of all ways that are known to reach, change or remove a file, and what tries them: a child
// of our own, against a decoy of our own. It does not know how the decoy is guarded, nor whether it is; who calls it
// arms a rule between the two halves of a try.
//
// A way is judged by its effect (the contents were read, changed, run; the name is gone), never by what a system call
// returned. It touches the file system below a private directory, which is removed however the program ends, and
// processes that it started itself; not BPF, and not the terminal.
package bypass
