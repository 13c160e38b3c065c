# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What comes over the network besides the toolchain. apt does the fetching, since
# every Debian has it: it checks Debian's signatures and the hashes we pin.

apt_helper=/usr/lib/apt/apt-helper
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# download URL FILE SHA256
download() {
	case $1 in
	https:*) host_needs ca-certificates:/etc/ssl/certs/ca-certificates.crt ;;
	esac
	run "fetching ${1##*/}" 0 "$apt_helper" -o APT::Sandbox::User=root -o Acquire::Retries=2 \
		download-file "$1" "$2" "SHA256:$3"
}

# private_apt DIR COMMAND...: apt with our one source and no state of the host's.
private_apt() {
	local dir=$1 command=$2
	shift 2
	"$command" -q -o "Dir::State=$dir/state" -o "Dir::Cache=$dir/cache" \
		-o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/nonexistent \
		-o Dir::State::status=/var/lib/dpkg/status -o APT::Sandbox::User=root \
		-o APT::Architecture=amd64 -o APT::Update::Error-Mode=any \
		-o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=2 "$@"
}

# open_apt DIR SUITE: fetch the list of packages of SUITE.
open_apt() {
	host_needs "debian-archive-keyring:$keyring"
	mkdir -p "$1/state/lists/partial" "$1/cache/archives/partial"
	echo "deb [signed-by=$keyring] $DEBIAN_MIRROR $2 main" >"$1/sources.list"
	run "package list" 0 private_apt "$1" apt-get update
}

# fetch_package DIR PACKAGE REMEDY: the newest that KERNEL_SUITE has now, as DIR/package.deb; its
# name and version go into DIR/origin.
fetch_package() {
	local apt=$1/apt version
	open_apt "$apt" "$KERNEL_SUITE"
	# No status: a package that is not there is an answer.
	version=$(private_apt "$apt" apt-cache show "$2" 2>&1 | sed -n 's/^Version: //p' | head -n 1) || true
	[ -n "$version" ] || die "$KERNEL_SUITE has no $2 any more: $3"
	(cd "$apt" && run "fetching $2 $version" 0 private_apt "$apt" apt-get download "$2")
	mv "$apt"/*.deb "$1/package.deb"
	rm -rf "$apt"
	echo "$2 $version" >"$1/origin"
}

fetch_debian_kernel() {
	fetch_package "$1" "$KERNEL_PACKAGE" "fetch linux-$KERNEL_SERIES.y from kernel.org and run with KERNEL_TARBALL=FILE_OR_URL KERNEL_SHA256=HASH"
	dpkg-deb --fsys-tarfile "$1/package.deb" |
		tar -x -O --wildcards "./usr/src/$KERNEL_PACKAGE.tar.xz" >"$1/linux.tar"
	rm "$1/package.deb"
	sha256sum <"$1/linux.tar" >"$1/sha256"
}

fetch_debian_config() {
	fetch_package "$1" "$CONFIG_PACKAGE" "leave out the row debian, or set CONFIG_PACKAGE"
	dpkg-deb --fsys-tarfile "$1/package.deb" |
		tar -x -O "./usr/src/$CONFIG_PACKAGE/config.amd64_none_amd64.xz" | in_tools xz -d >"$1/config"
	rm "$1/package.deb"
}

# debian_config: print the path of the configuration of Debian's kernel for amd64.
debian_config() {
	local dir
	dir=$(entry debian-config "$CONFIG_PACKAGE" 50 "Debian's configuration of its kernel, $CONFIG_PACKAGE" fetch_debian_config)
	echo "$dir/config"
}

fetch_kernel_tarball() {
	case $KERNEL_TARBALL in
	http:* | https:*) download "$KERNEL_TARBALL" "$1/linux.tar" "$KERNEL_SHA256" ;;
	*)
		[ -f "$KERNEL_TARBALL" ] || die "KERNEL_TARBALL: no file $KERNEL_TARBALL"
		cp --reflink=auto "$KERNEL_TARBALL" "$1/linux.tar"
		;;
	esac
	sha256sum <"$1/linux.tar" >"$1/sha256"
	[ "$(cat "$1/sha256")" = "$KERNEL_SHA256  -" ] ||
		die "KERNEL_TARBALL: $KERNEL_TARBALL has not the SHA-256 $KERNEL_SHA256: fetch it again, or correct KERNEL_SHA256"
	echo "$KERNEL_TARBALL" >"$1/origin"
}

# kernel_source: an entry with linux.tar (compressed; tar sees how), its
# sha256, and origin, its name for people.
kernel_source() {
	if [ -n "${KERNEL_TARBALL:-}" ]; then
		[[ ${KERNEL_SHA256:-} =~ ^[0-9a-f]{64}$ ]] ||
			die "KERNEL_TARBALL needs KERNEL_SHA256= too: take it from the sha256sums.asc beside the tarball on kernel.org"
		entry kernel-source "${KERNEL_SHA256:0:16}" 400 "the kernel's source, $KERNEL_TARBALL" fetch_kernel_tarball
	else
		entry kernel-source "$KERNEL_PACKAGE" 600 "the kernel's source, Debian's $KERNEL_PACKAGE" fetch_debian_kernel
	fi
}

fetch_bochs() {
	download "$DEBIAN_MIRROR/$BOCHS_POOL/$BOCHS_TARBALL" "$1/bochs.tar.xz" "$BOCHS_SHA256"
}

bochs_source() {
	entry bochs-source "${BOCHS_SHA256:0:16}" 50 "the emulator's source, $BOCHS_TARBALL" fetch_bochs
}

fetch_ruff() {
	run "fetching ruff" 0 in_tools --network pip3 install --target "$1" --no-deps "ruff==$RUFF_VERSION"
}

# ruff: a directory with bin/ruff. `make check` alone wants it.
ruff() {
	use_tools toolchain
	entry ruff "$RUFF_VERSION" 100 "the linter of the Python files, ruff $RUFF_VERSION" fetch_ruff
}

# fetch_cargo_program DIR: $program of $version. Not optimized: the own work of these is small, and
# their optimization takes minutes.
fetch_cargo_program() {
	run "building $program" 0 in_tools --network env "CARGO_TARGET_DIR=$1/target" \
		CARGO_PROFILE_DEV_DEBUG=false \
		cargo install --quiet --locked --debug --root "$1" "$program@$version"
	rm -rf "$1/target"
}

# cargo_program NAME VERSION ABOUT: a directory with bin/NAME. It runs with the C library that it
# was built with.
cargo_program() {
	local program=$1 version=$2 tools
	use_tools toolchain
	tools=$(toolchain_id "$RUST_KVM_NVMX_TOOLS")
	entry "$program" "$version-$tools" 1500 \
		"$3, $program $version" fetch_cargo_program
}

# fetch_crates DIR: those of $package.
fetch_crates() {
	run "fetching the crates of $package" 0 in_tools --network env "CARGO_HOME=$1" \
		cargo fetch --locked --manifest-path "$checkout/selftests/$package/Cargo.toml"
}

# crates PACKAGE: a CARGO_HOME with the crates that a package in selftests/ is built from.
crates() {
	local package=$1 key
	use_tools toolchain
	key=$(hash_files "$checkout/selftests/$package/Cargo.lock")
	entry "$package-crates" "$key" 300 \
		"the crates of selftests/$package" fetch_crates
}
