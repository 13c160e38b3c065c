# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel of a row of the matrix (row.sh), built from a copy of kernel-patched.

# row_toolchain: print the tools that ROW's kernel is built with.
row_toolchain() {
	local file
	file=$(row_file "$ROW")
	if [ "$(row_value "$file" tools)" = more ]; then need toolchain-matrix; else need toolchain; fi
}

# row_config FILE: the whole configuration. An option of the fragment comes in the place of the
# same one of the base.
row_config() {
	local files=("${config[@]}")
	case $(row_value "$1" base) in
	debian) files=() ;;
	emulated) files=("$checkout/scripts/kernel/kernel.config") ;;
	esac
	if [ ${#files[@]} != 0 ]; then
		grep -h '^CONFIG_' "${files[@]}" | grep -vE "^CONFIG_($(fragment_options "$1"))=" || true
	fi
	grep '^CONFIG_' "$1" || true
}

# row_tools_id ROOT: of the tools that toolchain_id leaves out.
row_tools_id() {
	toolchain_id "$1"
	[ "$1" = / ] || awk '/^Package: / { package = $2 } /^Version: / { print package, $2 }' "$1/var/lib/dpkg/status" |
		grep -E '^(clang|lld|llvm|pahole|libdw)' || true
}

# Where no row but debian builds a file.
unbuilt=(Documentation arch/{alpha,arm,arm64,loongarch,m68k,mips,parisc,powerpc,riscv,s390,sh,sparc}
	drivers/{gpu,iio,infiniband,media,net/ethernet,net/wireless,scsi,staging,usb} samples sound
	tools/{perf,testing})

# copy_base TREE: less what no row builds, half of all files, but for what Kconfig and make read.
# $base itself is left out, too: another run that uses it changes its time, and tar fails.
copy_base() {
	local dir suffix leave_out=(--exclude=drivers/gpu/drm/amd/include)
	if [ "$(row_value "$file" base)" != debian ]; then
		for dir in "${unbuilt[@]}"; do
			for suffix in c h S dts dtsi json rst yaml; do leave_out+=("--exclude=$dir/*.$suffix"); done
		done
	fi
	find "$base" -mindepth 1 -maxdepth 1 -printf '%P\0' |
		tar -C "$base" "${leave_out[@]}" --null -T - -cf - | tar -C "$1" -xf -
}

# copy_kconfig TREE: what a configuration is made from, for a row that Kconfig must refuse.
copy_kconfig() {
	(cd "$base" && find Makefile scripts arch/x86/Makefile* arch/x86/configs kernel/configs -type f -print0 &&
		find . -name 'Kconfig*' -type f -print0) |
		tar -C "$base" --null -T - -cf - | tar -C "$1" -xf -
}

# trim TREE: of what the build has read, keep what the module's build and the machine take.
trim() {
	find "$1"/{Documentation,block,crypto,drivers,fs,ipc,mm,net,samples,security,sound,tools/perf,tools/testing} \
		-mindepth 1 -delete
	find "$1"/{arch,init,kernel,lib,virt} -name '*.o' ! -name 'vmlinux.o' -delete
}

# fragment_options FILE: their names, with "|" between them.
fragment_options() { sed -n 's/^CONFIG_\([A-Z0-9_]*\)=.*/\1/p' "$1" | paste -sd'|'; }

# depends_on TREE OPTION: what Kconfig says that it depends on, a line each.
depends_on() {
	find "$1" -name 'Kconfig*' -exec sed -n -E "/^(menu)?config $2\$/,/^(menu)?config / s/^[[:blank:]]+depends on //p" {} +
}

# why_lost TREE: for each option that did not stick, which of its dependencies name an option of
# the fragment.
why_lost() {
	local option on lost
	read -ra lost < <(sed -n 's/.*: did not stick: \(.*\) (.*/\1/p' "$logs/building-$name.log") || true
	for option in "${lost[@]}"; do
		option=${option%%=*}
		option=${option#CONFIG_}
		on=$(depends_on "$1" "$option" | grep -wE "$(fragment_options "$file")" | paste -sd'&' | sed 's/&/ \&\& /g') || true
		[ -z "$on" ] || say "Kconfig: $option depends on $on"
	done
}

# base_id: of the configuration that the fragment goes on top of, if it is Debian's.
base_id() { [ "$(row_value "$file" base)" != debian ] || sha256sum <"$(debian_config)"; }

# start_from_debian TREE: all that Debian has as a module is left out, which are drivers, file
# systems and protocols.
start_from_debian() {
	(sed 's/=m$/=n/' "$(debian_config)" && cat "$1/.nvmx-config") >"$1/.config"
	in_tools make -C "$1" "${make_variables[@]}" olddefconfig
}

# put_module TREE
put_module() { KDIR=$1 "$here/in-tree.sh"; }

# in_tree_id: of what put_module puts there and the kernel's build reads.
in_tree_id() {
	local files
	[ "$(row_value "$file" in-tree)" = yes ] || return 0
	mapfile -t files < <(find "$checkout/rust_kvm_nvmx" -type f | sort)
	hash_files "${files[@]}" "$checkout/scripts/machine/in_tree.py"
}

# Of a copy of kernel-patched, make builds what the fragment changes, which may be all.
build_row() {
	local make_variables start=$SECONDS copy=copy_base
	[[ $(row_value "$file" expect) != "refused Kconfig: "* ]] || copy=copy_kconfig
	run "copying ${base#"$cache"/}" 0 "$copy" "$1"
	if [ "$(row_value "$file" in-tree)" = yes ]; then
		run "putting the module into $name" 0 put_module "$1"
	fi
	rm -f "$1/.config"
	row_config "$file" >"$1/.nvmx-config"
	read -ra make_variables <<<"$(row_value "$file" make)"
	if [ "$(row_value "$file" base)" = debian ]; then
		run "configuring $name as Debian's" 0 start_from_debian "$1"
	fi
	if ! (run "building $name" 0 in_tools --at "$1" "$kernel_place" env "${make_variables[@]}" \
		"$here/kernel-build.sh" "$1" "$kernel_place" "$1/.nvmx-config"); then
		why_lost "$1"
		exit 99
	fi
	trim "$1"
	echo $((SECONDS - start)) >"$1/.nvmx-seconds"
}

# row_key NAME: of the row's kernel, when kernel-patched is NAME.
row_key() {
	(echo "$1"; row_config "$file"; row_value "$file" make; row_tools_id "$tools"; base_id; in_tree_id; cat "$here/kernel-build.sh") | hash_of
}

# kernel_row: print the path of ROW's kernel.
kernel_row() {
	local name=kernel-$ROW base file tools key from
	file=$(row_file "$ROW")
	base=$(kernel_patched)
	if ! grep -qE '^(CONFIG_|# make: )' "$file"; then
		echo "$base"
		return
	fi
	tools=$(row_toolchain)
	export RUST_KVM_NVMX_TOOLS=$tools
	key=$(row_key "$(basename "$base")")
	from=$(of_other_series)
	if [ -n "$from" ]; then
		entry "$name" "$key" 1500 "building KVM alone: the rest is ${from#"$cache"/}, of another series" build_kvm
		return
	fi
	entry "$name" "$key" 3500 "building Linux with ${file#"$checkout"/} (up to 10 min on 2 cores)" build_row
}
