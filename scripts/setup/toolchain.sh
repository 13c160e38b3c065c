# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The toolchain: a Debian root file system with packages.txt in it, or `/`, the
# host's own, where that suffices.

# package_list: PACKAGE WITNESS a line, of packages.txt and EXTRA_PACKAGES.
package_list() {
	sed 's/#.*//' "$here/packages.txt" | awk 'NF'
	printf '%s\n' ${EXTRA_PACKAGES:+"$EXTRA_PACKAGES"}
}

# The first package of packages.txt that the host lacks, if any.
host_lacks() {
	local package witness
	while read -r package witness; do
		case $witness in
		/*) [ -e "$witness" ] ;;
		*) command -v "$witness" >/dev/null ;;
		esac || { echo "$package"; return; }
	done < <(package_list)
}

host_versions() { gcc --version; rustc --version; bindgen --version; xz --version; }

# `make rustavailable` of the kernel's source, with the host's tools: its verdict
# goes into the entry.
build_host_verdict() {
	tar -xf "$source/linux.tar" -C "$1" --strip-components=1 --wildcards --wildcards-match-slash \
		'*/Makefile' '*/scripts/*' '*/rust/*' '*/arch/x86/Makefile*'
	if make -s -C "$1" rustavailable >"$1/verdict" 2>&1; then
		echo yes >"$1/verdict"
	fi
}

# host_suffices: else print why not.
host_suffices() {
	local lack verdict source
	lack=$(host_lacks)
	[ -z "$lack" ] || { echo "it has no $lack"; return 1; }
	source=$(need kernel-source)
	verdict=$(entry host-tools "$( (host_versions; cat "$source/sha256") | hash_of)" 400 \
		"looking whether the host's tools suffice" build_host_verdict)
	[ "$(cat "$verdict/verdict")" = yes ] || {
		sed -n 's/^\*\*\* *//p' "$verdict/verdict" | grep . | head -n 1
		return 1
	}
}

# make_rootfs DIR: as root straight into it. Otherwise as a tar of it, unpacked
# as this user, so that no file belongs to a foreign id and `rm -rf` suffices.
make_rootfs() {
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

build_toolchain() {
	host_needs mmdebstrap:mmdebstrap uidmap:newuidmap bubblewrap:bwrap \
		debian-archive-keyring:/usr/share/keyrings/debian-archive-keyring.gpg
	if [ "$(id -u)" != 0 ]; then
		can_unshare || die "user namespaces are off here: run as root, or switch them on with \`sudo sysctl kernel.unprivileged_userns_clone=1\`"
		grep -q "^$(id -un):" /etc/subuid ||
			die "$(id -un) has no subordinate ids: run \`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)\`"
	fi
	make_rootfs "$1"
	# A place to mount the host's own at, for what needs the network.
	: >"$1/etc/resolv.conf"
}

# toolchain: print the path of the file system whose tools are to be used.
toolchain() {
	local why
	case ${TOOLCHAIN:-auto} in
	host)
		why=$(host_suffices) || die "TOOLCHAIN=host: the host does not suffice: $why (or use TOOLCHAIN=rootfs)"
		echo /
		;;
	auto | rootfs)
		if [ "${TOOLCHAIN:-auto}" = auto ] && why=$(host_suffices); then
			echo /
			return
		fi
		entry toolchain "$( (echo "$DEBIAN_SUITE"; package_list; cat "$here/toolchain.sh") | hash_of)" 2500 \
			"making a Debian $DEBIAN_SUITE root file system (about 2 min, 2 GB)" build_toolchain
		;;
	*) die "TOOLCHAIN must be auto, rootfs or host, not '$TOOLCHAIN'" ;;
	esac
}

# toolchain_id ROOT: a short name for the exact versions of what decides about the
# objects that are built with it. A new shellcheck need not rebuild a kernel.
toolchain_id() {
	if [ "$1" = / ]; then
		host_versions
	else
		awk '/^Package: / { package = $2 } /^Version: / { print package, $2 }' "$1/var/lib/dpkg/status" |
			grep -E '^(gcc|g[+][+]|binutils|libc6|libstdc|libclang|libllvm|rust|bindgen|libelf)'
	fi | hash_of
}
