// Package malloc measures `sonde malloc` beside its peers: what a call of malloc costs while a tool adds up who calls, and whether
// a thousand different stacks are told apart. The program that is watched lives in the peers' root, so that all look into the same
// C library. The rules of package bench are its rules.
package malloc
