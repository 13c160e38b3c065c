// SPDX-License-Identifier: GPL-2.0

//! What one exploration covers: a small machine, and what may happen in it.

/// A vmcs12 of L1's, and the L2 that it is for.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// 0: vmcs12 does not use VPIDs.
    pub vpid12: u8,
    /// 0: vmcs12 does not use EPT.
    pub eptp12: u8,
    /// The enlightened VMCS's address; 0: an ordinary VMCS.
    pub evmcs: u8,
    /// The VM id (and VP id) in the enlightened VMCS.
    pub vm: u8,
}

impl Context {
    pub const fn plain(vpid12: u8) -> Self {
        Self {
            vpid12,
            eptp12: 0,
            evmcs: 0,
            vm: 0,
        }
    }

    pub const fn ept(vpid12: u8, eptp12: u8) -> Self {
        Self {
            eptp12,
            ..Self::plain(vpid12)
        }
    }

    pub const fn evmcs(vpid12: u8, evmcs: u8, vm: u8) -> Self {
        Self {
            evmcs,
            vm,
            ..Self::plain(vpid12)
        }
    }
}

/// One machine, and what may happen in it.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub name: &'static str,
    pub about: &'static str,
    /// How deep the quick exploration goes; 0: it reaches all states.
    pub quick: usize,
    /// What is violated although no rule is taken out, if something is known to be.
    pub known: Option<&'static str>,

    /// KVM uses EPT.
    pub ept: bool,
    /// INVVPID has the all-contexts type.
    pub invvpid_all: bool,
    pub vcpus: u8,
    pub cpus: u8,
    pub contexts: &'static [Context],
    /// They are one VMCS, whose secondary controls L1 turns off and on. KVM does not take it for
    /// changed.
    pub one_vmcs: bool,
    /// VPIDs that the host has besides those of the vCPUs' L1s.
    pub vpids: u8,
    /// The module's options: VPIDs of a vCPU for its L2s, and whether it leaves out what no guest
    /// is owed: freeing roots at VMPTRLD and VMCLEAR, T2's flush at VM exits, T1's request for an
    /// empty queue, X3's flush of an L2.
    pub slots: u8,
    pub keep_roots: bool,
    pub no_exit_flush: bool,
    pub skip_empty_queue: bool,
    pub l1_flush_alone: bool,
    /// The module is loaded and unloaded, or some of its hooks are C's for a time.
    pub hooks_change: bool,
    /// The vCPUs have Hyper-V state.
    pub hyperv: bool,
    /// The first vCPU begins in L2 as after a restore: with an enlightened VMCS whose ids are not
    /// read yet.
    pub restored: bool,
    /// The steps of KVM are taken one by one, so that other vCPUs' steps come between.
    pub fine: bool,

    /// vCPUs move between CPUs.
    pub moves: bool,
    /// L1 executes INVVPID, of all types.
    pub invvpid: bool,
    /// L1 executes INVEPT, of both types.
    pub invept: bool,
    /// L1 executes VMXOFF and VMXON.
    pub vmxoff: bool,
    /// L1 executes VMCLEAR.
    pub vmclear: bool,
    /// L2 executes VMFUNC.
    pub vmfunc: bool,
    /// VM entries fail before and after L2 is active.
    pub failures: bool,
    /// The CPU refuses vmcs02.
    pub refusals: bool,
    /// Guests flush by instructions that do not exit: INVLPG, MOV to CR3.
    pub own_flushes: bool,
    /// Guests flush by instructions that KVM handles with a request: MOV to CR4.
    pub requested_flushes: bool,
    /// L1 flushes a preempted vCPU by its steal time.
    pub pv_flushes: bool,
    /// L1 makes Hyper-V's flush calls.
    pub l1_calls: bool,
    /// The VM whose L2s make Hyper-V's flush calls; 0 for none.
    pub l2_calls: u8,
    /// The host changes the VM's memory.
    pub remaps: bool,
    /// Another VM takes and frees a VPID.
    pub other_vm: bool,
}

impl Config {
    pub const NONE: Self = Self {
        name: "",
        about: "",
        quick: 0,
        known: None,
        ept: true,
        invvpid_all: true,
        vcpus: 1,
        cpus: 1,
        contexts: &[],
        one_vmcs: false,
        vpids: 2,
        slots: 1,
        keep_roots: false,
        no_exit_flush: false,
        skip_empty_queue: false,
        l1_flush_alone: false,
        hooks_change: false,
        hyperv: false,
        restored: false,
        fine: false,
        moves: false,
        invvpid: false,
        invept: false,
        vmxoff: false,
        vmclear: false,
        vmfunc: false,
        failures: false,
        refusals: false,
        own_flushes: false,
        requested_flushes: false,
        pv_flushes: false,
        l1_calls: false,
        l2_calls: 0,
        remaps: false,
        other_vm: false,
    };

