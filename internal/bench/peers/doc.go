// Package peers makes the roots in which the tools to compare with live: Debian's packages, in a directory of the
// cache, so that nothing is installed on the machine.
//
// It may run debootstrap and apt, write below the cache directory, and mount inside the private mount namespace of
// the benchmark. It runs no tool that is measured.
package peers
