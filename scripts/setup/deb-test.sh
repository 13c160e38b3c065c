#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# deb-test.sh: install build/deb/*.deb in a bare Debian, build the module there with the headers,
# and run T in the machine: on the kernel that apt has installed, with its module and the built one.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/entry.sh"
. "$here/host.sh"
. "$here/machine-args.sh"

# install_packages: mmdebstrap makes the Debian, and throws it away when inside.sh has run there.
install_packages() {
	# shellcheck disable=SC2016,SC2317 # mmdebstrap's shell expands it; run calls it
	mmdebstrap --variant=minbase --format=null --include=ca-certificates \
		--customize-hook="copy-in $out/debs $out/source $checkout/scripts/deb/inside.sh /root" \
		--customize-hook='chroot "$1" /root/inside.sh '"$release" \
		--customize-hook="copy-out /root/kept $out" \
		"$DEBIAN_SUITE" - "deb $DEBIAN_MIRROR $DEBIAN_SUITE main"
}

# as_built: lay kept/ out as the tree of a built kernel. Only what names functions is that kernel's.
as_built() {
	mv "$out/kept/kernel" "$out/kernel"
	mkdir -p "$out/kernel/arch/x86/boot"
	mv "$out/kept/vmlinuz-$release" "$out/kernel/arch/x86/boot/bzImage"
	mv "$out/kept/nvmx-hooks.h" "$out/kernel/arch/x86/kvm"
	mv "$out/kept/config-$release" "$out/kernel/.config"
	ln -s "$kdir"/vmlinux "$kdir"/vmlinux.o "$out/kernel"
}

# run_machine installed|built
run_machine() {
	say "the installed kernel, with the $1 module"
	RUST_KVM_NVMX_TOOLS=$tools "$here/in-toolchain.sh" python3 "$checkout/scripts/machine/run.py" \
		"${args[@]}" --module "$out/kept/$1/rust_kvm_nvmx.ko" --out "$out/$1"
}

main() {
	local kdir release guest_tools out=$checkout/build/deb-test args=() tools own
	"$here/deb.sh"
	kdir=$(path kernel)
	release=$(cat "$kdir/include/config/kernel.release")
	host_needs mmdebstrap:mmdebstrap \
		debian-archive-keyring:/usr/share/keyrings/debian-archive-keyring.gpg
	rm -rf "$out"
	make_build deb-test/source
	mkdir "$out/debs"
	cp "$checkout"/build/deb/*.deb "$out/debs"
	cp -r "$checkout"/{Kbuild,rust_kvm_nvmx} "$out/source"
	run "installing the packages in a bare Debian" 0 install_packages
	as_built

	guest_tools=$(path guest-tools)
	own=$(path selftests-own)
	args=(test --plain --test "${T:-nested_workload}" --kernel "$out/kernel" --tools "$guest_tools"
		--own "$own/rust_kvm_nvmx")
	add_machine_args
	run_machine installed
	run_machine built
}

main "$@"; exit
