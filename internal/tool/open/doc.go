// Package open is sonde open: programs that see every open of a file, and what it takes to show them. It may touch prog,
// target, stream, print, fileevent and its generated object; not the terminal, and no descriptor of a program or a map.
package open
