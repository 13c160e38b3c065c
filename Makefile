# SPDX-License-Identifier: GPL-2.0
# The commands for users. scripts/setup fetches and builds, scripts/machine runs
# the emulated machine.

setup := scripts/setup

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make demo            a nested guest, once with C's TLB flushes and once with Rust's
#: make test            all tests, in the emulated machine
#: make test T=NAME     one test, or several: T="NAME NAME"
#: make test-full       all tests, and those that take long: KVM's, and 10,000 VMs
#: make vng             all tests in virtme-ng's guests; without VMX all skip
#: make silicon         on a host with VMX: make vng, and what INVVPID and INVEPT cost there
#: make top             on a host with the module: flushes by vCPU and cause, live
#: make trace           what trace-cmd, or TRACER=, records of a nested run, in the machine
#: make shell           a console in the emulated machine
#: make bench           the cost of a nested round trip, C and Rust
#: make linux-l1        a Linux with KVM as L1, whose VMs take turns: C's flushes and Rust's
#: make hook-cost       instructions of each hook, in C and in Rust, without a machine
#: make mutants         break each rule once: which test fails?
#: make removals        disable each TLB flush once: does the oracle report it?
#: make history         undo each fix of a lost or needless TLB flush: what shows it?
#: make fuzz            random orders of events, with the oracle as judge
#: make soak            guests for an hour, or HOURS=N, while the module comes and goes
#: make fuzz-parser     random flush hypercalls: Rust's parser against C's way to read them
#: make nets            a wrong rule of each kind: which of the tests and tools notices it?
#: make matrix          kernels with other configurations: each builds, boots, runs tests
#: make test-debug      all tests on kernels with lockdep, KASAN and KCSAN
#: make kselftest       our selftests by kselftest's run_kselftest.sh, in the machine
#: make kvm-unit-tests DIR=CHECKOUT  kvm-unit-tests' cases about VPIDs and EPT, in C and in Rust
#: make kunit           the rules' tests as KUnit suites, in User-Mode Linux
#: make in-tree KDIR=TREE  put the module and its selftests into a kernel tree
#: make tlbsan          the oracle alone, on any kernel: KDIR=TREE T="TEST /path/to/TEST"
#: make tlbsan IMAGE=FILE  the same on any disk, ISO or kernel that boots there: docs/others.md
#: make tlbsan XEN=debian   Debian's Xen in the emulated machine, and a guest of it
#: make module          the module alone, rust_kvm_nvmx.ko
#: make deb             Debian packages of the kernel, its headers and the module
#: make deb-test        install them in a bare Debian, build with them, boot the machine from them
#: make rustdoc         the module's documentation as pages, of all its items
#: make check           formatters, linters, rustdoc, and the rules' tests
#: make check-policy    the rules alone, with every input, on this host
#: make check-properties  the rules with more inputs: every one of a domain, or random ones
#: make coverage        what of the rules those tests do not run
#: make check-policy-mutants  the rules changed, one small change at a time: which test fails?
#: make model           explore all that the rules and the TLB may do, on this host
#: make model-full      the same without a bound: more than 9 GB of memory
#: make clean           remove build/
#: make distclean       remove build/ and the cache
#:
#: Variables: KDIR=TREE          use a kernel tree that you have patched and built
#:            ROW=NAME           use the kernel of this row of the matrix
#:            ROWS="NAME NAME"   these rows alone
#:            NETS="NAME NAME"   make nets: these nets alone (docs/nets.md); T: these edits
#:            KERNEL=7.2         Linux 7.2 in place of 7.3: what patches/linux-7.2 is for
#:            KERNEL_TARBALL=    build another 7.3.y: a path or URL, with KERNEL_SHA256=
#:            TOOLCHAIN=         auto, rootfs or host: whose tools (docs/containers.md)
#:            V=1                show the console while the machine runs
#:            CPUS=N             CPUs of the emulated machine
#:            JOBS=N             jobs of a build
#:            SEED=N             another interleaving of tests and CPUs, another clock
#:            EPT=0              make test, make tlbsan: run kvm_intel without EPT
#:            TRACER=NAME        make trace: perf, or bpftrace with ROW=btf, in trace-cmd's place
#:            KVM_INTEL='vpid=0' make test, make tlbsan: parameters of kvm_intel
#:            TLBSAN=0           Debian's own Bochs, without emulator counters and oracle
#:            IMAGE=FILE         make tlbsan: a disk image, an ISO, a bzImage or a multiboot kernel
#:            INITRD= CMDLINE=   of that kernel; XEN=FILE XEN_CMDLINE=: Xen, which starts it
#:            TIME= MEM= DONE=   its most seconds, its MB, a regular expression of its last line
#:            SYMBOLS=FILE       make tlbsan IMAGE=: ELF file with the hypervisor's functions
#:            MODULE=0           make tlbsan: without the module, if the kernel has its hooks
#:            HOURS=N            make soak: how long, 0.25 for example; SEED=N: the order again
#:            PLANT=WHAT         make soak: do this wrong on purpose (docs/soak.md)
#:            MINUTES=N          make fuzz, fuzz-parser: how long; make fuzz SEED=N: one seed
#:            BYTES=HEX          make fuzz, fuzz-parser: this alone
#:            WAY=NAME           make fuzz: rust, hands, check or c (docs/fuzzing.md);
#:                               T=planted: are the faults found that are planted?
#:            ALL=1              make bench: all workloads
#:            OPTIONS=vpid_slots=8  make bench: parameters of the module, for Rust; T: a workload
#:            SIM=default        make bench: also the misses of a TLB of a real CPU's size
#:            COSTS=FILE         make silicon: costs that the host's own kernel has shown
#:            UPDATE=1           make in-tree: replace what the tree has of it
#:            DEBIAN_MIRROR=URL  where Debian's packages come from
#: The cache: $RUST_KVM_NVMX_CACHE, $XDG_CACHE_HOME/rust_kvm_nvmx, or ~/.cache/rust_kvm_nvmx

