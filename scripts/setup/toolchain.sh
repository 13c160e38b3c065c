# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The toolchain: `/`, the host's own tools, where they suffice; else a root file
# system (rootfs.sh), where one can be entered; else, as in an unprivileged
# container, the host's own again, with packages.txt installed.

# package_list: PACKAGE WITNESS a line, of packages.txt and EXTRA_PACKAGES.
package_list() {
	(cat "$here/packages.txt" && echo "${EXTRA_PACKAGES:-}") | sed 's/#.*//' | awk 'NF'
}

host_versions() { gcc --version && rustc --version && bindgen --version && xz --version; }

# `make rustavailable` of the kernel's source, with the host's tools: its verdict
# goes into the entry.
build_host_verdict() {
	tar -xf "$source/linux.tar" -C "$1" --strip-components=1 --wildcards --wildcards-match-slash \
		'*/Makefile' '*/scripts/*' '*/rust/*' '*/arch/x86/Makefile*'
	if make -s -C "$1" rustavailable >"$1/verdict" 2>&1; then
		echo yes >"$1/verdict"
	fi
}

# host_suffices: print "yes", or why not. It returns 0 for both: a caller that asked for a status
# would have failures in it go on.
host_suffices() {
	local lack verdict source key
	lack=$(package_list | lacks | sed -n 1p)
	if [ -n "$lack" ]; then
		echo "it has no $lack"
		return
	fi
	source=$(need kernel-source)
	key=$( (host_versions && cat "$source/sha256") | hash_of)
	verdict=$(entry host-tools "$key" 400 \
		"looking whether the host's tools suffice" build_host_verdict)/verdict
	if [ "$(cat "$verdict")" = yes ]; then
		echo yes
	else
		sed -n 's/^\*\*\* *//p' "$verdict" | grep -m 1 . || echo "\`make rustavailable\` fails"
	fi
}

# release_suffices: has this system's release the packages, in new enough versions?
release_suffices() {
	[ "$(os_release ID)" = debian ] || return 1
	local version
	version=$(os_release VERSION_ID)
	# Testing and unstable have no number.
	[ "${version:-$DEBIAN_RELEASE}" -ge "$DEBIAN_RELEASE" ]
}

# host_instead: make the host the toolchain, where nothing else can be one.
host_instead() {
	local cannot missing why
	cannot="$(cannot_enter), so this system's own tools must do"
	mapfile -t missing < <(package_list | lacks)
	if [ ${#missing[@]} != 0 ]; then
		release_suffices ||
			die "$cannot, and $(os_release PRETTY_NAME) has not what Linux $KERNEL_SERIES needs: use a container of debian:$DEBIAN_RELEASE, or $(entering_remedy)"
		[ "$(id -u)" != 0 ] ||
			need_space /usr 2700 "the toolchain" "$(entering_remedy)"
		install_on_host "$cannot" "${missing[@]}"
	fi
	why=$(host_suffices)
	[ "$why" = yes ] ||
		die "$cannot, and they do not: $why: use a container of debian:$DEBIAN_RELEASE, or $(entering_remedy)"
}

# toolchain: print the path of the file system whose tools are to be used.
toolchain() {
	local why=''
	make_cache
	case ${TOOLCHAIN:-auto} in
	auto | host) why=$(host_suffices) ;;
	rootfs) ;;
	*) die "TOOLCHAIN must be auto, rootfs or host, not '$TOOLCHAIN'" ;;
	esac
	case ${TOOLCHAIN:-auto}:$why in
	*:yes) echo / ;;
	host:*) die "TOOLCHAIN=host: the host does not suffice: $why: install what scripts/setup/packages.txt lists, or use TOOLCHAIN=auto" ;;
	*)
		if can_enter; then
			rootfs
		elif [ "${TOOLCHAIN:-auto}" = rootfs ]; then
			die "TOOLCHAIN=rootfs: $(cannot_enter): $(entering_remedy), or use TOOLCHAIN=auto"
		else
			host_instead >&2
			echo /
		fi
		;;
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
