# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# KDIR: a kernel tree that the user has built. Nothing is built in it; what it
# lacks is named.

# check_kdir: print its path.
check_kdir() {
	local kdir option wrong=()
	kdir=$(realpath -e "$KDIR" 2>/dev/null) || die "KDIR: there is no $KDIR"
	[ -f "$kdir/.config" ] || die "KDIR: $kdir is not a configured kernel tree (no .config)"
	for option in 64BIT MODULES RUST KVM KVM_INTEL; do
		grep -qE "^CONFIG_$option=[ym]" "$kdir/.config" || wrong+=("CONFIG_$option")
	done
	[ ${#wrong[@]} = 0 ] ||
		die "KDIR: $kdir lacks ${wrong[*]}: switch on what scripts/kernel/kernel.config has, and build it"
	[ -f "$kdir/Module.symvers" ] ||
		die "KDIR: $kdir is not built: run \`make -C $kdir -j\$(nproc)\`"
	grep -q "$PATCH_SYMBOL" "$kdir/Module.symvers" ||
		die "KDIR: $kdir was built without this project's patches: \`cd $kdir && git am $patch_dir/*.patch\`, and build it"
	echo "$kdir"
}

# kdir_tools: the tools that built KDIR, since Rust's metadata is of one rustc.
kdir_tools() {
	local want root
	want=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"/\1/p' "$1/.config")
	if [ "$(rustc --version 2>/dev/null)" = "$want" ] && [ "${TOOLCHAIN:-auto}" != rootfs ]; then
		echo /
		return
	fi
	root=$(need toolchain)
	[ "$(RUST_KVM_NVMX_TOOLS=$root in_tools rustc --version)" = "$want" ] ||
		die "KDIR: $1 was built with '$want', which neither this host nor the toolchain has"
	echo "$root"
}
