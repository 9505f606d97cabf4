#!/usr/bin/env bash
# Installs with apt-get what a task needs and this machine lacks. Quiet and without effect when nothing is missing.
#
#   scripts/deps.sh GROUP...        groups: test, generate, bench
#
# This is the one list of Debian packages the project asks for. What is downloaded but never installed (guest
# kernels, the guests' qemu) is internal/vmtest's affair.
set -euo pipefail

packages_of() {
	case $1 in
	# strace for what sonde open is compared with; clang and libbpf-dev for the objects that sonde run is tested with; compilers
	# for the programs whose stacks and whose memory are looked at, and the allocators that may give it to them.
	test) echo git make strace clang-14 libbpf-dev gcc g++ libc6-dev binutils xz-utils libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0 musl-tools ;;
	# Debian 12's clang: another version makes other objects. libbpf-dev for bpf_helpers.h and its kin.
	generate) echo git make clang-14 llvm-14 libbpf-dev ;;
	# The peers themselves are installed in roots of their own, never on this machine. clang and libbpf-dev are for the
	# programs in C.
	bench) echo git make debootstrap clang-14 libbpf-dev ;;
	*)
		echo "deps.sh: no group '$1'; groups: test, generate, bench" >&2
		return 2
		;;
	esac
}

installed() {
	[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

wanted=()
for group in "$@"; do
	list=$(packages_of "$group")
	read -ra more <<<"$list"
	wanted+=("${more[@]}")
done
if [ ${#wanted[@]} -eq 0 ]; then
	echo "usage: scripts/deps.sh GROUP...; groups: test, generate, bench" >&2
	exit 2
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: this is not a Debian machine (no apt-get): Debian's names for what is needed here are ${wanted[*]}" >&2
	exit 1
fi

missing=()
for package in "${wanted[@]}"; do
	if ! installed "$package" && [[ " ${missing[*]-} " != *" $package "* ]]; then
		missing+=("$package")
	fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: missing packages, and only root can install them; type:" >&2
	echo "    sudo apt-get update && sudo apt-get install --no-install-recommends -y ${missing[*]}" >&2
	exit 1
fi

# A fresh machine has no package lists: apt-get then knows no candidate for what it is asked for.
have_candidates() {
	local package
	for package in "${missing[@]}"; do
		apt-cache policy "$package" 2>/dev/null | grep -q '^  Candidate: [0-9]' || return 1
	done
}

export DEBIAN_FRONTEND=noninteractive
install() {
	apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends -y "${missing[@]}" </dev/null
}

echo "deps.sh: installing ${missing[*]}"
updated=
if ! have_candidates; then
	apt-get -qq update </dev/null
	updated=yes
fi
if ! install; then
	# Stale lists name files that the mirror no longer has.
	[ -z "$updated" ] || exit 1
	apt-get -qq update </dev/null
	install
fi
