#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# coverage.sh: what of the module's rules do the host's tests not run? LLVM counts, cargo-llvm-cov
# collects, and policy_coverage.py compares with selftests/policy/uncovered.toml.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

program=$("$here/setup.sh" cargo-llvm-cov)/bin/cargo-llvm-cov
# It has LLVM's own programs, which rustc's package has not.
use_tools toolchain-matrix
make_build coverage

# Branches are counted only by a compiler that is told that it may use what is not stable.
in_coverage() {
	in_tools env RUSTC_BOOTSTRAP=1 LLVM_COV=/usr/bin/llvm-cov LLVM_PROFDATA=/usr/bin/llvm-profdata \
		"CARGO_TARGET_DIR=$checkout/build/coverage" "$program" llvm-cov "$@" \
		--branch --manifest-path "$checkout/selftests/policy/Cargo.toml"
}

# The first command removes what was counted before.
run coverage-tests 0 in_coverage --offline --locked --json \
	--output-path "$checkout/build/coverage/coverage.json"
run coverage-lines 0 in_coverage report --lcov --output-path "$checkout/build/coverage/lcov.info"
exec "$here/in-toolchain.sh" python3 -B "$checkout/scripts/machine/policy_coverage.py" \
	"$checkout/build/coverage"
