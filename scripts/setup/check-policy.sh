#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# check-policy.sh: the tests of the module's rules, which need no kernel. `make
# test` runs them before it starts the machine.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_build policy
use_tools toolchain
run policy 0 in_tools cargo test --offline --locked \
	--manifest-path "$checkout/selftests/policy/Cargo.toml" --target-dir "$checkout/build/policy"
cargo_passed policy policy
