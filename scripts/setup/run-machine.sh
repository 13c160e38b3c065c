#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# run-machine.sh WHAT [ARGUMENT...]: make what the machine needs, and call its runner. WHAT is one
# of those of the usage below. `make` calls this; its variables are read here and in
# machine-args.sh, ARGUMENTs go to the runner as they are.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/machine-args.sh"
. "$here/row.sh"

# A variable of its own for each path: a failed $(path ...) among the words of one command would go
# unseen.

# add_upstream: the kernel's own KVM selftests.
add_upstream() {
	local upstream
	upstream=$(path kselftests-upstream)
	args+=(--upstream "$upstream/bin")
}

# add_helpers: the modules that tests load.
add_helpers() {
	local helpers cost name
	helpers=$(path test-modules)
	cost=$(path cost-module)
	for name in vpid_exhausted hooks_client late_reader vpids_used; do
		args+=(--extra-module "$helpers/$name.ko")
	done
	args+=(--extra-module "$cost/invalidation_cost.ko")
	# What a kernel with checkers must report.
	[ "$what" != test ] || [ -z "${ROW:-}" ] || args+=(--extra-module "$helpers/splats.ko")
}

# add_other_modules: the module as it would be for other kernels. Only one test needs it.
add_other_modules() {
	local other file
	[[ " ${T:-refusals}" = *" refusals"* ]] || return 0
	other=$(path other-modules)
	for file in "$other"/*.ko; do args+=(--extra-module "$file"); done
}

# add_suite: what only `make test` takes.
add_suite() {
	local line slower
	if [ -z "${T:-}" ]; then
		while read -r line; do args+=(--skipped "$line"); done <"$skipped"
	fi
	# On this project's own kernel and emulator no test lacks anything.
	if [ -z "${ROW:-}${KDIR:-}$series_dir" ] && [ "${TLBSAN:-1}" = 1 ]; then
		args+=(--no-skips)
	fi
	# virtme-ng cannot boot each row's kernel (row.sh).
	[ -n "$(row_head base)" ] || args+=(--vng vng)
	slower=$(row_head slower)
	[ -z "$slower" ] || args+=(--slower "$slower")
}

add_bench() {
	local stock
	stock=$(path kernel-stock)
	args+=(--stock "$stock")
	[ -z "${ALL:-}" ] || args+=(--workload all)
	[ -z "${OPTIONS:-}" ] || args+=(--options "$OPTIONS")
}

add_fuzz() {
	local string edit way
	[ -z "${MINUTES:-}" ] || args+=(--minutes "$MINUTES")
	for string in ${BYTES:-}; do args+=(--bytes "$string"); done
	for edit in ${T:-}; do args+=(--edit "$edit"); done
	for way in ${WAY:-}; do args+=(--way "$way"); done
}

add_soak() {
	local helpers
	helpers=$(path test-modules)
	args+=(--extra-module "$helpers/vpids_used.ko" --extra-module "$helpers/leaks.ko"
		--hours "${HOURS:-1}")
	[ -z "${PLANT:-}" ] || args+=(--plant "$PLANT")
	[ -z "${T:-}" ] || args+=(--edit "$T")
}

add_trace() {
	tools=$(path toolchain-trace)
	args+=(--tracer "${TRACER:-trace-cmd}"
		--workload "${T:-nested_workload --contexts 2 --ept own --rounds 1}")
}

# add_kvm_unit_tests: a copy of what the user has built. DIR may lie outside of what the toolchain
# is shown.
add_kvm_unit_tests() {
	local flat=$checkout/build/$series_dir${ROW:+matrix/$ROW/}$what/vmx.flat
	cp "$DIR/x86/vmx.flat" "$flat"
	args+=(--flat "$flat")
}

# add_choice OPTION: of tests or workloads, if the user has chosen.
add_choice() { [ -z "${T:-}" ] || args+=("$1" "$T"); }

no_choice() { [ -z "${T:-}" ] || die "T: make $what has no choice of tests"; }

# row_head KEY: what the head of ROW's file says, or nothing.
row_head() { [ -z "${ROW:-}" ] || row_value "$(row_file "$ROW")" "$1"; }

what=${1:-}
case $what in
test | vng | silicon | demo | shell | trace | bench | linux-l1 | kselftest | kvm-unit-tests | mutants | removals | history | fuzz | soak) shift ;;
test-full) what='test'; shift; set -- --full --timeout 9000 "$@" ;;
*) die "usage: run-machine.sh {test|test-full|vng|silicon|demo|shell|trace|bench|linux-l1|kselftest|kvm-unit-tests|mutants|removals|history|fuzz|soak} [ARGUMENT...]" ;;
esac
# Its kernel says which cache of the slab allocator memory is in.
if [ "$what" = soak ] && [ -z "${ROW:-}${KDIR:-}" ]; then export ROW=slabs; fi
case $what in
fuzz) number MINUTES 1 100000 ;;
soak)
	[[ ${HOURS:-1} =~ ^[0-9]{0,4}(\.[0-9]{1,4})?$ && ${HOURS:-1} =~ [1-9] ]] ||
		die "HOURS=$HOURS: give a number of hours, 0.25 for example"
	;;
kvm-unit-tests)
	[ -n "${DIR:-}" ] || die "DIR=CHECKOUT: give a checkout of kvm-unit-tests that you have built"
	[ -f "$DIR/x86/vmx.flat" ] ||
		die "there is no $DIR/x86/vmx.flat: \`cd $DIR && ./configure --arch=x86_64 && make x86/vmx.flat\`"
	;;
esac
make_build "$series_dir${ROW:+matrix/$ROW/}$what"
[ -z "$parameters" ] || [ "$what" = test ] ||
	die "EPT and KVM_INTEL are for make test and make tlbsan: the others have parameters of their own"

# What needs no machine comes first.
skipped=$checkout/build/host-skipped
case $what:${T:-} in
test:) "$here/host-tests.sh" "$skipped" ;;
mutants:) "$here/check-policy-mutants.sh" ;;
esac

# What each takes: the kernel, a machine, our selftests and the module.
case $what in
removals | history) kernel=$(path "kernel-$what") ;;
*) kernel=$(path kernel) ;;
esac
guest_tools=$(path guest-tools)
own=$(path selftests-own)
args=("$what" --out "$checkout/build/$series_dir${ROW:+matrix/$ROW/}$what"
	--kernel "$kernel" --tools "$guest_tools" --own "$own/rust_kvm_nvmx")
case $what in
vng | silicon)
	[ -z "${SEED:-}${SIM:-}" ] || die "SEED and SIM are for the emulated machine: unset them"
	add_common_args
	[ ! -e /dev/kvm ] || args+=(--owner "$(stat -c '%U:%G, mode %a' /dev/kvm)")
	;;
*)
	add_machine_args
	memory=$(row_head memory)
	[ -z "$memory" ] || args+=(--memory "$memory")
	;;
esac
cpus=$(row_head cpus)
[ -z "$cpus" ] || args+=(--cpus "$cpus")
if grep -qxF CONFIG_RUST_KVM_NVMX=y "$kernel/.config"; then
	[ "$what" = test ] || die "the module is part of $kernel: use another kernel, or make test"
elif [ "$what" != history ]; then
	module=$(path module)
	args+=(--module "$module/rust_kvm_nvmx.ko")
fi

# What only some take.
case $what in
test) add_upstream; add_helpers; add_other_modules; add_suite; add_choice --test ;;
vng | silicon) add_upstream; add_helpers; add_other_modules; add_choice --test ;;
history) add_upstream; add_helpers; add_choice --test ;;
mutants | removals) add_helpers; add_choice --test ;;
kselftest) add_helpers; args+=(--installed "$own"); add_choice --test ;;
kvm-unit-tests) add_kvm_unit_tests; add_choice --test ;;
shell) no_choice; add_upstream; add_helpers ;;
linux-l1) no_choice ;;
demo) add_choice --workload ;;
bench) add_bench; add_choice --workload ;;
trace) add_trace ;;
fuzz) add_fuzz ;;
soak) add_soak ;;
esac

RUST_KVM_NVMX_TOOLS=$tools exec "$here/in-toolchain.sh" \
	python3 "$checkout/scripts/machine/run.py" "${args[@]}" "$@"
