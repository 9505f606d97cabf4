// Package traced runs one tool the way a person would: on a terminal of its own, stopped by SIGINT. It
// reads what the tool prints as it is printed and picks out the marked records.
//
// A terminal, because on a pipe some tools hold their output back until a block is full. The room starts and
// signals its own child only, and knows nothing about which tool it is.
package traced
