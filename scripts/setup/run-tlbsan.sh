#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# run-tlbsan.sh [ARGUMENT...]: the oracle on a kernel, KDIR or the patched one, with the
# KVM selftests that T names: of that kernel's own, of ours, or a program by its path.
# ARGUMENTs go to the runner as they are.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/machine-args.sh"

[ "${TLBSAN:-1}" = 1 ] || die "TLBSAN=0 is the machine without the oracle"
number MODULE 0 1
make_build tlbsan
out=$checkout/build/tlbsan
programs=$out/programs
rm -rf "$programs"
mkdir -p "$programs"

args=(tlbsan --out "$out" --given "$programs")
from_kernel='' ours=''
for test in ${T:-}; do
	args+=(--program "${test##*/}")
	case $test in
	*/*)
		[ -f "$test" ] || die "T: there is no $test"
		# Where the toolchain's file system has it too.
		cp "$test" "$programs"
		;;
	*) if [ -f "$checkout/selftests/$test.c" ]; then ours=1; else from_kernel=1; fi ;;
	esac
done
[ -n "${T:-}" ] || from_kernel=1 ours=1

kernel=$(path kernel-any)
args+=(--kernel "$kernel")
guest_tools=$(path guest-tools)
args+=(--tools "$guest_tools")
if [ -n "$ours" ]; then own=$(path selftests-own); args+=(--own "$own/rust_kvm_nvmx"); fi
if [ -n "$from_kernel" ]; then upstream=$(path kselftests-any); args+=(--upstream "$upstream/bin"); fi
if [ "${MODULE:-1}" = 1 ] && has_hook_table "$kernel"; then
	module=$(path module)
	args+=(--module "$module/rust_kvm_nvmx.ko")
fi
add_machine_args

RUST_KVM_NVMX_TOOLS=$tools exec "$here/in-toolchain.sh" \
	python3 "$checkout/scripts/machine/run.py" "${args[@]}" "$@"
