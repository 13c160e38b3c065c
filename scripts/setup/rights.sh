# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# May this user enter a root file system here, with mounts and namespaces of its own?
# Tried and not guessed: a container, a sysctl or a security module may forbid it.

# bwrap_works --unshare-NAMESPACE...
bwrap_works() {
	command -v bwrap >/dev/null && bwrap "$@" --ro-bind / / --proc /proc true 2>/dev/null
}

# chroot_works: does chroot.sh, with the host's own programs?
chroot_works() {
	[ "$(id -u)" = 0 ] &&
		RUST_KVM_NVMX_CACHE=$cache unshare --mount --fork --kill-child --pid --ipc --net \
			"$here/chroot.sh" / ro /usr /usr -- true 2>/dev/null
}

# can_enter: a user who has no bubblewrap yet is asked for it only if it can work.
can_enter() {
	bwrap_works --unshare-pid --unshare-ipc --unshare-net || chroot_works || {
		! command -v bwrap >/dev/null && [ "$(id -u)" != 0 ] &&
			unshare --map-root-user --mount --pid --fork --mount-proc true 2>/dev/null
	}
}

# Why can_enter says no, and what helps.
cannot_enter() {
	if [ "$(id -u)" = 0 ]; then
		echo "this container or chroot may not mount"
	else
		echo "this user may not make user namespaces"
	fi
}
entering_remedy() {
	if [ "$(id -u)" = 0 ]; then
		echo "give this one the right to mount (docker run --privileged)"
	elif [ "$(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null)" = 0 ]; then
		echo "run as root, or allow them with \`sudo sysctl kernel.unprivileged_userns_clone=1\`"
	else
		echo "run as root"
	fi
}
