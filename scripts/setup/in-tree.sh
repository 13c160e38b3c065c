#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# in-tree.sh: put the module, its KUnit suites and its selftests into the kernel tree KDIR,
# which has the patches, and leave the change as a patch in build/in-tree/.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -n "${KDIR:-}" ] || die "say which tree: make in-tree KDIR=TREE"
tree=$(realpath -e "$KDIR" 2>/dev/null) || die "KDIR: there is no $KDIR"
command -v git >/dev/null || die "git is missing: run \`sudo apt-get install git\`"
case ${UPDATE:-0} in
0) update=() ;;
1) update=(--update) ;;
*) die "UPDATE=$UPDATE: give 0 or 1" ;;
esac

out=$checkout/build/in-tree
patch=$out/KVM-nVMX-Add-TLB-flushes-in-Rust.patch
mkdir -p "$out"
in_tools python3 -B "$checkout/scripts/machine/in_tree.py" --tree "$tree" --out "$patch.new" "${update[@]}" ||
	exit 1
if [ ! -s "$patch.new" ]; then
	rm "$patch.new"
	say "$tree has all of it already: nothing to do"
	exit 0
fi

mv "$patch.new" "$patch"

# A repository around the tree must not be taken for the tree's own.
export GIT_CEILING_DIRECTORIES=${tree%/*}
git -C "$tree" apply --whitespace=nowarn "$patch" ||
	die "the patch does not apply to $tree: see above (it is $patch)"
say "put into $tree: arch/x86/kvm/rust_kvm_nvmx, tools/testing/selftests/rust_kvm_nvmx, and"
say "the lines that lead to them. As a commit: \`git am $patch\` in a tree without it."
