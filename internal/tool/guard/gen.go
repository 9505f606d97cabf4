package guard

// v3 has operations on 32 bits, in the place of shifts: a tenth less for the verifier to look at. Linux 5.1 has them.
//go:generate go tool bpf2go -cc clang-14 -strip ../../../scripts/slim-bpf -target amd64,arm64 -no-global-types bpf guard.bpf.c -- -I../../../bpf -Wall -Werror -mcpu=v3
