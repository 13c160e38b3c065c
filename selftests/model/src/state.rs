// SPDX-License-Identifier: GPL-2.0

//! The state of the modelled machine.

use crate::{
    config::Config,
    tlb::Tlb,
    vcpu::{
        At,
        Ids,
        Known,
        Requests,
        Vcpu, //
    },
};

/// Whose flush a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// L1's own, for all vCPUs.
    L1,
    /// An L2's, for all of its VM.
    L2(u8),
    /// The host's, which has changed the VM's memory.
    Host,
}

/// A flush of several vCPUs that is under way, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    None,
    /// Next: is this vCPU a target?
    Look(Kind, u8, u8),
    /// It is: queue.
    Push(Kind, u8, u8),
    /// Next: the request of this vCPU, if it is a target.
    Request(Kind, u8, u8),
    /// All requests are made.
    Wait,
}

/// The host's VPIDs that nobody has, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FreeVpids(u16);

impl FreeVpids {
    pub const NONE: Self = Self(0);

    /// The lowest one, as the host's allocator gives it; 0 if there is none.
    pub fn allocate(&mut self) -> u8 {
        if *self == Self::NONE {
            return 0;
        }
        let vpid = self.0.trailing_zeros() as u8;

        self.0 &= !(1 << vpid);
        vpid
    }

    pub fn free(&mut self, vpid: u8) {
        if vpid != 0 {
            self.0 |= 1 << vpid;
        }
    }
}

/// Who has the hooks (`Registration::set`, `kvm_nvmx_switch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hooks {
    /// All are Rust's, and its options apply.
    Rust,
    /// Some are C's, in any mixture. Without options Rust's do what C's do, so that the mixture
    /// does not matter.
    Mixed,
    /// All are Rust's, and the requests of the vCPUs from this one on are to be made.
    Flush(u8),
}

/// Another VM, which runs one vCPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OtherVm {
    /// 0: it has none.
    pub vpid: u8,
    /// The CPU that it last ran on.
    pub cpu: Option<u8>,
    pub runs: bool,
}

/// The number of the other VM's vCPU.
pub const OTHER: u8 = 2;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub vcpus: Vec<Vcpu>,
    pub tlb: Tlb,
    pub free_vpids: FreeVpids,
    /// For each eptp12, a bit for each vCPU: KVM's tables for that eptp12 are older than an INVEPT
    /// of that vCPU's L1.
    pub old_tables: [u8; 2],
    pub call: Call,
    /// It is counted, and has not ended.
    pub counted: bool,
    /// The vCPU that makes the call, if it is one of these.
    pub caller: Option<u8>,
    /// The call's targets that are still in their guest, a bit each.
    pub waiting: u8,
    pub other: OtherVm,
    pub hooks: Hooks,
    /// The options apply.
    pub options: bool,
}

impl State {
    /// The state in which exploration begins: each vCPU has executed VMXON.
    pub fn new(config: &Config) -> Self {
        let mut state = Self {
            vcpus: Vec::new(),
            tlb: Tlb::default(),
            free_vpids: FreeVpids(((1 << config.vpids) - 1) << (1 + config.vcpus)),
            old_tables: [0; 2],
            call: Call::None,
            counted: false,
            caller: None,
            waiting: 0,
            other: OtherVm::default(),
            hooks: Hooks::Rust,
            options: true,
        };
        for number in 0..config.vcpus {
            let vpid02 = state.free_vpids.allocate();
            let restored = config.restored && number == 0;
            state.vcpus.push(Vcpu {
                cpu: Some(number),
                at: At::Host,
                l2: restored,
                vmxon: true,
                ctx: restored.into(),
                mapped: restored.into(),
                dirty: false,
                cpu01: Some(number),
                cpu02: restored.then_some(number),
                vpid01: 1 + number,
                vpid02,
                last_vpid: restored.into(),
                unused_owner: 0,
                owner_last_set: 0,
                rest: Known::UNKNOWN,
                parked: Vec::new(),
                seen: (false, false),
                turn: 0,
                vmcs02_vpid: if restored { vpid02 } else { 0 },
                requests: Requests::default(),
                roots: 0,
                refused: false,
                ids: if restored { Ids::Unknown } else { Ids::Vm(0) },
                queue_l1: false,
                queue_l2: false,
                steal: false,
            });
        }
        state
    }

    /// Whether somebody is on that CPU.
    pub fn is_busy(&self, cpu: u8) -> bool {
        self.vcpus.iter().any(|vcpu| vcpu.cpu == Some(cpu))
            || (self.other.runs && self.other.cpu == Some(cpu))
    }
}
