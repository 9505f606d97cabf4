package malloc

//go:generate go tool bpf2go -cc clang-14 -strip ../../../scripts/slim-bpf -target amd64,arm64 -no-global-types bpf malloc.bpf.c -- -I../../../bpf -Wall -Werror
