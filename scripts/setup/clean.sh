#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# clean.sh [--cache]: remove what was built in the checkout; with --cache, all that
# was fetched and built, too.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

rm -rf "$checkout/build"
if [ "${1:-}" != --cache ] || [ ! -d "$cache" ]; then exit 0; fi

# Only what is ours, in case the variable names a directory that has more in it: each entry has a
# lock of its name.
# (Earlier versions had their logs there.)
names=(kernel-build chroot locks logs)
for lock in "$cache"/locks/*; do
	[ -e "$lock" ] || continue
	flock -n "$lock" true || die "${lock##*/} is being built in $cache right now: end that first"
	names+=("${lock##*/}")
done
size=$(du -sm "$cache" | cut -f1)
for name in "${names[@]}"; do rm -rf "${cache:?}/$name"; done
rmdir "$cache" 2>/dev/null || true
say "removed $size MB of $cache"
