#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# nets.sh: wrong rules, one at a time (selftests/nets.toml): what notices which? Each is an edit
# in a copy of the checkout, and the commands of the nets run there. T is one row, or several; NETS
# is some of the nets. What they say is in build/nets/ROW, and the table in build/nets/nets.md.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

RUST_KVM_NVMX_TOOLS=$("$here/setup.sh" toolchain)
make_build nets
out=$checkout/build/nets
tree=$out/tree

nets() { RUST_KVM_NVMX_TOOLS=$RUST_KVM_NVMX_TOOLS in_tools python3 -B "$checkout/scripts/machine/nets.py" "$@"; }

# copy: the checkout at $tree. What is the same there stays as old as it is: cargo and make look.
copy() {
	local file
	cd "$checkout"
	git ls-files --cached --others --exclude-standard | while read -r file; do
		if [ -f "$file" ] && ! cmp -s "$file" "$tree/$file"; then
			mkdir -p "$tree/$(dirname "$file")"
			cp "$file" "$tree/$file"
		fi
	done
}

# net NAME COMMAND...: run it in the copy, unless it is not asked for.
net() {
	local name=$1 status=0 start=$SECONDS
	shift
	[[ " ${NETS:-$name} " = *" $name "* ]] || return 0
	# make would pass its variables on.
	(unset T NETS MAKEFLAGS MAKELEVEL; cd "$tree" && "$@") >"$out/$row/$name.log" 2>&1 </dev/null || status=$?
	echo "$status" >"$out/$row/$name.status"
	say "  $row: $name: status $status, $(clock $((SECONDS - start)))"
}

panics() {
	local calls
	calls=$(panics_in build/module/rust_kvm_nvmx/rust_kvm_nvmx.ko) || return
	say "$calls"
	[ -z "$calls" ]
}

machine() {
	local tests
	tests=$(nets tests "$row") || return
	[ -z "$tests" ] || make test "T=$tests"
}

for row in ${T:-$(nets list)}; do
	copy
	nets edit "$row" "$tree" || exit 99
	mkdir -p "$out/$row"
	net compiler make module
	net unit make check-policy
	net properties make check-properties
	net parser make fuzz-parser MINUTES=1
	net model make model
	# The others are of a module that was built.
	if grep -qsx 0 "$out/$row/compiler.status"; then
		net panics panics
		# Those of an earlier run say nothing of this one.
		if [[ " ${NETS:-machine} " = *" machine "* ]]; then rm -f "$out/$row/results.json"; fi
		rm -f "$tree/build/test/results.json"
		net machine machine
		cp "$tree/build/test/results.json" "$out/$row/" 2>/dev/null || true
		net fuzz make fuzz MINUTES=2
	elif [ ! -f "$out/$row/compiler.status" ]; then
		say "  $row: panics, machine, fuzz: not without the net compiler, which builds the module"
	fi
done
nets table "$out" | tee "$out/nets.md"
