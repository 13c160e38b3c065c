# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every set-up script uses: messages, paths, and runs with visible progress.
# Results go to stdout, everything meant for people to stderr.

set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
checkout=$(cd "$here/../.." && pwd -P)
cache=${RUST_KVM_NVMX_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/rust_kvm_nvmx}
export JOBS=${JOBS:-$(nproc)}

. "$here/versions.sh"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 99; }

# No script ends without a word: a command that failed and was not expected to is
# named. Status 99 tells the calling script that the word was said.
unexpected() {
	[ "$1" = 99 ] || say "error: $2: status $1 from: ${3:0:60}"
	exit 99
}
set -E
trap_errors() { trap 'unexpected $? "${BASH_SOURCE[0]##*/}:$LINENO" "$BASH_COMMAND"' ERR; }
trap_errors

case $checkout:$cache in
*[[:space:]]*) die "the kernel's build takes no path with a blank: move the checkout, or set RUST_KVM_NVMX_CACHE" ;;
/*:/*:*) die "the kernel's build takes no path with a colon: move the checkout, or set RUST_KVM_NVMX_CACHE" ;;
/*:/*) ;;
*) die "RUST_KVM_NVMX_CACHE must be an absolute path: $cache" ;;
esac
if ! [[ $KERNEL_SERIES =~ ^[0-9]+\.[0-9]+$ ]] || [ ! -d "$checkout/patches/linux-$KERNEL_SERIES" ]; then
	die "KERNEL=$KERNEL_SERIES: give one of $(cd "$checkout/patches" && echo linux-* | sed 's/linux-//g') (docs/porting.md has how to add one)"
fi
[ "$(uname -m)" = x86_64 ] || die "this needs an x86-64 host, and this one is $(uname -m)"

clock() { printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); }

# hash_of: a short name for what is read from stdin.
hash_of() { sha256sum | cut -c1-16; }

# hash_files FILE...: of their names and contents. Names are those within the checkout; a file
# outside of it has its full path.
hash_files() {
	local f
	for f; do
		printf '%s ' "${f#"$checkout"/}"
		sha256sum <"$f"
	done | hash_of
}

# make_cache: see that it is there, and that we may write to it.
make_cache() {
	local dir
	for dir in "$cache" "$cache/locks"; do
		if ! mkdir -p "$dir" 2>/dev/null || [ ! -w "$dir" ]; then
			die "cannot write to $dir: set RUST_KVM_NVMX_CACHE to a directory that this user may write to"
		fi
	done
}

# make_build NAME: the directory build/NAME of the checkout.
make_build() {
	if ! mkdir -p "$checkout/build/$1" 2>/dev/null || [ ! -w "$checkout/build/$1" ]; then
		die "cannot write to $checkout/build/$1: run as the user whose it is (docker run --user), or remove it"
	fi
}

# need_space DIR MB WHAT [REMEDY]
need_space() {
	local free
	free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$2" ] ||
		die "$3 needs $2 MB in $1, which has $free MB: make room there, or ${4:-set RUST_KVM_NVMX_CACHE}"
}

# The descriptor of the lock that is held (entry.sh), if any.
lock_fd=

# heartbeat LABEL LOG LINES START PID: a line each 5 s, as long as PID lives, on
# how far the log has come. LINES is how many it has in the end, or 0.
heartbeat() {
	local count last
	[ -z "$lock_fd" ] || exec {lock_fd}>&-
	while sleep 5 >/dev/null 2>&1; do
		kill -0 "$5" 2>/dev/null || exit 0
		[ -f "$2" ] || continue
		count=$(wc -l <"$2")
		[ "$3" = 0 ] || count="$count/$3"
		# Of a compiler's long line, the end with the file's name.
		last=$(tail -n 1 "$2" | tr -s '[:blank:]' ' ' | grep -oE '.{0,60}$' || true)
		say "  $1: $(clock $((SECONDS - $4))) [$count] $last"
	done
}

# Where what is fetched comes from, for people.
fetched_from="Debian's mirror is $DEBIAN_MIRROR; another one: DEBIAN_MIRROR=URL"

# explain LOG: the one line that says why a command with this log failed. If the
# cause is not known, show the log's end before.
explain() {
	if grep -qi 'no space left' "$1"; then
		echo "no space left on the disk of $cache: make room, or set RUST_KVM_NVMX_CACHE"
	elif grep -qE 'Temporary failure|[Cc]ould not (resolve|connect)|[Uu]nable to connect|Network is unreachable|Connection (timed out|failed)|Name or service not known' "$1"; then
		echo "no network ($fetched_from)"
	elif grep -q 'Hash Sum mismatch' "$1"; then
		echo "what came has another hash than it must have: try again or elsewhere, and look at the SHA-256 you gave, if any"
	else
		tail -n 15 "$1" | cut -c1-200 | sed 's/^/  | /' >&2
		grep -E '^E: |[Ee]rror: |ERROR: ' "$1" | head -n 1 | cut -c1-160 | grep . || echo "see its log"
	fi
}

# Of this checkout alone, as some are read afterwards.
logs=$checkout/build/logs

# run LABEL LINES COMMAND...: with its output in a log, and progress while it
# lasts; LINES is how many lines the log has in the end, or 0. A command that
# keeps a log of its own is watched there: $own_log.
own_log=
run() {
	local label=$1 lines=$2 rc start=$SECONDS beat log
	shift 2
	make_build logs
	log=$logs/${label//[^a-zA-Z0-9.-]/-}.log
	: >"$log"
	heartbeat "$label" "${own_log:-$log}" "$lines" "$start" "$BASHPID" &
	beat=$!
	# With "||" after it, a function would go on after a command of its own that has failed.
	trap - ERR
	set +e
	(set -e; "$@") >"$log" 2>&1 </dev/null
	rc=$?
	set -e
	trap_errors
	kill "$beat" 2>/dev/null || true
	wait "$beat" 2>/dev/null || true
	[ "$rc" != 137 ] || die "$label was killed, by hand or for lack of memory: run this again (log: $log)"
	[ "$rc" = 0 ] || die "$label failed: $(explain "$log") (log: $log)"
	say "  $label: done in $(clock $((SECONDS - start)))"
}

# passed NAME LABEL PATTERN: say how many tests of NAME have passed, by the log of `run LABEL`:
# the highest number that PATTERN, of sed, prints of it.
passed() {
	local number
	number=$(sed -nE "$3" "$logs/$2.log" | sort -n | tail -n 1)
	[ "${number:-0}" != 0 ] || die "$1: no test was run"
	say "$1: $number passed"
}

# cargo_passed NAME LABEL: the same, if cargo ran them.
cargo_passed() { passed "$1" "$2" 's/^test result: ok\. ([1-9][0-9]*) passed; 0 failed.*/\1/p'; }

# has_hook_table TREE: whether it was built with this project's patches, for Rust.
has_hook_table() {
	grep -qs "$PATCH_SYMBOL" "$1/Module.symvers" && grep -qxF CONFIG_RUST=y "$1/.config"
}

in_tools() { "$here/in-toolchain.sh" "$@"; }

# use_tools NAME: from here on in_tools takes the tools that setup.sh makes under this name.
use_tools() {
	RUST_KVM_NVMX_TOOLS=$("$here/setup.sh" "$1")
	export RUST_KVM_NVMX_TOOLS
}

# panics_in MODULE.ko: which functions of Rust's it calls that panic. Not all are in
# core::panicking: option::unwrap_failed, slice::index::slice_end_index_len_fail.
panics_in() { in_tools nm --undefined-only "$1" | awk '$2 ~ /^_R.*(panic|fail)/ { print $2 }'; }
