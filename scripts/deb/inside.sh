#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# inside.sh RELEASE: in a bare Debian, with the packages in debs/ and the module's source in
# source/. Leaves in kept/ what is to be kept of it.
set -e
cd "$(dirname "$0")"
release=$1
export DEBIAN_FRONTEND=noninteractive

# show COMMAND...
show() {
	printf '$ %s\n' "$*"
	"$@"
}

apt-get update
show apt-get install -y --no-install-recommends ./debs/*.deb
show find /boot -type f
show find "/usr/lib/modules/$release/" -name '*.ko' -o -name build
show modinfo -k "$release" rust_kvm_nvmx
show modprobe --set-version "$release" --show-depends rust_kvm_nvmx
show make -C "/lib/modules/$release/build" "M=$PWD/source" -j "$(nproc)" modules
mkdir -p kept/installed kept/built
cp "/lib/modules/$release/updates/rust_kvm_nvmx/rust_kvm_nvmx.ko" kept/installed
cp source/rust_kvm_nvmx/rust_kvm_nvmx.ko kept/built
cp "/lib/modules/$release/build/arch/x86/kvm/nvmx-hooks.h" /boot/* kept
cp -r "/lib/modules/$release/kernel" kept

show apt-get purge -y "*linux-*-$release" "rust-kvm-nvmx-modules-$release"
left=$(find /boot /usr/lib /usr/src -name "*$release*")
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
