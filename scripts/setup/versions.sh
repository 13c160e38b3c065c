# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # read by the scripts that source this
# What is fetched, from where, and in which versions. Those with a default, NAME=${NAME:-...}, may
# be set in the environment. (The release is also in Containerfile and in the files for CI.)

# The toolchain's Debian release: the first one with the rustc, bindgen and gcc
# that Linux 7.3 and 7.2 want. packages.txt lists what is installed from it.
DEBIAN_SUITE=${DEBIAN_SUITE:-trixie}
DEBIAN_RELEASE=13
DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

# The kernel series, one of those that patches/ has a directory for, and Debian's
# package of it. Any of its releases will do; the one that the tests were last run
# on is named so that a newer one is used knowingly.
DEFAULT_SERIES=7.3
KERNEL_SERIES=${KERNEL:-$DEFAULT_SERIES}
# Where in build/ lies what is made for another one.
series_dir=
[ "$KERNEL_SERIES" = "$DEFAULT_SERIES" ] || series_dir=linux-$KERNEL_SERIES/
KERNEL_PACKAGE=${KERNEL_PACKAGE:-linux-source-$KERNEL_SERIES}
# Debian's own configurations of the same.
CONFIG_PACKAGE=${CONFIG_PACKAGE:-linux-config-$KERNEL_SERIES}
KERNEL_SUITE=${KERNEL_SUITE:-trixie-backports}
case $KERNEL_SERIES in
7.3) KERNEL_TESTED=7.3.4 ;;
7.2) KERNEL_TESTED=7.2.12 ;;
*) KERNEL_TESTED='none of its releases' ;;
esac

# The emulator's source, in the mirror's pool.
BOCHS_POOL=pool/main/b/bochs
BOCHS_TARBALL=bochs_3.0+dfsg.orig.tar.xz
BOCHS_SHA256=78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b

# The Xen of DEBIAN_SUITE, for `make tlbsan XEN=debian`.
XEN_VERSION=${XEN_VERSION:-4.20}

# The formatter and linter of the Python files; Debian has no package of it.
RUFF_VERSION=0.14.14
# What breaks the rules for `make check-policy-mutants`: the newest that Debian's rustc builds.
CARGO_MUTANTS_VERSION=26.0.0
# For `make coverage` and `make fuzz-parser`; also the newest.
CARGO_LLVM_COV_VERSION=0.6.21
CARGO_FUZZ_VERSION=0.13.1
# A symbol that only a kernel with the patches exports.
PATCH_SYMBOL=kvm_nvmx_register
