#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# run-tlbsan-image.sh: the oracle on IMAGE, a file that boots from BIOS: a disk image, an ISO, a
# bzImage (with XEN, as the first domain of Xen) or a multiboot kernel. XEN=debian is Debian's Xen,
# with a first domain of its own that starts a guest. docs/others.md has the variables.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/machine-args.sh"

[ "${TLBSAN:-1}" = 1 ] || die "TLBSAN=0 is the machine without the oracle"
for variable in T KDIR ROW MODULE KVM_INTEL EPT; do
	[ -z "${!variable:-}" ] || die "$variable: make tlbsan IMAGE= runs the image alone, with what it has in it"
done
number TIME 1 86400
number MEM 64 16384

# debian_defaults: Debian's Xen and kernel, and what else was not given. The machine has no IOMMU.
debian_defaults() {
	local dir
	dir=$(path debian-xen)
	XEN=$dir/xen.gz
	: "${IMAGE:=$dir/vmlinuz}" "${INITRD:=$dir/initrd}" "${SYMBOLS:=$dir/xen-syms}"
	: "${XEN_CMDLINE:=$XEN_DEFAULTS}" "${CMDLINE:=console=hvc0 mitigations=off}"
	: "${DONE:=^dom0: done}" "${MEM:=1536}" "${TIME:=1800}"
	say "$(grep -E '^(xen-hypervisor-[^ ]*-amd64|linux-image-[^ ]*) ' "$dir/origin")"
}
XEN_DEFAULTS="com1=115200,8n1 console=com1 loglvl=all noreboot"
XEN_DEFAULTS+=" dom0=pvh dom0-iommu=none iommu=0 dom0_mem=512M"
if [ "${XEN:-}" = debian ]; then debian_defaults; fi
[ -n "${IMAGE:-}" ] || die "XEN=$XEN: give IMAGE= too, the kernel of its first domain"

out=$checkout/build/tlbsan-image
make_build tlbsan-image
given=$(mktemp -d "$out/given.XXXXXX")
trap 'rm -rf "$given"' EXIT

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
exit "$status"
