// Package malloc is sonde malloc: programs that add up by stack what is asked of malloc and its like, and what it takes to
// show it. It may touch prog, target, stream, print, profile, its generated object and its own room allocator; not the
// terminal, and no descriptor of a program or a map. Addresses are named by who is handed to it.
package malloc
