package exec

//go:generate go tool bpf2go -cc clang-14 -strip ../../../scripts/slim-bpf -target amd64,arm64 -no-global-types bpf exec.bpf.c -- -I../../../bpf -Wall -Werror
//go:generate go tool bpf2go -cc clang-14 -strip ../../../scripts/slim-bpf -target amd64,arm64 -no-global-types bpfEvents exec.bpf.c -- -I../../../bpf -Wall -Werror -DEXEC_EVENTS -mcpu=v3
