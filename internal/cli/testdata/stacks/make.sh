#!/usr/bin/env bash
# Makes the programs beside it again, and what LLVM says of every address of theirs: needs g++, dwz, rustc, llvm, binutils and an amd64 machine. They are
# committed, so that tests need no compiler.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
plain="-O2 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -ffreestanding -nostdlib -static -fno-exceptions -fno-rtti -fcf-protection=none
	-fno-asynchronous-unwind-tables -fno-stack-protector -Wl,--build-id=sha1 -Wl,-z,noseparate-code -ffile-prefix-map=$PWD=/src -fno-pie -no-pie"
g++ $plain -gdwarf-5 store.cc -o store-5
g++ $plain -gdwarf-4 -gz=zlib store.cc -o store-4
cp store-5 "$work/one"
cp store-5 "$work/two"
(cd "$work" && dwz -m common -M common one two) # what both have goes into a third file
cp "$work/one" store-dwz
cp "$work/common" store-dwz.common
rustc -C opt-level=2 -g -C panic=abort -C force-frame-pointers=yes -C symbol-mangling-version=v0 -C relocation-model=static \
	-C link-args="-nostdlib -nostartfiles -static -no-pie -Wl,--build-id=sha1 -Wl,-z,noseparate-code" --remap-path-prefix "$PWD=/src" \
	-C strip=none --crate-name shelf -o shelf shelf.rs
for program in store-5 store-4 shelf; do
	readelf -sW $program | awk '$4 == "FUNC" && $3 > 0 { print $2, $3 }' | while read -r start size; do
		for ((at = 0; at < size; at++)); do printf '%x\n' $((16#$start + at)); done
	done | sort -u >"$work/addresses"
	llvm-addr2line -a -i -f -e $program <"$work/addresses" | grep -v '^$' >"$work/all"
	# One line of changes only: an address, then its functions and lines, the innermost first.
	awk '/^0x/ { if (now != last) print at now; last = now; at = $1; now = ""; next } { now = now " " $0 } END { if (now != last) print at now }' \
		"$work/all" >$program.lines
done
