# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What is built out of tree for kernel-patched, ROW or KDIR, in build/ of the checkout,
# where make does what has changed: the module, the test helpers in
# selftests/module/ and selftests/invalidation_cost/, and the objects of
# selftests/hook_cost/.

# build_modules SOURCE OUT TARGET...
build_modules() (
	lock "modules-$(printf %s "$2" | hash_of)"
	# Objects made for another kernel look up to date to make.
	if [ "$(cat "$2/.kdir" 2>/dev/null)" != "$kdir" ]; then
		rm -rf "$2"
		mkdir -p "$2"
		echo "$kdir" >"$2/.kdir"
	fi
	make_module -j "$JOBS" "M=$1" "MO=$2" "${@:3}"
)

# make_module ARGUMENT...: with the compiler that kdir was built with.
make_module() {
	local llvm=()
	! grep -qxF CONFIG_CC_IS_CLANG=y "$kdir/.config" || llvm=(LLVM=1)
	in_tools make -s -C "$kdir" "${llvm[@]}" "$@"
}

# use_kernel: set kdir, and the tools that it is built with.
use_kernel() {
	kdir=$(need kernel)
	if [ -n "${ROW:-}" ]; then
		check_hook_table "$kdir"
		RUST_KVM_NVMX_TOOLS=$(row_toolchain)
	elif [ -n "${KDIR:-}" ]; then
		RUST_KVM_NVMX_TOOLS=$(kdir_tools "$kdir")
	else
		RUST_KVM_NVMX_TOOLS=$(need toolchain)
	fi
	export RUST_KVM_NVMX_TOOLS
}

# modules SOURCE OUT NAME [ARGUMENT...]: build what SOURCE's Kbuild names, make being given the
# ARGUMENTs; print the directory below build/OUT that holds NAME.ko.
modules() {
	local kdir ko out=$checkout/build/$series_dir${ROW:+matrix/$ROW/}$2
	make_build "$series_dir${ROW:+matrix/$ROW/}$2"
	use_kernel
	build_modules "$1" "$out" "${@:4}" modules >&2 ||
		die "$3 does not build for $kdir: see the messages above"
	ko=$(find "$out" -name "$3.ko")
	[ -n "$ko" ] || die "the build made no $3.ko in $out"
	dirname "$ko"
}

# rustdoc: print the directory of the module's pages.
rustdoc() {
	local out=$checkout/build/rustdoc
	rm -rf "$out"
	make_build rustdoc
	modules "$checkout" module rust_kvm_nvmx "NVMX_RUSTDOC=$out" >/dev/null
	echo "$out/rust_kvm_nvmx"
}

# hook_cost: print the directory of the objects, which are never linked.
hook_cost() {
	local kdir source=$checkout/selftests/hook_cost out=$checkout/build/hook-cost/objects objects
	objects=$(cd "$source" && printf '%s\n' *.c)
	use_kernel
	# shellcheck disable=SC2086 # names without blanks
	build_modules "$source" "$out" ${objects//.c/.o} >&2 ||
		die "selftests/hook_cost does not build for $kdir: see the messages above"
	echo "$out"
}
