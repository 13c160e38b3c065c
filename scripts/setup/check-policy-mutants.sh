#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# check-policy-mutants.sh: the module's rules changed, one small change at a time.
# Do the tests that need no kernel notice? `make mutants` begins with this.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

use_tools toolchain
cargo_mutants=$("$here/setup.sh" cargo-mutants)
make_build policy-mutants
in_tools python3 -B "$checkout/scripts/machine/policy_mutants.py" --jobs "$JOBS" \
	--cargo-mutants "$cargo_mutants/bin/cargo-mutants" --out "$checkout/build/policy-mutants"
