# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A row's kernel when the series has changed. If the cache has the row with another series, and KVM
# is modules there, these alone are built anew: nothing else reads what the series changes. Uses
# $base, $file, $name and $from of kernel_row.

# What the series may change for that.
kvm_paths=(arch/x86/kvm virt/kvm arch/x86/include/asm/kvm_host.h include/linux/kvm_host.h)

# series_id TREE: of the patches that TREE was built with, as kernel.sh calls them in a name.
series_id() {
	local patch
	for patch in "$1"/.nvmx-patches/*.patch; do
		printf '%s ' "${patch_dir#"$checkout"/}/${patch##*/}"
		sha256sum <"$patch"
	done | hash_of
}

# pmu_of TREE: the one structure of these headers that the kernel itself uses, in
# arch/x86/events/intel/core.c.
pmu_of() { sed -n '/^struct kvm_pmu {/,/^};/p' "$1/arch/x86/include/asm/kvm_host.h"; }

# changes_kvm_alone TREE: whether TREE and $base differ in $kvm_paths alone, and in nothing of
# those that decides about the rest.
changes_kvm_alone() {
	local allowed others
	allowed=$(printf '|[ab]/%s(/|$)' "${kvm_paths[@]}")
	others=$(grep -hE '^(---|\+\+\+) ' {"$1","$base"}/.nvmx-patches/*.patch | cut -c5- |
		grep -vE "^(/dev/null$allowed)") || true
	[ -z "$others" ] && grep -qx CONFIG_KVM=m "$1/.config" &&
		cmp -s {"$1","$base"}/arch/x86/kvm/Kconfig && [ "$(pmu_of "$1")" = "$(pmu_of "$base")" ]
}

# of_other_series: print the row's kernel that differs in the series alone, if there is one: with
# its series, the row's entry would have its name.
of_other_series() {
	local tree patched
	patched=$(basename "$base")
	for tree in "$cache/$name"/*; do
		[ -d "$tree/.nvmx-patches" ] || continue
		[ "${tree##*/}" = "$(row_key "${patched%-*}-$(series_id "$tree")")" ] || continue
		if changes_kvm_alone "$tree"; then
			echo "$tree"
			return
		fi
	done
}

# copy_kvm TREE: KVM's sources of $base, and its patches.
copy_kvm() {
	tar -C "$base" --exclude='*.o' --exclude='*.ko' --exclude='*.mod' --exclude='*.mod.c' --exclude='.*.cmd' \
		-cf - .nvmx-patches "${kvm_paths[@]}" | tar -C "$1" -xf -
}

# make_kvm TREE: as a module of its own is built, which needs no sources but these.
make_kvm() {
	local make_variables
	read -ra make_variables <<<"$(row_value "$file" make)"
	in_tools make -C "$1" "${make_variables[@]}" M=arch/x86/kvm -j "$JOBS" modules
}

build_kvm() {
	local start=$SECONDS
	run "copying ${from#"$cache"/}" 0 cp -a "$from/." "$1"
	rm -rf "$1"/{.nvmx-patches,.nvmx-seconds,arch/x86/kvm,virt/kvm}
	copy_kvm "$1"
	sed -i '/\tarch\/x86\/kvm\//d' "$1/Module.symvers"
	run "building KVM of $name" 0 make_kvm "$1"
	sed 's:\tkvm:\tarch/x86/kvm/kvm:' "$1/arch/x86/kvm/Module.symvers" >>"$1/Module.symvers"
	find "$1"/{arch/x86/kvm,virt/kvm} -name '*.o' -delete
	echo $((SECONDS - start)) >"$1/.nvmx-seconds"
}
