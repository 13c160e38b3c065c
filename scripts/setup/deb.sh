#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# deb.sh: Debian packages of the kernel, of the headers that modules in Rust are built with, and of
# the module, in build/deb/. The kernel is the patched one, or KDIR.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# config OPTION: its value in the kernel's configuration, without quotes.
config() { sed -n "s/^CONFIG_$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$kdir/.config"; }

# compilers: Debian's packages of those that built the kernel. Rust's metadata is of one rustc.
compilers() {
	local version
	if [ "$(config CC_IS_CLANG)" = y ]; then
		version=$(($(config CLANG_VERSION) / 10000))
		echo "clang (>= 1:$version), clang (<< 1:$((version + 1))), lld, llvm"
	else
		version=$(($(config GCC_VERSION) / 10000))
		echo "gcc (>= 4:$version), gcc (<< 4:$((version + 1)))"
	fi
	version=$(config RUSTC_VERSION)
	set -- $((version / 100000)) $((version / 100 % 1000)) $((version % 100))
	echo "rustc (>= $1.$2.$3), rustc (<< $1.$2.$(($3 + 1)))"
}

# fill FILE [NAME=VALUE...]: print it with each @NAME@ replaced.
fill() {
	local file=$1 pair script=()
	for pair in "${@:2}" "RELEASE=$release"; do
		script+=(-e "s|@${pair%%=*}@|${pair#*=}|g")
	done
	sed "${script[@]}" "$file"
}

# fill_debian DIRECTORY
fill_debian() {
	local initrd=No script
	mkdir "$1/source"
	echo '3.0 (native)' >"$1/source/format"
	cp "$from/rules" "$from/copyright" "$1"
	fill "$from/control.in" "COMPILERS=$(compilers | paste -sd, | sed 's/,/, /g; s/  / /g')" \
		"MAINTAINER=$maintainer" | grep -v '^#' >"$1/control"
	[ "$(config BLK_DEV_INITRD)" != y ] || initrd=Yes
	for script in preinst postinst prerm postrm; do
		fill "$from/image-script.in" "SCRIPT=$script" "INITRD=$initrd" \
			>"$1/linux-image-$release.$script"
	done
	printf '%s\n' "RELEASE := $release" "KDIR := $kdir" "CHECKOUT := $checkout" \
		"MODULES := ${module%/rust_kvm_nvmx}" \
		"MODULE_VERSION := $module_version" >"$1/built.mk"
	cat >"$1/changelog" <<-END
	rust-kvm-nvmx ($version) UNRELEASED; urgency=medium

	  * As built on this machine.

	 -- $maintainer  $(date -Rud "@$built")
	END
}

main() {
	local kdir module release built version module_version from=$checkout/scripts/deb out=$checkout/build/deb
	local maintainer="${DEBFULLNAME:-rust_kvm_nvmx} <${DEBEMAIL:-rust_kvm_nvmx@localhost}>"
	[ -z "${ROW:-}" ] || die "of a kernel of the matrix only a part is kept: unset ROW"
	kdir=$("$here/setup.sh" kernel)
	module=$("$here/setup.sh" module)
	use_tools toolchain-deb

	# The module depends on this build of the kernel, so each must have a version of its own.
	release=$(cat "$kdir/include/config/kernel.release")
	built=$(stat -c %Y "$kdir/arch/x86/boot/bzImage")
	version=$release-$(date -ud "@$built" +%Y%m%d%H%M%S)
	module_version=0~$(git -c safe.directory="$checkout" -C "$checkout" log -1 \
		--date=format:%Y%m%d%H%M%S --format=%cd+%h 2>/dev/null || echo 0)

	rm -rf "$out"
	make_build deb/source/debian
	fill_debian "$out/source/debian"
	cd "$out/source"
	# dpkg finds out there which packages the libraries belong to.
	run "packing Linux $release, its headers and the module" 0 \
		in_tools --at "$RUST_KVM_NVMX_TOOLS/var/lib/dpkg" /var/lib/dpkg \
		env "SOURCE_DATE_EPOCH=$built" dpkg-buildpackage -b --no-sign --no-check-builddeps
	cd "$checkout"
	rm -r "$out/source"
	ls -l "$out"/*.deb
}

main "$@"; exit
