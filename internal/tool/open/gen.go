package open

//go:generate go tool bpf2go -cc clang-14 -strip ../../../scripts/slim-bpf -target amd64,arm64 -no-global-types bpf open.bpf.c -- -I../../../bpf -Wall -Werror
//go:generate go tool bpf2go -cc clang-14 -strip ../../../scripts/slim-bpf -target amd64,arm64 -no-global-types bpfHooks open.bpf.c -- -I../../../bpf -Wall -Werror -DOPEN_HOOKS
