#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# run-machine.sh WHAT [ARGUMENT...]: make what the machine needs, and call its runner. WHAT is one
# of those of the usage below. `make` calls this; its variables are read here and in
# machine-args.sh, ARGUMENTs go to the runner as they are.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/machine-args.sh"
. "$here/row.sh"

# add_row_args: what ROW's kernel asks of the machine.
add_row_args() {
	local file slower key value
	file=$(row_file "$ROW")
	slower=$(row_value "$file" slower)
	if [ "$what" = test ]; then args+=(--extra-module "$helpers/splats.ko" --slower "${slower:-1}"); fi
	for key in memory cpus; do
		value=$(row_value "$file" "$key")
		[ -z "$value" ] || args+=("--$key" "$value")
	done
}

what=${1:-}
case $what in
test | vng | silicon | demo | shell | trace | bench | linux-l1 | kselftest | mutants | removals | history | fuzz | soak) shift ;;
test-full) what='test'; shift; set -- --full --timeout 9000 "$@" ;;
*) die "usage: run-machine.sh {test|test-full|vng|silicon|demo|shell|trace|bench|linux-l1|kselftest|mutants|removals|history|fuzz|soak} [ARGUMENT...]" ;;
esac
make_build "$series_dir${ROW:+matrix/$ROW/}$what"
[ -z "$parameters" ] || [ "$what" = test ] ||
	die "EPT and KVM_INTEL are for make test and make tlbsan: the others have parameters of their own"

skipped=$checkout/build/host-skipped
if [ "$what" = test ] && [ -z "${T:-}" ]; then "$here/host-tests.sh" "$skipped"; fi
if [ "$what" = mutants ] && [ -z "${T:-}" ]; then "$here/check-policy-mutants.sh"; fi
out=$checkout/build/$series_dir${ROW:+matrix/$ROW/}$what
args=("$what" --out "$out")
if [ "$what" = test ] && [ -z "${T:-}" ]; then
	while read -r line; do args+=(--skipped "$line"); done <"$skipped"
fi
# A variable of its own for each: a failed $(path ...) among the words of one
# command would go unseen.
if [ "$what" = bench ]; then
	stock=$(path kernel-stock)
	args+=(--stock "$stock")
	[ -z "${ALL:-}" ] || args+=(--workload all)
	[ -z "${OPTIONS:-}" ] || args+=(--options "$OPTIONS")
fi
case $what in
removals | history) kernel=$(path "kernel-$what") ;;
*) kernel=$(path kernel) ;;
esac
args+=(--kernel "$kernel")
guest_tools=$(path guest-tools)
args+=(--tools "$guest_tools")
own=$(path selftests-own)
args+=(--own "$own/rust_kvm_nvmx")
if [ "$what" = kselftest ]; then args+=(--installed "$own"); fi
case $what in
test | vng | silicon | shell | history) upstream=$(path kselftests-upstream); args+=(--upstream "$upstream/bin") ;;
esac
case $what in
test | vng | silicon | shell | kselftest | mutants | removals | history)
	helpers=$(path test-modules)
	cost=$(path cost-module)
	args+=(--extra-module "$helpers/vpid_exhausted.ko" --extra-module "$helpers/hooks_client.ko"
		--extra-module "$helpers/late_reader.ko"
		--extra-module "$helpers/vpids_used.ko" --extra-module "$cost/invalidation_cost.ko")
	;;
esac
if [ "$what" = soak ]; then
	helpers=$(path test-modules)
	args+=(--extra-module "$helpers/vpids_used.ko" --extra-module "$helpers/leaks.ko")
fi
# Only one test needs the module as it would be for other kernels.
case $what in
test | vng | silicon)
	if [[ " ${T:-refusals}" = *" refusals"* ]]; then
		other=$(path other-modules)
		for file in "$other"/*.ko; do
			args+=(--extra-module "$file")
		done
	fi
	;;
esac
if grep -qxF CONFIG_RUST_KVM_NVMX=y "$kernel/.config"; then
	[ "$what" = test ] || die "the module is part of $kernel: use another kernel, or make test"
elif [ "$what" != history ]; then
	module=$(path module)
	args+=(--module "$module/rust_kvm_nvmx.ko")
fi
case $what in
vng | silicon)
	add_common_args
	[ ! -e /dev/kvm ] || args+=(--owner "$(stat -c '%U:%G, mode %a' /dev/kvm)")
	;;
*) add_machine_args ;;
esac
if [ "$what" = trace ]; then tools=$(path toolchain-trace); fi
# On this project's own kernel and emulator no test lacks anything.
if [ "$what" = test ] && [ -z "${ROW:-}${KDIR:-}$series_dir" ] && [ "${TLBSAN:-1}" = 1 ]; then
	args+=(--no-skips)
fi
# virtme-ng cannot boot each row's kernel (row.sh).
if [ "$what" = test ] && { [ -z "${ROW:-}" ] || [ -z "$(row_value "$(row_file "$ROW")" base)" ]; }; then
	args+=(--vng vng)
fi
if [ "$what" = trace ]; then
	args+=(--tracer "${TRACER:-trace-cmd}" --workload "${T:-nested_workload --contexts 2 --ept own --rounds 1}")
elif [ "$what" = fuzz ]; then
	number MINUTES 1 100000
	[ -z "${MINUTES:-}" ] || args+=(--minutes "$MINUTES")
	for string in ${BYTES:-}; do args+=(--bytes "$string"); done
	for edit in ${T:-}; do args+=(--edit "$edit"); done
	for way in ${WAY:-}; do args+=(--way "$way"); done
elif [ "$what" = soak ]; then
	[[ ${HOURS:-1} =~ ^[0-9]{0,4}(\.[0-9]{1,4})?$ && ${HOURS:-1} =~ [1-9] ]] ||
		die "HOURS=$HOURS: give a number of hours, 0.25 for example"
	args+=(--hours "${HOURS:-1}")
	[ -z "${PLANT:-}" ] || args+=(--plant "$PLANT")
	[ -z "${T:-}" ] || args+=(--edit "$T")
elif [ -n "${T:-}" ]; then
	case $what in
	demo | bench) args+=(--workload "$T") ;;
	shell | linux-l1) die "T: make $what has no choice of tests" ;;
	*) args+=(--test "$T") ;;
	esac
fi
if [ -n "${ROW:-}" ]; then add_row_args; fi

RUST_KVM_NVMX_TOOLS=$tools exec "$here/in-toolchain.sh" \
	python3 "$checkout/scripts/machine/run.py" "${args[@]}" "$@"
