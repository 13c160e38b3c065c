# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Debian's Xen and kernel, for `make tlbsan XEN=debian`: fetched as packages and unpacked, with
# nothing installed.

# debian_xen_packages DIR: their names. Xen's libraries are those that xl needs; what else it needs
# is in the toolchain.
debian_xen_packages() {
	local kernel
	kernel=$(private_apt "$1" apt-cache depends linux-image-amd64 |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$kernel" ] || die "$DEBIAN_SUITE has no linux-image-amd64"
	printf '%s\n' "$kernel" "xen-hypervisor-$XEN_VERSION-amd64" \
		"xen-hypervisor-$XEN_VERSION-amd64-dbg" "xen-utils-$XEN_VERSION" "libxenmisc$XEN_VERSION" \
		libxencall1 libxendevicemodel1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 \
		libxenhypfs1 libxenstore4 libxentoolcore1 libxentoollog1 libyajl2
}

fetch_debian_xen() {
	local apt=$1/apt root=$1/root names package
	open_apt "$apt" "$DEBIAN_SUITE"
	mapfile -t names < <(debian_xen_packages "$apt")
	(cd "$apt" && run "fetching Xen and a kernel" 0 private_apt "$apt" apt-get download "${names[@]}")
	mkdir "$root"
	for package in "$apt"/*.deb; do
		dpkg-deb -x "$package" "$root"
		dpkg-deb -f "$package" Package Version | sed 's/^[^:]*: //' | paste -sd' ' >>"$1/origin"
	done
	rm -rf "$apt"
	mv "$root"/boot/xen-*-amd64.gz "$1/xen.gz"
	mv "$root"/usr/lib/debug/boot/xen-syms-*-amd64 "$1/xen-syms"
	mv "$root"/boot/vmlinuz-* "$1/vmlinuz"
	in_tools python3 "$checkout/scripts/machine/xen_initrd.py" --packages "$root" \
		--kernel "$1/vmlinuz" --out "$1/initrd" >&2 || die "the first domain's initramfs cannot be made"
	rm -rf "$root"
}

# debian_xen: a directory with xen.gz, xen-syms, vmlinuz, and the initrd of the first domain.
debian_xen() {
	local files key
	use_tools toolchain
	files=("$here/debian-xen.sh" "$checkout"/scripts/machine/{xen_initrd,image}.py
		"$checkout"/scripts/machine/guest/xen-*)
	key=$( (hash_files "${files[@]}"; echo "$DEBIAN_SUITE $XEN_VERSION") | hash_of)
	entry debian-xen "$key" 900 \
		"Debian's Xen $XEN_VERSION and its newest kernel (140 MB of packages)" fetch_debian_xen
}
