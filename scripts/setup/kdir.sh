# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# KDIR: a kernel tree that the user has built. Nothing is built in it; what it
# lacks is named.

# check_options OPTION...: print KDIR's path, if it is configured with these.
check_options() {
	local kdir option wrong=()
	kdir=$(realpath -e "$KDIR" 2>/dev/null) || die "KDIR: there is no $KDIR"
	[ -f "$kdir/.config" ] || die "KDIR: $kdir is not a configured kernel tree (no .config)"
	for option; do
		grep -qE "^CONFIG_$option=[ym]" "$kdir/.config" || wrong+=("CONFIG_$option")
	done
	[ ${#wrong[@]} = 0 ] ||
		die "KDIR: $kdir lacks ${wrong[*]}: switch on what scripts/kernel/kernel.config has, and build it"
	echo "$kdir"
}

# check_kdir: print its path, if our module can be built for it.
check_kdir() {
	local kdir
	kdir=$(check_options 64BIT MODULES DEBUG_FS RUST KVM KVM_INTEL)
	[ -f "$kdir/Module.symvers" ] ||
		die "KDIR: $kdir is not built: run \`make -C $kdir -j\$(nproc)\`"
	check_hook_table "$kdir"
	echo "$kdir"
}

# series_of TREE: as 7.3, of a kernel that was built.
series_of() { sed -nE 's/^([0-9]+\.[0-9]+).*/\1/p' "$1/include/config/kernel.release"; }

# check_hook_table TREE: see that it has the hooks; else say what it lacks.
check_hook_table() {
	local option
	! has_hook_table "$1" || return 0
	[ -n "$(find "$1/" "$1/source/" -maxdepth 4 -path '*/arch/x86/kvm/nvmx-hooks.h' 2>/dev/null)" ] ||
		die "$1 was built without this project's patches: \`cd $1 && git am ${patch_dir%-*}-$(series_of "$1")/*.patch\`, and build it"
	for option in RUST KVM_INTEL KVM_HYPERV TREE_SRCU; do
		grep -qE "^CONFIG_$option=[ym]" "$1/.config" ||
			die "$1 has the patches, but no hooks, since it was built with $option=n: switch it on, and build it"
	done
	die "$1 has the patches, but no hooks: build it again"
}

# check_bootable_kdir: print its path, if the emulated machine can boot it.
check_bootable_kdir() {
	check_options 64BIT KVM KVM_INTEL PCI ACPI PRINTK SERIAL_8250_CONSOLE BLK_DEV_INITRD \
		BINFMT_ELF BINFMT_SCRIPT DEVTMPFS PROC_FS SYSFS TMPFS
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
