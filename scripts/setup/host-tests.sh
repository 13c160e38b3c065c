#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# host-tests.sh SKIPPED: all tests that need no machine: the module's rules, the model checker,
# the runner of the emulated machine, and the emulator's counting. `make test` begins
# with them. What could not run is a line "NAME: REASON" in the file SKIPPED, which is made anew.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

skipped=${1:?usage: host-tests.sh SKIPPED}
: >"$skipped"

"$here/check-policy.sh"
if "$here/setup.sh" model-crates >/dev/null; then
	run model 0 "$here/check-model.sh"
	sed -n 's/^model: [0-9]* passed$/&/p' "$logs/model.log"
else
	echo "model: its crates could not be fetched: see the error above, or make model" >>"$skipped"
	say "$(tail -n 1 "$skipped")"
fi

use_tools toolchain
run runner-tests 0 in_tools python3 -B -m unittest discover \
	-s "$checkout/scripts/machine/tests" -t "$checkout/scripts/machine"
passed runner-tests runner-tests 's/^Ran ([0-9]+) tests? in .*/\1/p'
run witness-tests 0 in_tools make -s -C "$checkout/tlbsan/tests"
passed witness-tests witness-tests 's/^ok ([0-9]+) .*/\1/p'
