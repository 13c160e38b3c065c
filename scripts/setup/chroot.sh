#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# chroot.sh DIRECTORY {ro|rw DIR PLACE}... -- COMMAND...
# What bubblewrap does for in-toolchain.sh, where it does not work and the caller
# is root. Runs in mount and process namespaces of its own.

set -euo pipefail
directory=$1
shift
mount --make-rprivate /

# Made where nothing that is to be seen in it lies below.
new=$RUST_KVM_NVMX_CACHE/chroot
mkdir -p "$new"
mount -t tmpfs -o mode=755 none "$new"
mkdir "$new"/{dev,proc,run,sys,tmp}
while [ "$1" != -- ]; do
	source=$2 place=$new$3
	if [ -d "$source" ]; then mkdir -p "$place"; else touch "$place" 2>/dev/null || true; fi
	mount --bind "$source" "$place"
	[ "$1" = rw ] || mount -o remount,bind,ro "$place"
	shift 3
done
shift
for name in bin sbin lib lib64; do ln -s "usr/$name" "$new/$name"; done
mount -t proc proc "$new/proc"
mount --rbind /dev "$new/dev"
mount -t tmpfs -o mode=1777 tmp "$new/tmp"
mkdir -p "$new/var/tmp"
# shellcheck disable=SC2016 # the inner shell expands it
exec chroot "$new" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$directory" "$@"
