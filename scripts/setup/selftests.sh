# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The KVM selftests of the kernel's source, linked statically since the machine has
# no libraries.

# build_upstream DIR: bin/ has the tests, tree/ the part of the kernel tree that our own need.
build_upstream() {
	mkdir "$1/linux"
	# The VFIO part of their library takes headers from drivers/.
	run "unpacking the selftests" 0 in_tools tar -xf "$source/linux.tar" -C "$1/linux" \
		--strip-components=1 --wildcards --wildcards-match-slash \
		--exclude='*/arch/[!x]*/*' --exclude='*/Documentation/*' --exclude='*/sound/*'
	run "building the selftests" 0 in_tools "$here/selftests-build.sh" "$1/linux" "$1"
	rm -rf "$1/linux"
}

# upstream: built from the kernel's source as it is, patched or not.
upstream() {
	local source key
	use_tools toolchain
	source=$(need kernel-source)
	key=$( (cat "$source/sha256" "$here/selftests.sh" "$here/selftests-build.sh"; toolchain_id "$RUST_KVM_NVMX_TOOLS") | hash_of)
	entry kselftests-upstream "$key" 1500 \
		"building the kernel's KVM selftests (about 2 min on 2 cores)" build_upstream
}
