# SPDX-License-Identifier: GPL-2.0
# What kselftest is to run of plan.txt, which is also the plan of the emulated machine.
#
#   awk -f runs.awk plan.txt              the programs that run without arguments
#   awk -v with=1 -f runs.awk plan.txt    the runs that need arguments, by name
#   awk -v run=NAME -f runs.awk plan.txt  the script of one of these
#
# Left out are the programs that load and unload rust_kvm_nvmx, or KVM, by themselves, and runs
# that take long.

BEGIN { FS = " *[|] *" }
/^#/ || NF < 5 || $4 ~ /rust_kvm_nvmx\.ko/ || $5 == "long" { next }

{
	name = $1
	if ($4 != "-")
		name = name "-" $4
	gsub(/MODULES\//, "", name)
	gsub(/[^A-Za-z0-9_]+/, "-", name)
	if (name in seen)
		next
	seen[name] = 1
}

run == "" && ($4 != "-") == (with == 1) { print name }

run == name {
	print "#!/bin/sh"
	print "# SPDX-License-Identifier: GPL-2.0"
	print "# Made from plan.txt."
	if (match($4, /MODULES\/[^ ]+/)) {
		module = "module/" substr($4, RSTART + 8, RLENGTH - 8)
		print "if [ ! -e " module " ]; then"
		print "\techo \"1..0 # SKIP no " module ": build the patched kernel first, then this\""
		print "\texit 4"
		print "fi"
	}
	sub(/MODULES\//, "module/", $4)
	print "exec ./" $1 " " $4
}
