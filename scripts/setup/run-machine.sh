#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# run-machine.sh {test|demo|shell|bench|mutants|removals} [ARGUMENT...]: make what the
# emulated machine needs, and call its runner. `make` calls this; its variables T, V, CPUS,
# SEED, EPT, KVM_INTEL, SIM and TLBSAN are read here, ARGUMENTs go to the runner as they are.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# number NAME MIN MAX: see that the variable NAME, if set, is one of these.
number() {
	local value=${!1:-$2}
	if ! [[ $value =~ ^(0|[1-9][0-9]{0,8})$ ]] || ((value < $2 || value > $3)); then
		die "$1=$value: give a number from $2 to $3"
	fi
}

# path NAME: of what setup.sh makes.
path() { "$here/setup.sh" "$1"; }

what=${1:-}
case $what in
test | demo | shell | bench | mutants | removals) shift ;;
*) die "usage: run-machine.sh {test|demo|shell|bench|mutants|removals} [ARGUMENT...]" ;;
esac

number CPUS 1 8
number SEED 0 999999999
number EPT 0 1
number TLBSAN 0 1
parameters=${KVM_INTEL:-}
[ "${EPT:-1}" != 0 ] || parameters="ept=0 $parameters"
[ -z "$parameters" ] || [ "$what" = test ] ||
	die "EPT and KVM_INTEL are for make test: the others have parameters of their own"

# The user's own kernel may lack what the machine boots from, which the module's
# build has no need of.
if [ -n "${KDIR:-}" ] && [ ! -f "$KDIR/arch/x86/boot/bzImage" ]; then
	die "KDIR: $KDIR has no arch/x86/boot/bzImage: run \`make -C $KDIR bzImage\`"
fi

tools=$(path toolchain)
if [ "$what" = test ] && [ -z "${T:-}" ]; then "$here/host-tests.sh"; fi
args=("$what" --out "$checkout/build/$what")
# A variable of its own for each: a failed $(path ...) among the words of one
# command would go unseen.
if [ "$what" = bench ]; then stock=$(path kernel-stock); args+=(--stock "$stock"); fi
if [ "$what" = removals ]; then kernel=$(path kernel-removals); else kernel=$(path kernel-patched); fi
args+=(--kernel "$kernel")
guest_tools=$(path guest-tools)
args+=(--tools "$guest_tools")
own=$(path selftests-own)
args+=(--own "$own")
case $what in
test | shell) upstream=$(path kselftests-upstream); args+=(--upstream "$upstream/bin") ;;
esac
case $what in
test | shell | mutants | removals) helpers=$(path test-modules); args+=(--extra-module "$helpers/vpid_exhausted.ko" --extra-module "$helpers/hooks_client.ko") ;;
esac
module=$(path module)
args+=(--module "$module/rust_kvm_nvmx.ko")
if [ "${TLBSAN:-1}" = 0 ]; then
	tools=$(path toolchain-bochs)
	args+=(--bochs /usr/bin/bochs-bin --debian-bochs)
else
	bochs=$(path bochs)
	args+=(--bochs "$bochs/bochs")
fi
[ -z "${SIM:-}" ] || args+=(--simulate "$SIM")
[ -z "${T:-}" ] || args+=(--test "$T")
[ "${V:-0}" = 0 ] || args+=(--verbose)
[ -z "${CPUS:-}" ] || args+=(--cpus "$CPUS")
[ -z "${SEED:-}" ] || args+=(--seed "$SEED")
[ -z "$parameters" ] || args+=(--kvm-intel "$parameters")

mkdir -p "$checkout/build/$what"
RUST_KVM_NVMX_TOOLS=$tools exec "$here/in-toolchain.sh" \
	python3 "$checkout/scripts/machine/run.py" "${args[@]}" "$@"
