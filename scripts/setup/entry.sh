# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The cache: NAME/KEY is there whole or not at all. An entry is built in
# NAME/KEY.part by the one holder of NAME's lock, and renamed when done.

# Children inherit the lock's descriptor: what a killed script leaves running
# keeps the lock as long as it may still write.

# lock NAME
lock() {
	make_cache
	{ exec {lock_fd}>"$cache/locks/$1"; } 2>/dev/null ||
		die "cannot write to $cache/locks/$1: run as the user whose it is, or set RUST_KVM_NVMX_CACHE"
	if ! flock -n "$lock_fd"; then
		say "$1: waiting for another run that builds it"
		until flock -w 5 "$lock_fd"; do say "  $1: $(clock "$SECONDS") still waiting"; done
	fi
}

# prune NAME: keep the 3 entries that were used last, and any used within six hours, which a long
# run may be at. The others are no entries before their files go.
prune() {
	local old
	find "$cache/$1" -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort -rn |
		tail -n +4 | cut -d' ' -f2- | while read -r old; do
		[ -n "$(find "$old" -maxdepth 0 -mmin +360)" ] || continue
		mv -T "$old" "$old.part"
		run "removing an old $1" 0 rm -rf "$old.part"
	done
}

# entry NAME KEY MB ABOUT BUILD: print the entry's path. If it is missing, say
# ABOUT, see that MB of disk are free, and call `BUILD PART_DIR`.
entry() {
	local dir=$cache/$1/$2 start=$SECONDS
	if [ ! -d "$dir" ]; then
		build_entry "$@" >&2
		[ -d "$dir" ] || die "$1: nothing was built"
		[ $((SECONDS - start)) -lt 5 ] || say "$1: ready, $(clock $((SECONDS - start))) in all"
	fi
	touch -c "$dir"
	printf '%s\n' "$dir"
}

# In a subshell of its own, whose end gives up the lock.
build_entry() (
	local dir=$cache/$1/$2
	lock "$1"
	[ ! -d "$dir" ] || exit 0
	say "$1: $4"
	mkdir -p "$cache/$1"
	rm -rf "$cache/$1"/*.part
	need_space "$cache" "$3" "$1"
	# A failure is to leave the disk as it was, above all if the disk is full.
	part=$dir.part
	trap 'rm -rf "$part"' EXIT
	mkdir "$dir.part"
	"$5" "$dir.part"
	mv -T "$dir.part" "$dir"
	prune "$1"
)
