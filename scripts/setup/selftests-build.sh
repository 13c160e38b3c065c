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

# Our own tests' Makefile knows this layout.
take() {
	mkdir -p "$dir/$2"
	cp -a "$1/." "$dir/$2"
}
mkdir "$dir/lib"
rsync -a --include='*/' --include='*.o' --exclude='*' "$kvm/lib/" "$dir/lib"
take $kvm/include include/kvm
take tools/testing/selftests/rseq include/rseq
take tools/include include/tools/include
take tools/arch/x86/include include/tools/arch/x86/include
take usr/include include/kernel/include
mkdir "$dir/include/selftests"
cp tools/testing/selftests/*.h "$dir/include/selftests"
