#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# check-properties.sh: what holds of the module's rules for all inputs: tried with all of them, or
# with random ones by proptest. It needs no kernel.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_build properties
use_tools toolchain
crates=$("$here/setup.sh" properties-crates)
run properties 0 in_tools env "CARGO_HOME=$crates" cargo test --offline --locked \
	--manifest-path "$checkout/selftests/properties/Cargo.toml" \
	--target-dir "$checkout/build/properties" -- --nocapture
sed -n 's/^\(tried .*\)/properties: \1/p' "$logs/properties.log"
cargo_passed properties properties
