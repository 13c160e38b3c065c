# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The few programs that the host itself must have. Root installs them; anybody
# else is told the command.

# host_needs "PACKAGE:COMMAND_OR_FILE"...
host_needs() {
	local item witness missing=()
	for item; do
		witness=${item#*:}
		case $witness in
		/*) [ -e "$witness" ] ;;
		*) command -v "$witness" >/dev/null ;;
		esac || missing+=("${item%%:*}")
	done
	[ ${#missing[@]} != 0 ] || return 0
	command -v apt-get >/dev/null ||
		die "this host has no apt, and needs: ${missing[*]}: install them"
	[ "$(id -u)" = 0 ] ||
		die "missing on this host: run \`sudo apt-get install --no-install-recommends ${missing[*]}\`, then again"
	say "toolchain: installing ${missing[*]} on this host"
	run "apt-get update" 0 apt-get update
	run "apt-get install" 0 env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "${missing[@]}"
}

# can_unshare: may this user make the namespaces that in-toolchain.sh wants?
can_unshare() {
	bwrap --ro-bind / / --unshare-pid --proc /proc true 2>/dev/null
}
