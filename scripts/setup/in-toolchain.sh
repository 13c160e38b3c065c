#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# in-toolchain.sh [--network] [--at DIR PLACE] COMMAND...
# Run COMMAND with the toolchain's programs: the file system is the toolchain's,
# read-only, with the checkout, the cache and KDIR at their real paths; the
# environment is clean, and there is no network unless asked for. --at shows DIR
# at PLACE too; where the tools are the host's own, nothing can be shown.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/rights.sh"

network='' at=()
while :; do
	case ${1:-} in
	--network) network=1; shift ;;
	--at) at=(rw "$2" "$3"); shift 3 ;;
	*) break ;;
	esac
done
[ $# != 0 ] || die "usage: in-toolchain.sh [--network] [--at DIR PLACE] COMMAND..."

root=${RUST_KVM_NVMX_TOOLS:-$("$here/setup.sh" toolchain)}
kdir=${KDIR:+$(realpath "$KDIR")}

# What is passed on; anything else in the caller's environment (RUSTFLAGS, LANG,
# MAKEFLAGS, ...) could change what is built.
vars=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 "TERM=${TERM:-dumb}"
	"RUST_KVM_NVMX_CACHE=$cache" "RUST_KVM_NVMX_TOOLS=$root" "JOBS=$JOBS"
	${CI:+"CI=$CI"} ${kdir:+"KDIR=$kdir"} PYTHONDONTWRITEBYTECODE=1
	KBUILD_BUILD_USER=rust_kvm_nvmx KBUILD_BUILD_HOST=localhost)
if [ -n "$network" ]; then
	for variable in http_proxy https_proxy no_proxy; do
		[ -z "${!variable:-}" ] || vars+=("$variable=${!variable}")
	done
fi

if [ "$root" = / ]; then
	exec env -i "${vars[@]}" "PATH=$PATH:/usr/sbin:/sbin" "HOME=${HOME:-/tmp}" "$@"
fi

# What is seen in there: triples of mode, directory and place.
mkdir -p "$cache"
binds=(ro "$root/usr" /usr ro "$root/etc" /etc
	rw "$checkout" "$checkout" rw "$cache" "$cache"
	${kdir:+ro "$kdir" "$kdir"} "${at[@]}")
namespaces=(--unshare-pid --unshare-ipc --unshare-net)
if [ -n "$network" ]; then
	# The way out is the host's: its name servers, proxies and certificates.
	namespaces=(--unshare-pid --unshare-ipc)
	for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs; do
		[ ! -e "$file" ] || binds+=(ro "$(realpath "$file")" "$file")
	done
fi

directory=$checkout
for dir in "$checkout" "$cache" $kdir; do
	case $PWD/ in
	"$dir"/*) directory=$PWD ;;
	esac
	case $dir in
	# Its mount point cannot be made in what is read-only in there.
	/usr/* | /etc/*) mkdir -p "$root$dir" ;;
	esac
done

if bwrap_works "${namespaces[@]}"; then
	mounts=()
	for ((i = 0; i < ${#binds[@]}; i += 3)); do
		[ "${binds[i]}" = ro ] && option=--ro-bind || option=--bind
		mounts+=("$option" "${binds[@]:i+1:2}")
	done
	# /run and /sys are empty: a guest that virtme-ng boots from this mounts its own there.
	exec env -i "${vars[@]}" bwrap "${namespaces[@]}" --die-with-parent \
		--symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
		--dev /dev --dev-bind-try /dev/kvm /dev/kvm --proc /proc \
		--tmpfs /tmp --dir /var/tmp --dir /run --dir /sys "${mounts[@]}" --chdir "$directory" "$@"
fi

chroot_works || die "$(cannot_enter): $(entering_remedy), or use TOOLCHAIN=auto"
exec env -i "${vars[@]}" unshare --mount --fork --kill-child "${namespaces[@]/#--unshare-/--}" \
	"$here/chroot.sh" "$directory" "${binds[@]}" -- "$@"
