# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A row of the matrix: kernel-patched with ROW's fragment of configuration on top of
# scripts/kernel/kernel.config. The head of the fragment has lines `# KEY: VALUE`:
#   for     what the row is there to find
#   expect  what must come of it: "works", or one of the words of scripts/setup/matrix.sh
#   tools   "more": packages-matrix.txt are needed
#   make    variables of the kernel's make, e.g. LLVM=1
#   base    "debian": the fragment goes on top of Debian's own configuration, less all that it has
#           as a module. "emulated": on top of kernel.config alone, without what virtme-ng needs:
#           for a row in which all is compiled anew. Else on top of scripts/kernel/*.config
#   in-tree "yes": the module is put into the kernel's tree, see in-tree.sh
#   without NAME...: REASON  tests of matrix.tests that cannot run
#   memory  MB of the emulated machine
#   cpus    its processors
#   slower  how many times as long as on the plain kernel a test may take

rows=$checkout/scripts/kernel/matrix

# row_file ROW
row_file() {
	[ -f "$rows/$1.config" ] ||
		die "ROW: there is no $1, but: $(cd "$rows" && printf '%s\n' *.config | sed 's/\.config$//' | paste -sd' ')"
	[ -z "${KDIR:-}" ] || die "ROW is a kernel that is built here: unset KDIR"
	echo "$rows/$1.config"
}

# row_value FILE KEY: the line's value, or nothing.
row_value() { sed -n "s/^# $2: //p" "$1"; }

# row_tests ROW: the tests of a row, less those that its head leaves out.
row_tests() {
	local without
	without=$(row_value "$rows/$1.config" without | sed 's/:.*//; s/ /|/g')
	sed 's/#.*//' "$rows/../matrix.tests" | awk 'NF' | grep -vxE "${without:-}" | paste -sd' '
}