    /// The context with number `ctx`; L1's for 0.
    pub fn context(&self, ctx: u8) -> Context {
        usize::from(ctx)
            .checked_sub(1)
            .and_then(|index| self.contexts.get(index))
            .copied()
            .unwrap_or(Context::plain(0))
    }

    /// What the architecture tags a context's translations with: VPID and EPT pointer of the vCPU
    /// that L1 sees.
    pub fn tag(&self, ctx: u8) -> (u8, u8) {
        let context = self.context(ctx);

        (context.vpid12, context.eptp12)
    }

    pub fn context_numbers(&self) -> impl Iterator<Item = u8> {
        1..=self.contexts.len() as u8
    }

    /// The highest vpid12 or eptp12.
    pub fn most(&self, field: impl Fn(&Context) -> u8) -> u8 {
        self.contexts.iter().map(field).max().unwrap_or(0)
    }
}

/// All of them.
pub const ALL: &[Config] = &[
    Config {
        name: "stock",
        about: "C's rules: 3 vpid12s, an L2 without VPID, 2 CPUs; INVVPID, failed entries, VMXOFF",
        vpids: 1,
        vmxoff: true,
        ..CONTEXTS
    },
    Config {
        name: "pairs",
        about: "3 vpid12s on 2 VPIDs, an L2 without VPID; INVVPID, failed entries",
        slots: 2,
        cpus: 1,
        moves: false,
        own_flushes: false,
        ..CONTEXTS
    },
    Config {
        name: "one-vmcs",
        about: "an L2 whose vpid12 L1 turns off and on, unseen by KVM, 2 VPIDs, 2 CPUs; INVVPID",
        slots: 2,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(0)],
        one_vmcs: true,
        moves: true,
        invvpid: true,
        own_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "pairs-cpus",
        quick: 19,
        about: "3 vpid12s on 2 VPIDs, 2 CPUs; INVVPID, guests' own flushes",
        slots: 2,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(3)],
        moves: true,
        invvpid: true,
        own_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "hooks",
        quick: 19,
        about: "2 vpid12s on 2 VPIDs; VMXOFF, the module loaded and unloaded, 2 CPUs",
        slots: 2,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(2)],
        moves: true,
        invvpid: true,
        vmxoff: true,
        hooks_change: true,
        ..Config::NONE
    },
    Config {
        name: "hooks-pairs",
        about: "3 vpid12s on 5 VPIDs; guests' own flushes, the module loaded and unloaded",
        slots: 5,
        vpids: 5,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(3)],
        hooks_change: true,
        own_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "recycle",
        quick: 20,
        about: "2 vCPUs hand 3 VPIDs on by VMXOFF and VMXON, on one CPU in turn",
        slots: 2,
        vcpus: 2,
        contexts: &[Context::plain(1), Context::plain(2)],
        vpids: 3,
        moves: true,
        vmxoff: true,
        ..Config::NONE
    },
    Config {
        name: "exits",
        about: "L2s with and without VPID, no flush at exits; PV flushes, the host's changes",
        slots: 2,
        no_exit_flush: true,
        l1_flush_alone: true,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(0)],
        moves: true,
        own_flushes: true,
        requested_flushes: true,
        pv_flushes: true,
        remaps: true,
        ..Config::NONE
    },
    Config {
        name: "exits-failed",
        about: "the same on one CPU, with failed entries",
        no_exit_flush: true,
        contexts: &[Context::plain(1), Context::plain(0)],
        failures: true,
        requested_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "exits-no-vpid02",
        about:
            "the same, and no VPID left for L2: L2s with and without VPID share vpid01 and a root",
        no_exit_flush: true,
        vpids: 0,
        cpus: 2,
        contexts: &[
            Context::plain(1),
            Context::plain(0),
            Context::ept(1, 1),
            Context::ept(0, 1),
        ],
        moves: true,
        invvpid: true,
        failures: true,
        requested_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "ept",
        quick: 18,
        about: "C's rules: 2 vpid12s and an L2 without VPID, 2 eptp12s; INVEPT, VMCLEAR, VMFUNC",
        vpids: 1,
        ..EPT
    },
    Config {
        name: "ept-pairs",
        quick: 18,
        about: "the same with 2 VPIDs, and roots that stay",
        slots: 2,
        keep_roots: true,
        ..EPT
    },
    Config {
        name: "ept-two",
        quick: 18,
        about: "2 vCPUs on 2 CPUs that share a root; INVEPT",
        vcpus: 2,
        cpus: 2,
        keep_roots: true,
        contexts: &[Context::ept(1, 1)],
        moves: true,
        invept: true,
        ..Config::NONE
    },
    Config {
        name: "no-ept",
        quick: 17,
        about:
            "no EPT, no INVVPID for all VPIDs: 2 vpid12s, an L2 without VPID; VMXOFF, another VM",
        ept: false,
        invvpid_all: false,
        slots: 2,
        no_exit_flush: true,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(0)],
        moves: true,
        invvpid: true,
        vmxoff: true,
        other_vm: true,
        ..Config::NONE
    },
    Config {
        name: "no-ept-host",
        about: "no EPT, no INVVPID for all VPIDs, 2 vpid12s; the host's changes",
        ept: false,
        invvpid_all: false,
        slots: 2,
        contexts: &[Context::plain(1), Context::plain(2)],
        remaps: true,
        requested_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "no-tag",
        about: "KVM without EPT, and no VPID left for L2",
        ept: false,
        slots: 2,
        vpids: 0,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(0)],
        moves: true,
        invvpid: true,
        failures: true,
        refusals: true,
        requested_flushes: true,
        remaps: true,
        ..Config::NONE
    },
    Config {
        name: "hyperv",
        about: "flush calls of L2s and of L1, queue and request apart; ids change, failed entries",
        skip_empty_queue: true,
        contexts: HYPERV,
        hyperv: true,
        fine: true,
        failures: true,
        vmclear: true,
        requested_flushes: true,
        l1_calls: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "hyperv-refused",
        about: "L1's flush calls while the CPU refuses vmcs02",
        known: Some("T10: a refused entry does not ask for L1's queue, in C and in Rust"),
        contexts: &[Context::plain(1)],
        hyperv: true,
        fine: true,
        refusals: true,
        l1_calls: true,
        ..Config::NONE
    },
    Config {
        name: "rest",
        about: "2 eVMCSs' L2s on 2 VPIDs, one at rest; calls of its VM",
        slots: 2,
        skip_empty_queue: true,
        contexts: &[
            Context::evmcs(1, 1, 1),
            Context::evmcs(2, 2, 2),
            Context::plain(1),
        ],
        hyperv: true,
        fine: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "rest-failed",
        about: "an L2 at rest, calls of its VM, failed entries",
        slots: 2,
        contexts: &[Context::evmcs(1, 1, 1), Context::plain(1)],
        hyperv: true,
        fine: true,
        failures: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "rest-hooks",
        about: "2 L2s of one vpid12, one of them enlightened; calls of its VM, hooks that change",
        slots: 2,
        skip_empty_queue: true,
        contexts: &[Context::evmcs(1, 1, 1), Context::plain(1)],
        hyperv: true,
        fine: true,
        hooks_change: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "restored",
        about: "the same, beginning with a restored L2 whose ids are not read yet",
        slots: 2,
        contexts: HYPERV,
        hyperv: true,
        restored: true,
        fine: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "hyperv-two",
        quick: 34,
        about: "an L2 that moves between 2 vCPUs while L2s of its VM make calls",
        slots: 2,
        skip_empty_queue: true,
        vpids: 4,
        vcpus: 2,
        cpus: 2,
        contexts: &[Context::evmcs(1, 1, 1), Context::evmcs(2, 2, 2)],
        hyperv: true,
        fine: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "hyperv-no-ept",
        about: "flush calls without EPT",
        ept: false,
        contexts: &[
            Context::evmcs(1, 1, 1),
            Context::evmcs(0, 1, 1),
            Context::plain(1),
        ],
        hyperv: true,
        fine: true,
        requested_flushes: true,
        l1_calls: true,
        l2_calls: 1,
        ..Config::NONE
    },
];

const CONTEXTS: Config = Config {
    cpus: 2,
    contexts: &[
        Context::plain(1),
        Context::plain(2),
        Context::plain(3),
        Context::plain(0),
    ],
    moves: true,
    invvpid: true,
    failures: true,
    refusals: true,
    own_flushes: true,
    requested_flushes: true,
    ..Config::NONE
};

const EPT: Config = Config {
    cpus: 2,
    contexts: &[
        Context::ept(1, 1),
        Context::ept(1, 2),
        Context::ept(2, 1),
        Context::ept(0, 2),
    ],
    moves: true,
    invept: true,
    vmclear: true,
    vmfunc: true,
    ..Config::NONE
};

/// One VM's L2 on an enlightened VMCS, with and without VPID, another VM's on the same VMCS and on
/// another, ordinary VMCSs with and without VPID. All VPIDs are the same.
const HYPERV: &[Context] = &[
    Context::evmcs(1, 1, 1),
    Context::evmcs(0, 1, 1),
    Context::evmcs(1, 1, 2),
    Context::evmcs(1, 2, 3),
    Context::plain(1),
    Context::plain(0),
];
