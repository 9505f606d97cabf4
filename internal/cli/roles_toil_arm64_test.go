package cli

// oldStats are the calls of stat(2) that this machine does not have.
var oldStats []uintptr
