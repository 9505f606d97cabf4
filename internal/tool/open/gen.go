package open

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -no-global-types bpf open.bpf.c -- -I../../../bpf -Wall -Werror
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -no-global-types bpfHooks open.bpf.c -- -I../../../bpf -Wall -Werror -DOPEN_HOOKS
