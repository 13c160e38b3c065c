#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# check-model.sh [--full]: the model checker that drives the module's rules, and its tests. It needs
# no kernel. --full explores all states, which takes more than 9 GB of memory.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
'' | --full) ;;
*) die "usage: check-model.sh [--full]" ;;
esac
make_build model
use_tools toolchain
crates=$("$here/setup.sh" model-crates)
manifest=$checkout/selftests/model/Cargo.toml

in_model() {
	in_tools env "CARGO_HOME=$crates" cargo "$@" --offline --locked --release \
		--manifest-path "$manifest" --target-dir "$checkout/build/model"
}

run model-build 0 in_model build
run model-tests 0 in_model test
in_tools "$checkout/build/model/release/nvmx-model" "$@"
cargo_passed model model-tests
