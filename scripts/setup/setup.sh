#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# setup.sh NAME: see that NAME exists, making what is missing, and print its path.
# What it makes is in the cache, but for the modules, which are in build/ of the checkout. It may be
# killed at any time.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/entry.sh"
. "$here/host.sh"
. "$here/rights.sh"
. "$here/rootfs.sh"
. "$here/toolchain.sh"
. "$here/fetch.sh"
. "$here/kernel.sh"
. "$here/row.sh"
. "$here/kernel-row.sh"
. "$here/kernel-row-kvm.sh"
. "$here/kdir.sh"
. "$here/emulator.sh"
. "$here/debian-xen.sh"
. "$here/selftests.sh"
. "$here/own-selftests.sh"
. "$here/kdir-selftests.sh"
. "$here/module.sh"
. "$here/other-modules.sh"

# need NAME: the one place that knows who makes what.
need() {
	case $1 in
	toolchain) if [ -n "${RUST_KVM_NVMX_TOOLS:-}" ]; then echo "$RUST_KVM_NVMX_TOOLS"; else toolchain; fi ;;
	# The same with Debian's own Bochs, which brings a desktop's libraries along.
	toolchain-bochs) EXTRA_PACKAGES="bochs-term /usr/bin/bochs-bin" toolchain ;;
	# The same with what `make deb` packs with.
	toolchain-deb) EXTRA_PACKAGES="debhelper dh" toolchain ;;
	# The same with what `make trace` records with.
	toolchain-trace) EXTRA_PACKAGES=$(printf '%s\n' "trace-cmd /usr/bin/trace-cmd" \
		"linux-perf /usr/bin/perf" "bpftrace /usr/bin/bpftrace") toolchain ;;
	# The same with what the rows of the matrix need.
	toolchain-matrix) EXTRA_PACKAGES=$(sed 's/#.*//' "$here/packages-matrix.txt" | awk 'NF') toolchain ;;
	kernel-source) kernel_source ;;
	kernel-stock) kernel kernel-stock ;;
	kernel-patched) kernel_patched ;;
	# What the module is built for: a row of the matrix, KDIR, or the patched one.
	kernel) if [ -n "${ROW:-}" ]; then kernel_row; else kernel_patched; fi ;;
	kernel-removals) kernel_removals ;;
	kernel-history) kernel_history ;;
	# With our hooks or without: what the oracle runs on.
	kernel-any) if [ -n "${KDIR:-}" ]; then check_bootable_kdir; else kernel_patched; fi ;;
	kselftests-any) if [ -n "${KDIR:-}" ]; then kdir_selftests; else upstream; fi ;;
	bochs) bochs ;;
	guest-tools) guest_tools ;;
	debian-xen) debian_xen ;;
	kselftests-upstream) upstream ;;
	selftests-own) own ;;
	module) modules "$checkout" module rust_kvm_nvmx ;;
	rustdoc) rustdoc ;;
	test-modules) modules "$checkout/selftests/module" test-modules vpid_exhausted ;;
	cost-module) modules "$checkout/selftests/invalidation_cost" cost-module invalidation_cost ;;
	other-modules) other_modules ;;
	hook-cost) hook_cost ;;
	ruff) ruff ;;
	cargo-mutants) cargo_program "$1" "$CARGO_MUTANTS_VERSION" "the program that breaks the rules" ;;
	cargo-llvm-cov) cargo_program "$1" "$CARGO_LLVM_COV_VERSION" "what runs tests for their coverage" ;;
	cargo-fuzz) cargo_program "$1" "$CARGO_FUZZ_VERSION" "what builds fuzzers" ;;
	model-crates | parser_fuzz-crates | properties-crates) crates "${1%-crates}" ;;
	*) die "setup.sh NAME, one of: toolchain toolchain-bochs toolchain-deb toolchain-trace toolchain-matrix kernel-source kernel-stock kernel-patched kernel kernel-removals kernel-history kernel-any bochs guest-tools debian-xen kselftests-upstream kselftests-any selftests-own module rustdoc test-modules cost-module other-modules hook-cost ruff cargo-mutants cargo-llvm-cov cargo-fuzz model-crates parser_fuzz-crates properties-crates" ;;
	esac
}

# bash reads a script as it goes: nothing after this line, should the file change
# while a long build runs.
need "${1:-}"; exit
