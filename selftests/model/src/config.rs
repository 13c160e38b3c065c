// SPDX-License-Identifier: GPL-2.0

//! What one exploration covers: a small machine, and what may happen in it.

mod all;

pub use all::ALL;

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
    /// empty queue, X3's flush of an L2, H1's flush of other roots.
    pub slots: u8,
    pub keep_roots: bool,
    pub no_exit_flush: bool,
    pub skip_empty_queue: bool,
    pub l1_flush_alone: bool,
    pub own_roots: bool,
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
        own_roots: false,
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
