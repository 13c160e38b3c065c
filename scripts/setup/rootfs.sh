# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A Debian root file system with packages.txt in it. Its cache entry is named by this
# file's hash.

# make_rootfs DIR: as root straight into it. Otherwise as a tar of it, unpacked
# as this user, so that no file belongs to a foreign id and `rm -rf` suffices.
make_rootfs() {
	# Root can do without (chroot.sh).
	[ "$(id -u)" = 0 ] || host_needs bubblewrap:bwrap
	local include mirror=$DEBIAN_MIRROR suite=$DEBIAN_SUITE work
	include=$(package_list | awk '{ print $1 }' | paste -sd,)
	set -- "$1" --variant=apt --verbose "--include=$include" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt=force-unsafe-io "$suite"
	local dir=$1 sources=("deb $mirror $suite main" "deb $mirror $suite-updates main")
	shift
	if [ "$(id -u)" = 0 ]; then
		run toolchain 0 mmdebstrap --mode=root "$@" "$dir" "${sources[@]}"
	else
		# mmdebstrap's root, a subordinate id, has no access to a private home.
		work=/var/tmp/rust_kvm_nvmx-$(id -u)
		mkdir -p "$work"
		[ -O "$work" ] || die "$work belongs to somebody else: remove it"
		chmod 755 "$work"
		need_space "$work" 2500 toolchain
		mmdebstrap --unshare-helper find "$work" -mindepth 1 -delete
		run toolchain 0 env "TMPDIR=$work" bash -o pipefail -c \
			"$(printf '%q ' mmdebstrap --mode=unshare "$@" - "${sources[@]}") | tar -x -C $(printf %q "$dir") --exclude=./dev/*"
		rm -rf "$work"
	fi
}

build_rootfs() {
	# Root can do without (chroot.sh).
	[ "$(id -u)" = 0 ] || host_needs bubblewrap:bwrap
	host_needs mmdebstrap:mmdebstrap uidmap:newuidmap bubblewrap:bwrap \
		debian-archive-keyring:/usr/share/keyrings/debian-archive-keyring.gpg
	if [ "$(id -u)" != 0 ] && ! grep -q "^$(id -un):" /etc/subuid; then
		die "$(id -un) has no subordinate ids: run \`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)\`"
	fi
	make_rootfs "$1"
	# A place to mount the host's own at, for what needs the network.
	: >"$1/etc/resolv.conf"
}

rootfs() {
	local key
	# Root can do without (chroot.sh).
	[ "$(id -u)" = 0 ] || host_needs bubblewrap:bwrap
	key=$( (echo "$DEBIAN_SUITE"; package_list | awk '{ print $1 }'; cat "$here/rootfs.sh") | hash_of)
	entry toolchain "$key" 2500 \
		"making a Debian $DEBIAN_SUITE root file system (about 2 min, 2 GB)" build_rootfs
}
