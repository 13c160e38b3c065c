#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# hook-cost.sh: the instructions of each hook's body, in C and in Rust, from the
# modules as they are built.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_build hook-cost
kernel=$("$here/setup.sh" kernel)
module=$("$here/setup.sh" module)
objects=$("$here/setup.sh" hook-cost)
use_tools toolchain
in_tools python3 -B "$checkout/scripts/machine/hook_cost.py" --kernel "$kernel" \
	--module "$module/rust_kvm_nvmx.ko" --objects "$objects" --out "$checkout/build/hook-cost"
