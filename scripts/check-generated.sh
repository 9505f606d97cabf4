#!/usr/bin/env bash
# Regenerates the committed BPF objects in a copy of the tree and refuses any difference. The tree itself is not
# touched; `make generate` is what updates it. Called by `make check-generated`, which sets the compilers.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R go.mod go.sum bpf cmd internal scripts "$copy"

# They are removed first: a go:generate line that is gone or renamed shows too.
generated() { find cmd internal bpf -type f \( -name '*_bpfe[lb].go' -o -name '*_bpfe[lb].o' \) -print | sort; }
(cd "$copy" && generated | xargs -r rm -f && go generate ./...)

before=$(generated | xargs -r sha256sum)
after=$(cd "$copy" && generated | xargs -r sha256sum)
if [ -z "$after" ]; then
	echo "check-generated: go generate made no objects; bpf2go's names have changed, or the go:generate lines are gone" >&2
	exit 1
fi
if [ "$before" != "$after" ]; then
	echo "check-generated: the committed BPF objects are not what their sources give; run 'make generate' and commit the result:" >&2
	diff <(echo "$before") <(echo "$after") | sed -n 's/^[<>] [0-9a-f]*  /    /p' | sort -u >&2
	exit 1
fi
