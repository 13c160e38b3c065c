# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The module as it would be if it were built for other kernels, which this one must refuse.

# edit FILE SCRIPT: sed it, and see that it has changed.
edit() {
	cp "$1" "$1.orig"
	sed -i -E "$2" "$1"
	! cmp -s "$1" "$1.orig" || die "${1##*/}: nothing to edit for a module of another kernel"
	rm "$1.orig"
}

OTHER_MODULES="swapped argument unpatched trimmed"

# As the module is that was built for another kernel. Each edits a copy of KVM's headers and of
# the module's source that it is in.
#
# swapped: two fields of the same size stand in the other order.
edit_swapped() {
	edit headers/linux/kvm_host.h \
		'/^struct kvm_vcpu \{/,/^\};/ { /^\tu64 requests;/ { N; s/(.*)\n(.*)/\2\n\1/ } }'
}

# argument: a function has one more.
edit_argument() {
	edit headers/kvm/nvmx-functions.h \
		'/, kvm_translate_gpa,/,/\)/ s/u64 pte_access/&, int more/'
	edit headers/kvm/mmu.h '/ kvm_translate_gpa\(/,/\)/ s/u64 pte_access/&, int more/'
	edit rust_kvm_nvmx/kvm/calls.rs '/\.kvm_translate_gpa\(/,/^ *0,$/ s/^ *0,$/& 0,/'
}

# unpatched: KVM has no hook table, as far as the module can see.
edit_unpatched() {
	edit rust_kvm_nvmx/kvm/client.rs 's/c"(kvm_nvmx_(un)?register)"/c"\1_"/'
}

# trimmed: nor this one, which was configured to drop exports that it does not use itself.
edit_trimmed() {
	edit_unpatched
	edit rust_kvm_nvmx/kvm/client.rs 's/cfg!\(CONFIG_TRIM_UNUSED_KSYMS\)/true/'
}

# Before all other directories: the headers that are not edited are copies.
make_other() {
	make_module "M=$1" "MO=$1/out" \
		"NOSTDINC_FLAGS=-nostdinc -I$1/headers -I$1/headers/kvm" modules
}

# build_other DIR: rust_kvm_nvmx_NAME.ko for each of the names.
build_other() {
	local name tree srctree=$kdir
	[ -d "$srctree/arch/x86/kvm" ] || srctree=$kdir/source
	for name in $OTHER_MODULES; do
		tree=$1/$name
		mkdir -p "$tree/headers/linux" "$tree/headers/kvm"
		cp -r "$checkout/Kbuild" "$checkout/rust_kvm_nvmx" "$tree"
		cp "$srctree/include/linux/kvm_host.h" "$tree/headers/linux"
		(cd "$srctree/arch/x86/kvm" && find . -name '*.h' -print0 |
			tar -cf - --null -T -) | tar -xf - -C "$tree/headers/kvm"
		(cd "$tree" && "edit_$name")
		run "building a module with $name" 0 make_other "$tree"
		cp "$tree/out/rust_kvm_nvmx/rust_kvm_nvmx.ko" "$1/rust_kvm_nvmx_$name.ko"
		rm -rf "$tree"
	done
}

# other_modules: the directory with them.
other_modules() {
	local kdir files key
	use_kernel
	# The tests of the rules are no part of the module.
	mapfile -t files < <(find "$checkout/Kbuild" "$checkout/rust_kvm_nvmx" -type f \
		! -path '*/policy_tests/*' ! -name '*kunit*' ! -name Kconfig | sort)
	files+=("$here/other-modules.sh")
	key=$( (hash_files "${files[@]}"; sha256sum <"$kdir/Module.symvers"; echo "$kdir") | hash_of)
	entry other-modules "$key" 50 "building the module as for other kernels" build_other
}
