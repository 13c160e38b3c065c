#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# kernel-build.sh TREE PLACE CONFIG...: configure and build the kernel in TREE, which
# is seen at PLACE too where the toolchain is a root file system of its own. Runs
# in the toolchain; the cached kernels are named by this file's hash.

set -euo pipefail
tree=$1 place=$2
shift 2
if mountpoint -q "$place"; then tree=$place; fi
cd "$tree"

export KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_VERSION=1

if [ ! -f .config ]; then
	make rustavailable
	make -s tinyconfig
	scripts/kconfig/merge_config.sh -m .config "$@"
	make -s olddefconfig
fi

# Kconfig drops what it cannot satisfy without a word.
lost=()
while IFS='=' read -r option value; do
	case $value in
	n) if grep -q "^$option=" .config; then lost+=("$option=n"); fi ;;
	*) grep -qxF "$option=$value" .config || lost+=("$option=$value") ;;
	esac
done < <(grep -h '^CONFIG_' "$@")
if [ ${#lost[@]} != 0 ]; then
	echo "error: scripts/kernel: did not stick: ${lost[*]} (a dependency is missing in this kernel)"
	exit 1
fi

make -j"$JOBS" all
