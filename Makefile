# SPDX-License-Identifier: GPL-2.0
# What a person calls. The work is done by scripts/setup (what is fetched and
# built) and scripts/machine (what runs in the emulated machine).

setup := scripts/setup
# Variables that the scripts read from the environment.
export T V CPUS SEED EPT KVM_INTEL MODULE SIM TLBSAN KDIR KERNEL_TARBALL KERNEL_SHA256 TOOLCHAIN JOBS DEBIAN_MIRROR

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make demo            a nested guest whose TLB flushes run in Rust, and a report
#: make test            all tests, in the emulated machine
#: make test T=NAME     one of them, or several: T="NAME NAME"
#: make shell           a console in the emulated machine
#: make bench           the cost of a nested round trip, Rust beside C
#: make mutants         break each rule once: which test notices?
#: make removals        leave out each TLB flush once: whose run does the oracle report?
#: make tlbsan          the oracle alone, on any kernel: KDIR=TREE T="TEST /path/to/TEST"
#: make module          the module alone, rust_kvm_nvmx.ko
#: make check           formatters and linters: all clean?
#: make check-policy    the rules alone, tried with every input on this host
#: make clean           remove build/; distclean: the cache too
#:
#: Variables: KDIR=TREE          use a kernel tree that you have patched and built
#:            KERNEL_TARBALL=    build another 7.3.y: path or URL, with KERNEL_SHA256=
#:            TOOLCHAIN=         auto, rootfs (Debian's, made here) or host
#:            V=1 the console as it runs; CPUS=N of the machine; JOBS=N of builds;
#:            SEED=N another interleaving: order of the tests, turns of the CPUs, clock
#:            EPT=0, KVM_INTEL='ept=0 vpid=0' parameters of kvm_intel
#:            TLBSAN=0 Debian's own Bochs, without the witness and the oracle
#:            SIM=default make bench: what a TLB of a real size would miss too
#: The cache: $RUST_KVM_NVMX_CACHE, else ~/.cache/rust_kvm_nvmx

demo test shell bench mutants removals:
	@$(setup)/run-machine.sh $@

tlbsan:
	@$(setup)/run-tlbsan.sh

module modules:
	@dir=$$($(setup)/setup.sh module) && ls -l "$$dir/rust_kvm_nvmx.ko"

check check-policy:
	@$(setup)/$@.sh

clean:
	@$(setup)/clean.sh

distclean:
	@$(setup)/clean.sh --cache

.PHONY: help demo test shell bench mutants removals tlbsan module modules check check-policy clean distclean
