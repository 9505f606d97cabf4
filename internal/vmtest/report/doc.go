// Package report turns what test binaries say into counts: which tests ran where, how they ended, and why some were
// skipped. It reads the JSON events of `go test -json` and `go tool test2json` and writes a table; it starts nothing and
// knows nothing of guests.
package report
