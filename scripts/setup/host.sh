# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The programs that the host itself must have. Root installs them; anybody else is
# told the command.

# lacks: of lines PACKAGE WITNESS, the packages whose witness, a command or a file,
# is not on this host. A user's PATH may lack the administrator's commands.
lacks() {
	local package witness PATH=$PATH:/usr/sbin
	while read -r package witness; do
		case $witness in
		/*) [ -e "$witness" ] ;;
		*) command -v "$witness" >/dev/null ;;
		esac || echo "$package"
	done
}

# os_release NAME: a value of os-release(5).
os_release() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${!1:-}") 2>/dev/null || true
}

# apt_install PACKAGE...: in one log, where an install that fails has the cause
# before it: lists that could not be fetched.
apt_install() {
	apt-get update
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# install_on_host WHY PACKAGE...
install_on_host() {
	local why=$1 fetched_from="this host's package sources are in /etc/apt"
	shift
	command -v apt-get >/dev/null || die "$why. This host has no apt, and needs: $*: install them"
	[ "$(id -u)" = 0 ] ||
		die "$why. As root, run \`apt-get update && apt-get install --no-install-recommends $*\`, then this again"
	say "toolchain: $why"
	say "toolchain: installing on this host: $*"
	(
		lock host-packages
		run "apt-get install" 0 apt_install "$@"
	)
}

# host_needs "PACKAGE:COMMAND_OR_FILE"...
host_needs() {
	local missing
	mapfile -t missing < <(printf '%s\n' "${@/:/ }" | lacks)
	[ ${#missing[@]} = 0 ] || install_on_host "missing on this host: ${missing[*]}" "${missing[@]}"
}
