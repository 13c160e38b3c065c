#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# selftests-build.sh TREE DIR: build TREE's KVM selftests and lay out in DIR what
# the emulated machine and our own tests take from them. Runs in the toolchain.

set -euo pipefail
tree=$1 dir=$2
kvm=tools/testing/selftests/kvm
cd "$tree"

make -s headers_install
make -j"$JOBS" -C tools/testing/selftests TARGETS=kvm FORCE_TARGETS=1 LDFLAGS='-static -no-pie'

# Without the debugging information: half a gigabyte otherwise.
mkdir "$dir/bin"
find "$kvm" -maxdepth 2 -type f -perm -u+x ! -name '*.sh' ! -name '*.py' ! -name '*.o' |
	while read -r test; do
		strip -g -o "$dir/bin/${test##*/}" "$test"
	done

# What a kselftest target beside them needs of the tree, with their library as it is built. The
# dependency files name headers that are not taken along.
mkdir "$dir/tree"
# Before 7.3, none of them takes VFIO's library.
mkdir -p $kvm/libvfio
rsync -aR --exclude='*.d' $kvm/Makefile* $kvm/include $kvm/lib $kvm/libvfio \
	tools/testing/selftests/{Makefile,lib.mk,run_kselftest.sh,kselftest,rseq} \
	tools/testing/selftests/*.h tools/testing/selftests/{cgroup,vfio}/lib \
	tools/testing/selftests/clone3/clone3_selftests.h \
	tools/build/Build.include tools/include tools/arch/x86/include \
	usr/include scripts/subarch.include "$dir/tree"
