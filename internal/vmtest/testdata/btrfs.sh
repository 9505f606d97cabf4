#!/bin/sh
# Makes btrfs.img.gz anew: an empty btrfs of 64 MB, up to its last byte that is not zero. It wants btrfs-progs (6.2 made the one here).
set -e
cd "$(dirname "$0")"
truncate -s 64M btrfs.img
mkfs.btrfs -q --mixed --nodesize 4096 --uuid 5d0e5d0e-0000-4000-8000-000000000001 btrfs.img
truncate -s 5292032 btrfs.img
gzip -9nf btrfs.img
