# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The KVM selftests of KDIR's own source, which may be of any release.

# kdir_source: print where it is: an output directory (O=) leads to it.
kdir_source() {
	local dir
	for dir in "$KDIR" "$KDIR/source"; do
		if [ -d "$dir/tools/testing/selftests/kvm" ]; then
			realpath "$dir"
			return
		fi
	done
	die "KDIR: $KDIR has no tools/testing/selftests/kvm: give the tests by their paths, T=/path/to/program"
}

# copy_source DIR: what of it the selftests may need. With the host's tar: it may lie
# outside of what the toolchain is shown.
copy_source() {
	tar -C "$kdir" --exclude-vcs --exclude='*.o' --exclude='*.ko' --exclude='*.a' --exclude='*.cmd' \
		--exclude='./vmlinux*' --exclude='./Documentation' --exclude='./sound' \
		--exclude='./arch/[!x]*' --exclude='./rust' -cf - . | tar -C "$1" -xf -
}

build_kdir() {
	mkdir "$1/linux"
	run "copying the selftests' source" 0 copy_source "$1/linux"
	run "building the selftests of KDIR" 0 in_tools "$here/selftests-build.sh" "$1/linux" "$1"
	rm -rf "$1/linux"
}

# kdir_hash: of what the selftests are made of.
kdir_hash() {
	(
		cd "$kdir"
		find tools/testing/selftests tools/include tools/arch/x86/include include/uapi \
			arch/x86/include/uapi -type f -name '*.[chS]' -print0 | sort -z | xargs -0 sha256sum
		cat "$here/kdir-selftests.sh" "$here/selftests-build.sh"
		toolchain_id "$RUST_KVM_NVMX_TOOLS"
	) | hash_of
}

kdir_selftests() {
	local kdir key
	kdir=$(kdir_source)
	use_tools toolchain
	key=$(kdir_hash)
	entry kselftests-kdir "$key" 1500 \
		"building the KVM selftests of $kdir (about 2 min on 2 cores)" build_kdir
}
