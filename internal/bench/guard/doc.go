// Package guard measures what an open costs under `sonde guard`, by the number of rules, as a multiple of the same open
// without one. `make bench` and `benchall -only guard` run it.
//
// Rules deny, so all of it is done in a guest: an emulated machine, in which nothing but ratios means anything. There are no
// peers: what is measured is whether the number of rules matters.
//
// The room may boot a guest; in there, it makes files in a folder of its own, and starts and ends processes.
package guard
