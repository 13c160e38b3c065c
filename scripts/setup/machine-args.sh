# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables of `make` that say how the machine is: checked at once, and by
# add_machine_args made arguments of its runner.

# path NAME: of what setup.sh makes.
path() { "$here/setup.sh" "$1"; }

# number NAME MIN MAX: see that the variable NAME, if set, is one of these.
number() {
	local value=${!1:-$2}
	if ! [[ $value =~ ^(0|[1-9][0-9]{0,8})$ ]] || ((value < $2 || value > $3)); then
		die "$1=$value: give a number from $2 to $3"
	fi
}

number CPUS 1 8
number SEED 0 999999999
number EPT 0 1
number TLBSAN 0 1
parameters=${KVM_INTEL:-}
[ "${EPT:-1}" != 0 ] || parameters="ept=0 $parameters"

# The user's own kernel may lack what the machine boots from, which the module's
# build has no need of.
if [ -n "${KDIR:-}" ] && [ ! -f "$KDIR/arch/x86/boot/bzImage" ]; then
	die "KDIR: $KDIR has no arch/x86/boot/bzImage: run \`make -C $KDIR bzImage\`"
fi

# add_common_args: append to $args what any machine takes; sets $tools, which it runs in.
add_common_args() {
	tools=$(path toolchain)
	[ "${V:-0}" = 0 ] || args+=(--verbose)
	[ -z "${CPUS:-}" ] || args+=(--cpus "$CPUS")
}

# add_machine_args: the same, and the emulator with its own.
add_machine_args() {
	local bochs
	add_common_args
	if [ "${TLBSAN:-1}" = 0 ]; then
		tools=$(path toolchain-bochs)
		args+=(--bochs /usr/bin/bochs-bin --debian-bochs)
	else
		bochs=$(path bochs)
		args+=(--bochs "$bochs/bochs")
	fi
	[ -z "${SEED:-}" ] || args+=(--seed "$SEED")
	[ -z "${SIM:-}" ] || args+=(--simulate "$SIM")
	[ -z "$parameters" ] || args+=(--kvm-intel "$parameters")
}
