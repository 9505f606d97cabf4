package cli

import "golang.org/x/sys/unix"

// oldStats are the calls of stat(2) that newer machines do not have.
var oldStats = []uintptr{unix.SYS_STAT, unix.SYS_LSTAT}
