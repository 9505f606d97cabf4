// Package format reads the format strings of printf and its like.
//
// It is a leaf: the checker counts and types the arguments with it, the running script prints with it. It knows the
// grammar of a format only, and no values.
package format
