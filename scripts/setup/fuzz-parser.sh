#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# fuzz-parser.sh: random flush calls for the rules' parser, and C's way to read them, by cargo-fuzz.
# MINUTES is how long, 5 by default. BYTES runs one call. The corpus is in build/parser-fuzz.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ ${MINUTES:-5} =~ ^[1-9][0-9]{0,4}$ ]] || die "MINUTES=$MINUTES: give a number from 1 to 99999"
use_tools toolchain
program=$("$here/setup.sh" cargo-fuzz)/bin/cargo-fuzz
crates=$("$here/setup.sh" parser_fuzz-crates)
package=$checkout/selftests/parser_fuzz
out=$checkout/build/parser-fuzz
make_build parser-fuzz
mkdir -p "$out/corpus"
rm -f "$out/finding"

# The crate's own code is safe, so AddressSanitizer would find nothing: none.
in_fuzz() {
	local command=$1
	shift
	in_tools env "CARGO_HOME=$crates" CARGO_NET_OFFLINE=true "$program" fuzz "$command" \
		--fuzz-dir "$package" --target-dir "$out/target" --sanitizer none flush_call "$@"
}

# binary HEX: its bytes.
binary() {
	in_tools python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$1"
}

cd "$package"
run parser-fuzz-build 0 in_fuzz build
if [ -n "${BYTES:-}" ]; then
	binary "$BYTES" >"$out/one"
	in_fuzz run "$out/one" || exit 1
	exit
fi
mapfile -t seeds < <(grep -v '^#' seeds.txt)
for number in "${!seeds[@]}"; do binary "${seeds[number]}" >"$out/corpus/seed-$number"; done
in_fuzz run "$out/corpus" -- "-max_total_time=$((${MINUTES:-5} * 60))" -max_len=680 \
	"-exact_artifact_path=$out/finding" -print_final_stats=1 || {
	[ ! -f "$out/finding" ] ||
		say "To see it again: make fuzz-parser BYTES=$(od -An -v -tx1 "$out/finding" | tr -d ' \n')"
	exit 1
}
