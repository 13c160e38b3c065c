# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernels of the emulated machine: as Debian or kernel.org has it, with
# patches/, with selftests/removals/ on top of those, and with selftests/history/ alone.
# They differ in the patches only, so all but the first asked for start as a copy of
# the one that is nearest, and make builds what the patches touch.

config=("$checkout/scripts/kernel/kernel.config" "$checkout/scripts/kernel/virtme-ng.config")
patch_dir=$checkout/patches/linux-$KERNEL_SERIES
removals_patch=$checkout/selftests/removals/linux-$KERNEL_SERIES.patch
history_patch=$checkout/selftests/history/linux-$KERNEL_SERIES.patch

# Where every kernel is built, whatever its entry is called: rustc's dependency
# files hold absolute paths.
kernel_place=$cache/kernel-build

# in_common TREE: how many of $patches it was built with, from the first on.
in_common() {
	local old=() number=0
	[ ! -d "$1/.nvmx-patches" ] || mapfile -t old < <(find "$1/.nvmx-patches" -name '*.patch' | sort)
	while [ "$number" -lt ${#old[@]} ] && cmp -s "${old[number]}" "${patches[number]:-}"; do
		number=$((number + 1))
	done
	echo "$number"
}

# sibling BASE: of the kernels of the same source, configuration and toolchain, the
# one with the most patches in common.
sibling() {
	local dir best='' most=-1
	for dir in "$cache/kernel-stock/$1" "$cache"/kernel-{patched,removals,history}/"$1"-*; do
		if [ ! -d "$dir" ] || [ "${dir%.part}" != "$dir" ]; then
			continue
		fi
		[ "$(in_common "$dir")" -gt "$most" ] || continue
		best=$dir
		most=$(in_common "$dir")
	done
	echo "$best"
}

# patch_error PATCH LOG
patch_error() {
	local what
	what=$(sed -nE "s/.*saving rejects to file (.*)\.rej/\1/p; s/.*can't find file to patch.*/a file that this kernel has not/p" "$2" |
		sort -u | paste -sd' ')
	die "${1#"$checkout"/} does not apply to this $(cat "$origin"), at: ${what:-see $2}: use Linux $KERNEL_SERIES.y ($KERNEL_TESTED was tested), or correct the patch"
}

# apply_patches TREE [-R] PATCH...: without fuzz.
apply_patches() {
	local tree=$1 reverse='' patch log=$logs/patch.log
	shift
	make_build logs
	[ "${1:-}" != -R ] || { reverse=-R; shift; }
	for patch; do
		in_tools patch -d "$tree" -p1 -F0 -f -s --no-backup-if-mismatch ${reverse:+"$reverse"} -i "$patch" >"$log" 2>&1 ||
			patch_error "$patch" "$log"
	done
}

# build_kernel TREE: uses $base, $origin, $source and $patches of `kernel`.
build_kernel() {
	local tree=$1 from old version lines=0 common=0
	from=$(sibling "$base")
	if [ -n "$from" ]; then
		run "copying ${from#"$cache"/}" 0 cp -a --reflink=auto "$from/." "$tree"
		if [ -d "$tree/.nvmx-patches" ]; then
			common=$(in_common "$tree")
			mapfile -t old < <(find "$tree/.nvmx-patches" -name '*.patch' | sort | tail -n "+$((common + 1))" | sort -r)
			apply_patches "$tree" -R "${old[@]}"
			rm -r "$tree/.nvmx-patches"
		fi
	else
		run "unpacking $(cat "$origin")" 0 in_tools tar -xf "$source/linux.tar" -C "$tree" --strip-components=1
		version=$(in_tools make -s -C "$tree" kernelversion)
		case $version in
		"$KERNEL_TESTED") ;;
		"$KERNEL_SERIES".*) say "  this is Linux $version; $KERNEL_TESTED is what was tested" ;;
		*) die "$(cat "$origin") is Linux $version, and patches/ is for $KERNEL_SERIES: give one of its releases as KERNEL_TARBALL=, or another KERNEL=" ;;
		esac
	fi
	if [ ${#patches[@]} != 0 ]; then
		mkdir "$tree/.nvmx-patches"
		cp "${patches[@]}" "$tree/.nvmx-patches"
		apply_patches "$tree" "${patches[@]:common}"
	fi
	# About as many lines as the full build prints.
	[ -n "$from" ] || lines=2370
	run "building $name" "$lines" \
		in_tools --at "$tree" "$kernel_place" "$here/kernel-build.sh" "$tree" "$kernel_place" "${config[@]}"
}

# kernel NAME [PATCH...]
kernel() {
	local name=$1 tools source origin base key patches
	shift
	patches=("$@")
	tools=$(need toolchain)
	source=$(need kernel-source)
	origin=$source/origin
	base=$( (cat "$source/sha256"; toolchain_id "$tools"; grep -h '^CONFIG_' "${config[@]}"; cat "$here/kernel-build.sh") | hash_of)
	key=$base
	[ ${#patches[@]} = 0 ] || key=$base-$(hash_files "${patches[@]}")
	export RUST_KVM_NVMX_TOOLS=$tools
	entry "$name" "$key" 3500 "building Linux from $(cat "$origin") (up to 10 min on 2 cores)" build_kernel
}

# kernel_patched: with the patches, or the user's own tree, KDIR.
kernel_patched() {
	local patches
	if [ -n "${KDIR:-}" ]; then
		check_kdir
		return
	fi
	mapfile -t patches < <(find "$patch_dir" -name '*.patch' | sort)
	[ ${#patches[@]} != 0 ] || die "$patch_dir holds no patches: the checkout is not whole"
	kernel kernel-patched "${patches[@]}"
}

# kernel_removals: kernel-patched, in which TLB flushes can be taken out at run time.
kernel_removals() {
	local patches
	[ -z "${KDIR:-}" ] || die "the removals need the kernel that is built here: unset KDIR"
	[ -f "$removals_patch" ] || die "there is no ${removals_patch#"$checkout"/}: the removals are for KERNEL=$DEFAULT_SERIES alone"
	mapfile -t patches < <(find "$patch_dir" -name '*.patch' | sort)
	kernel kernel-removals "${patches[@]}" "$removals_patch"
}

# kernel_history: kernel-stock, in which fixes of TLB flushes can be undone at run time.
kernel_history() {
	[ -z "${KDIR:-}" ] || die "the fixes are undone in the kernel that is built here: unset KDIR"
	[ -f "$history_patch" ] || die "there is no ${history_patch#"$checkout"/}: the fixes are undone for KERNEL=$DEFAULT_SERIES alone"
	kernel kernel-history "$history_patch"
}
