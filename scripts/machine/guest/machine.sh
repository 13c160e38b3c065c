# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC3045
# What the plan and the console may call, inside the machine.

counters=/sys/kernel/debug/rust_kvm_nvmx
tracing=/sys/kernel/tracing
heartbeat=0
number=0
modules=

# The host reads these lines; the empty line ends whatever a test left open. The shell gets a
# signal whenever a process that nobody waits for ends. If it waits for the port then, the rest of
# the line is lost, and printf fails. So a line may come twice, the first time in part.
report() {
	tries=0
	until printf '\n@machine %s\n' "$*" || [ "$tries" = 20 ]; do tries=$((tries + 1)); done
}

kernel_log() {
	echo "machine: $*" >/dev/kmsg
}

# load NAME [OPTION...]: insert one of the kernel's own modules. One that is
# built in, or that this kernel does not have, has no file.
load() {
	[ -e "/modules/$1.ko" ] || return 0
	file=/modules/$1.ko
	shift
	insmod "$file" "$@" || report broken "insmod $file $* failed"
}

# probe EVENT PLACE: count by the kprobe event EVENT how often PLACE is executed.
# An optimized kprobe is a jump of 5 bytes in the place of the instructions. The
# kernel does not see if a static branch leads to one of them: none may be.
probe() {
	if ! { echo 0 >/proc/sys/debug/kprobes-optimization &&
		echo "p:$1 $2" >>$tracing/kprobe_events &&
		echo 1 >"$tracing/events/kprobes/$1/enable"; } 2>/dev/null; then
		report noprobe "$1"
	fi
}

# Totals since boot; the host takes the differences.
report_probes() {
	[ -r $tracing/kprobe_profile ] || return 0
	# What a kprobe missed, since another one was at work, was executed too.
	while read -r event hits missed; do
		[ $((hits + missed)) = 0 ] || report probe "$event" $((hits + missed))
	done <$tracing/kprobe_profile
}

report_counters() {
	[ -r $counters/counters ] || return 0
	while read -r counter value; do
		report counter "$counter" "$value"
	done <$counters/counters
}

# What the kernel knows to be wrong with itself, whatever became of its messages.
report_taint() {
	[ -r /proc/sys/kernel/tainted ] || return 0
	read -r taint </proc/sys/kernel/tainted
	report taint "$taint"
}

# Where the modules' code is, for the host to name functions by their addresses.
report_modules() {
	now=$(cut -d ' ' -f 1,6 /proc/modules | tr '\n' ' ')
	[ "$now" = "$modules" ] || report modules "$now"
	modules=$now
}

# In the kernel itself it has no directory there, since it has no parameters in sysfs.
module_state() {
	if [ -d /sys/module/rust_kvm_nvmx ] || [ -d $counters ]; then echo loaded; else echo absent; fi
}

# Sends a sign of life through the kernel's log while a step runs. It has no child that would
# outlive it.
beat() {
	while :; do
		read -t "$heartbeat" -r _ <>/tmp/never
		kernel_log alive
	done
}

# step STATE NAME SECONDS COMMAND...: run one command and report on it. The
# module's state is reported before it runs, so that a test cannot pass in a
# state it was not planned for.
step() {
	state=$1 step=$2 limit=$3
	shift 3
	kernel_log begin "$step"
	report begin "$step"
	report_modules
	case $* in
	insmod* | rmmod*) ;;
	*) [ "$state" = "$(module_state)" ] || report wrongstate "$(module_state)" ;;
	esac
	[ -w $counters/reset ] && echo 1 >$counters/reset
	[ -p /tmp/never ] || mkfifo /tmp/never
	[ "$heartbeat" = 0 ] || beat &
	read -r start _ </proc/uptime
	number=$((number + 1))
	tsmark "step.$number"
	timeout -s KILL "$limit" "$@"
	status=$?
	tsmark idle
	read -r end _ </proc/uptime
	[ "$heartbeat" = 0 ] || { kill $! && wait $!; } 2>/dev/null
	report_counters
	report_probes
	report_modules
	report_taint
	kernel_log end "$step"
	report end "$step" "$status" "$start" "$end"
}
