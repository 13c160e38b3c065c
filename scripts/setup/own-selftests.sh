# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Our own KVM selftests, built and installed as the kselftest target that they are, beside
# the library objects of the kernel's.

# build_own DIR: what kselftest installs, with our tests in rust_kvm_nvmx/.
build_own() {
	local tests=tools/testing/selftests
	cp -a "$upstream/tree" "$1/tree"
	mkdir "$1/tree/$tests/rust_kvm_nvmx"
	cp -a "$checkout"/selftests/{Makefile,*.mk,*.awk,*.c,lib,include,module,config,settings,plan.txt} \
		"$1/tree/$tests/rust_kvm_nvmx"
	run "building our selftests" 0 in_tools make -j"$JOBS" -C "$1/tree/$tests" \
		TARGETS=rust_kvm_nvmx FORCE_TARGETS=1 USERLDFLAGS=-static "KSFT_INSTALL_PATH=$1" install
	rm -rf "$1/tree"
}

own() {
	local upstream files key
	upstream=$(need kselftests-upstream)
	use_tools toolchain
	mapfile -t files < <(find "$checkout/selftests" -type f \( -name '*.[chS]' -o -name '*.awk' \
		-o -name '*.mk' -o -name Makefile -o -name config -o -name settings -o -name plan.txt \) | sort)
	[ ${#files[@]} != 0 ] || die "selftests/ holds no tests: the checkout is not whole"
	key=$( (hash_files "${files[@]}" "$here/own-selftests.sh"; basename "$upstream") | hash_of)
	entry selftests-own "$key" 300 "building our selftests" build_own
}