demo test test-full shell trace bench linux-l1 kselftest kvm-unit-tests mutants removals history fuzz soak:
	@$(setup)/run-machine.sh $@

# All rows.
ROWS ?= $(basename $(notdir $(wildcard scripts/kernel/matrix/*.config)))
matrix:
	@$(setup)/matrix.sh $(ROWS)

test-debug:
	@$(setup)/matrix.sh --all-tests $(if $(filter command line environment,$(origin ROWS)),$(ROWS),lockdep kasan kcsan)

vng silicon:
	@scripts/$@

# Of this host, not of the emulated machine.
top:
	@python3 -B scripts/machine/top.py

tlbsan:
	@$(setup)/run-tlbsan$(if $(IMAGE)$(XEN),-image).sh

hook-cost:
	@$(setup)/hook-cost.sh

module:
	@dir=$$($(setup)/setup.sh module) && ls -l "$$dir/rust_kvm_nvmx.ko"

rustdoc:
	@dir=$$($(setup)/setup.sh rustdoc) && ls "$$dir/index.html"

check check-policy check-policy-mutants check-properties coverage deb deb-test fuzz-parser in-tree kunit nets:
	@$(setup)/$@.sh

model:
	@$(setup)/check-model.sh

model-full:
	@$(setup)/check-model.sh --full

clean:
	@$(setup)/clean.sh

distclean:
	@$(setup)/clean.sh --cache

.PHONY: help demo test test-full vng silicon top matrix test-debug shell trace bench linux-l1 mutants removals history fuzz soak tlbsan hook-cost kselftest kvm-unit-tests deb deb-test in-tree kunit module rustdoc check check-policy check-policy-mutants check-properties coverage fuzz-parser nets model model-full clean distclean
