// Package tracefs is a set of the kernel's trace buffers of one's own: an instance in tracefs, what is in its buffers, and the
// process that takes it away however the run ends (see Remover).
//
// It may touch tracefs and start this same program as that process. It leaves other instances and other people's events alone,
// but for those that it is told to remove by name. It knows neither what events mean nor the terminal.
package tracefs
