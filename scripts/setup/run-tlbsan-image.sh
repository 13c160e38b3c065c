#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# run-tlbsan-image.sh: the oracle on IMAGE, a file that boots from BIOS: a disk image, an ISO, a
# bzImage (with XEN, as the first domain of Xen) or a multiboot kernel. docs/others.md has the
# variables.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/machine-args.sh"

[ "${TLBSAN:-1}" = 1 ] || die "TLBSAN=0 is the machine without the oracle"
for variable in T KDIR ROW MODULE KVM_INTEL EPT; do
	[ -z "${!variable:-}" ] || die "$variable: make tlbsan IMAGE= runs the image alone, with what it has in it"
done
number TIME 1 86400
number MEM 64 16384
[ -n "${IMAGE:-}" ] || die "XEN=$XEN: give IMAGE= too, the kernel of its first domain"

out=$checkout/build/tlbsan-image
make_build tlbsan-image
given=$out/given
rm -rf "$given"
mkdir -p "$given"

# give OPTION VARIABLE: the file that VARIABLE names, where the toolchain's file system has it too.
give() {
	local file=${!2:-} place
	[ -n "$file" ] || return 0
	[ -f "$file" ] || die "$2: there is no file $file"
	[ -r "$file" ] || die "$2: $file cannot be read"
	need_space "$out" $((64 + 2 * $(stat -L -c %s "$file") / 1048576)) "$2" "name a smaller file"
	# Two may have the same name.
	mkdir "$given/${2,,}"
	place=$given/${2,,}/$(basename "$file")
	cp --reflink=auto --sparse=auto "$file" "$place"
	args+=("$1" "$place")
}

args=(--out "$out")
give --image IMAGE
give --initrd INITRD
give --xen XEN
give --symbols SYMBOLS
[ -z "${CMDLINE:-}" ] || args+=("--command-line=$CMDLINE")
[ -z "${XEN_CMDLINE:-}" ] || args+=("--xen-command-line=$XEN_CMDLINE")
[ -z "${DONE:-}" ] || args+=("--done=$DONE")
args+=(--seconds "${TIME:-600}" --memory "${MEM:-1024}" --cpus "${CPUS:-2}" --seed "${SEED:-0}")

tools=$(path toolchain)
bochs=$(path bochs)
args+=(--bochs "$bochs/bochs")
status=0
RUST_KVM_NVMX_TOOLS=$tools "$here/in-toolchain.sh" \
	python3 "$checkout/scripts/machine/run_image.py" "${args[@]}" "$@" || status=$?
rm -rf "$given"
exit "$status"
