package guard

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -no-global-types bpf guard.bpf.c -- -I../../../bpf -Wall -Werror
