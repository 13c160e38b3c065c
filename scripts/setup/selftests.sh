# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The KVM selftests, linked statically since the machine has no libraries: those
# of the kernel's source, and our own against the same library objects.

# build_upstream DIR: bin/ has the tests, lib/ and include/ what our own need.
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
	local source
	RUST_KVM_NVMX_TOOLS=$(need toolchain)
	export RUST_KVM_NVMX_TOOLS
	source=$(need kernel-source)
	entry kselftests-upstream "$( (cat "$source/sha256" "$here/selftests.sh" "$here/selftests-build.sh"; toolchain_id "$RUST_KVM_NVMX_TOOLS") | hash_of)" 1500 \
		"building the kernel's KVM selftests (about 2 min on 2 cores)" build_upstream
}

build_own() {
	run "building our selftests" 0 in_tools make -j"$JOBS" -C "$checkout/selftests" \
		"UPSTREAM=$upstream" "OUT=$1"
	rm -rf "$1/obj"
}

own() {
	local upstream files
	upstream=$(need kselftests-upstream)
	RUST_KVM_NVMX_TOOLS=$(need toolchain)
	export RUST_KVM_NVMX_TOOLS
	mapfile -t files < <(find "$checkout/selftests" -name '*.[chS]' -o -name Makefile | sort)
	[ ${#files[@]} != 0 ] || die "selftests/ holds no tests: the checkout is not whole"
	entry selftests-own "$( (hash_files "${files[@]}"; basename "$upstream") | hash_of)" 100 \
		"building our selftests" build_own
}
