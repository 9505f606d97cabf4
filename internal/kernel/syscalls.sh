#!/bin/sh
# Writes the tables of system calls. The version is newer than the one in go.mod, for its tables only.
set -eu
module=golang.org/x/sys@v0.49.0
dir=$(cd / && go mod download -json $module | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')/unix
awk -v name=syscallsAMD64 -f syscalls.awk "$dir/zsysnum_linux_amd64.go" | gofmt >syscalls_amd64_table.go
awk -v name=syscallsARM64 -f syscalls.awk "$dir/zsysnum_linux_arm64.go" | gofmt >syscalls_arm64_table.go
