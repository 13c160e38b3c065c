# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The emulated machine: Bochs, rebuilt with the instrumentation in tlbsan/, and
# the tools that talk to it from inside.

build_bochs() {
	own_log=$1/build.log run "building bochs" 0 in_tools "$checkout/tlbsan/build.sh" "$source/bochs.tar.xz" "$1"
	[ -x "$1/bochs" ] || die "tlbsan/build.sh made no bochs"
	rm -rf "$1/src"
}

# bochs: a directory with the program `bochs`.
bochs() {
	local source files key
	use_tools toolchain
	source=$(bochs_source)
	mapfile -t files < <(find "$checkout/tlbsan" -type f ! -path '*/tests/*' ! -name '*.md' ! -name tsmark.c | sort)
	key=$( (hash_files "${files[@]}"; toolchain_id "$RUST_KVM_NVMX_TOOLS"; cat "$here/emulator.sh") | hash_of)
	entry bochs "$key" 300 \
		"building the emulator with its instrumentation (about 2 min on 2 cores)" build_bochs
}

build_guest_tools() {
	in_tools gcc -O2 -Wall -Werror -static -o "$1/tsmark" "$checkout/tlbsan/tsmark.c"
}

# guest_tools: a directory of static programs for use in the machine.
guest_tools() {
	local key
	use_tools toolchain
	key=$( (cat "$checkout/tlbsan/tsmark.c" "$here/emulator.sh"; toolchain_id "$RUST_KVM_NVMX_TOOLS") | hash_of)
	entry guest-tools "$key" 10 "building the tools of the machine" build_guest_tools
}
