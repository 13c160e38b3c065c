#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# kunit.sh: the tests of the module's rules as KUnit suites, by the kernel's kunit.py, in
# User-Mode Linux: no machine, no KVM. In build/kunit, or with KDIR in a tree that
# `make in-tree` was run for.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

module=arch/x86/kvm/rust_kvm_nvmx
out=$checkout/build/kunit
use_tools toolchain

# Sources that User-Mode Linux has no use for are a third of the tree.
unpack() {
	local source=$1
	rm -rf "$out"
	mkdir -p "$out/part"
	need_space "$out" 2500 "make kunit"
	run "unpacking $(cat "$source/origin")" 0 in_tools tar -xf "$source/linux.tar" -C "$out/part" \
		--strip-components=1 --wildcards --exclude='*/Documentation/*.rst' \
		--exclude='*/arch/[!xu]*/*.[chS]' --exclude='*/arch/*/boot/dts/*' \
		--exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/net/*.[ch]' \
		--exclude='*/drivers/media/*.[ch]' --exclude='*/sound/*.[ch]'
	for patch in "$checkout/patches/linux-$KERNEL_SERIES"/*.patch; do
		in_tools patch -d "$out/part" -p1 -F0 -f -s --no-backup-if-mismatch -i "$patch" >&2 ||
			die "${patch##*/} does not apply to $(cat "$source/origin")"
	done
	mv "$out/part" "$out/tree"
}

if [ -n "${KDIR:-}" ]; then
	tree=$(realpath -e "$KDIR" 2>/dev/null) || die "KDIR: there is no $KDIR"
	[ -f "$tree/$module/.kunitconfig" ] || die "KDIR: $tree has no $module: run \`make in-tree KDIR=$tree\`"
	objects=$out/kdir-$(printf %s "$tree" | hash_of)
	export KDIR=$tree
else
	source=$("$here/setup.sh" kernel-source)
	tree=$out/tree objects=$out/objects
	key=$(cat "$source/sha256" "$checkout/patches/linux-$KERNEL_SERIES"/*.patch "$here/kunit.sh" | hash_of)
	if [ "$(cat "$out/key" 2>/dev/null)" != "$key" ]; then
		unpack "$source"
		echo "$key" >"$out/key"
	fi
	KDIR=$tree UPDATE=1 "$here/in-tree.sh"
fi

mkdir -p "$objects"
cd "$tree"
kunit=(in_tools ./tools/testing/kunit/kunit.py)
options=(--build_dir "$objects" --kunitconfig "$module"
	--kunitconfig "$checkout/scripts/kernel/kunit.config")
# kunit.py builds without a word, so make goes first.
"${kunit[@]}" config "${options[@]}" >&2
run "building User-Mode Linux (from nothing some 6 min of processor time)" 0 \
	in_tools make ARCH=um "O=$objects" "-j$JOBS" all
# The kernel has two suites of its own that cannot be left out.
"${kunit[@]}" run "${options[@]}" --jobs "$JOBS" 'nvmx_*' || exit 1
