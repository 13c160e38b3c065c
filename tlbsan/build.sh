#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build Bochs with tlbsan.
#
#	build.sh SRC.tar.xz DESTDIR
#
# SRC.tar.xz is Debian's bochs_3.0+dfsg.orig.tar.xz.  The result is
# DESTDIR/bochs; it appears only when it is complete.  The build directory
# stays in DESTDIR/src for a look at a failure and is made again each time.
# JOBS sets the number of compilers (default: all CPUs).

set -euo pipefail

die()
{
	echo "tlbsan: $*" >&2
	exit 1
}

[ $# -eq 2 ] || die "usage: build.sh SRC.tar.xz DESTDIR"
tarball=$(realpath -e -- "$1") || die "no source at $1; fetch Debian's bochs_3.0+dfsg.orig.tar.xz"
mkdir -p -- "$2"
dest=$(realpath -e -- "$2")
here=$(realpath -e -- "$(dirname -- "${BASH_SOURCE[0]}")")
src=$dest/src
log=$dest/build.log

for tool in tar xz patch make g++; do
	command -v "$tool" > /dev/null || die "$tool not found; install it (Debian: g++ make patch xz-utils)"
done

step()
{
	echo "tlbsan: $1" >&2
	shift
	"$@" >> "$log" 2>&1 && return
	tail -n 30 "$log" >&2
	die "failed: $*; the whole log is $log"
}

rm -rf -- "$src" "$dest/bochs"
mkdir -- "$src"
: > "$log"
step "unpacking Bochs" tar -xf "$tarball" -C "$src" --strip-components=1
cd "$src"
step "patching Bochs" patch -p1 -i "$here/bochs.patch"
step "mending Bochs" patch -p1 -i "$here/bochs-fixes.patch"
mkdir instrument/tlbsan
cp -- "$here"/instrument/* instrument/tlbsan/

# The devices and CPU features that the emulated machine uses; no debugger, which would
# wait at a prompt; no display; and no show-ips, whose signal handler takes the
# log's mutex and hangs Bochs when the interrupted code holds it.
step "configuring Bochs" ./configure \
	--enable-instrumentation=instrument/tlbsan \
	--enable-vmx=2 --enable-smp --enable-x86-64 --enable-cpu-level=6 \
	--enable-avx --enable-evex --enable-protection-keys --enable-cet \
	--enable-memtype --enable-pci --enable-all-optimizations \
	--disable-debugger --disable-show-ips --disable-plugins --disable-docbook \
	--with-nogui
step "compiling Bochs (about 2 minutes on 2 CPUs)" make -j "${JOBS:-$(nproc)}" bochs

mv -- bochs "$dest/bochs"
echo "tlbsan: $dest/bochs is ready" >&2
