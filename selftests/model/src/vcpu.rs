// SPDX-License-Identifier: GPL-2.0

//! A vCPU of the modelled machine: what KVM and the module keep for it, and where its thread is.

use crate::{
    config::Config,
    policy::{
        history::{
            Named,
            Rest, //
        },
        hv_l2::Identity,
        types::{
            Level,
            Request,
            Vpid, //
        },
    },
    tlb::{
        Root,
        NO_ROOT,
        ROOT_EPT12,
        ROOT_L1,
        ROOT_L2, //
    },
};

/// KVM's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Requests {
    /// KVM_REQ_TLB_FLUSH.
    pub all: bool,
    /// KVM_REQ_TLB_FLUSH_CURRENT.
    pub current: bool,
    /// KVM_REQ_TLB_FLUSH_GUEST.
    pub guest: bool,
    /// KVM_REQ_HV_TLB_FLUSH.
    pub hyperv: bool,
    /// KVM_REQ_STEAL_UPDATE, if L1 has asked for a flush.
    pub steal: bool,
}

impl Requests {
    pub fn any(self) -> bool {
        self != Self::default()
    }

    pub(crate) fn add(&mut self, required: Option<Request>) {
        match required {
            Some(Request::Guest) => self.guest = true,
            Some(Request::Current) => self.current = true,
            None => (),
        }
    }
}

/// Where a VM entry fails, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fail {
    No,
    /// Before L2 is active, e.g. on invalid guest state.
    Early,
    /// After L2 is active, e.g. on a bad MSR list.
    Late,
    /// The CPU refuses vmcs02.
    Refused,
}

/// How L2 is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leave {
    Exit,
    /// KVM's checks failed after those of the controls: like an exit, but L2 has not run.
    Failed,
    /// The CPU refused vmcs02.
    Refused,
}

/// What follows when the local requests are handled (`kvm_service_local_tlb_flush_requests`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Hyper-V's request, in `vcpu_enter_guest`.
    Hyperv,
    /// After Hyper-V's fallback, or after the steal time.
    Load,
    /// The switch to vmcs02.
    Enter(Fail),
    /// The switch to vmcs01.
    Leave(Leave),
}

/// What a vCPU's thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// The guest runs.
    Guest,
    /// The guest has exited, and nothing is under way.
    Host,
    /// It makes a flush call, see [`crate::state::Call`].
    Calling,

    // nested_vmx_handle_enlightened_vmptrld, copy_enlightened_to_vmcs12.
    MapEvmcs(u8, Fail),
    CopyIds(u8, Fail),
    // kvm_service_local_tlb_flush_requests.
    LocalCurrent(Then),
    LocalGuest(Then),
    FlushGuest(Then),
    /// The purge has taken the request, and not yet the entries.
    Purge(Then),
    // nested_vmx_enter_non_root_mode.
    Switch02(Fail),
    Enter(Fail),
    // __nested_vmx_vmexit.
    Switch01(Leave),
    /// The exit rule has read the counts of calls, and not yet looked at L2's queue.
    Rest,
    // vcpu_enter_guest.
    All,
    Hyperv,
    /// The request is taken, and not yet the entries.
    Drain,
    Steal,
    LoadRoot,
    Last,
}

impl At {
    /// No step is under way.
    pub fn is_stable(self) -> bool {
        matches!(self, Self::Guest | Self::Host | Self::Calling)
    }

    /// The step uses nothing that other threads change or look at. So nothing is missed if none of
    /// their steps comes before it.
    pub fn is_local(self) -> bool {
        matches!(
            self,
            Self::LocalCurrent(_)
                | Self::LocalGuest(_)
                | Self::Switch02(_)
                | Self::Steal
                | Self::LoadRoot
        )
    }
}

/// The ids of L2 that other vCPUs see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ids {
    Unknown,
    /// 0 without an enlightened VMCS.
    Vm(u8),
}

impl Ids {
    pub(crate) fn identity(self) -> Identity {
        match self {
            Self::Unknown => Identity::Unknown,
            Self::Vm(vm) => Identity::Known {
                vm: u64::from(vm),
                vp: 0,
            },
        }
    }
}

/// A vCPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vcpu {
    /// The CPU that it is loaded on.
    pub cpu: Option<u8>,
    pub at: At,
    /// L2 is active.
    pub l2: bool,
    pub vmxon: bool,
    /// The current vmcs12, 0 for none.
    pub ctx: u8,
    /// The enlightened VMCS that is mapped, 0 for none.
    pub mapped: u8,
    /// vmcs12 may have changed since vmcs02 was written.
    pub dirty: bool,
    /// The CPUs that the VMCSs were last loaded on.
    pub cpu01: Option<u8>,
    pub cpu02: Option<u8>,
    pub vpid01: u8,
    pub vpid02: u8,
    pub last_vpid: u8,
    /// The owner of the pair in use while `last_vpid` is 0.
    pub unused_owner: u8,
    /// `Vcpu::owner_last_set`.
    pub owner_last_set: u8,
    /// What is known of the L2 of the pair in use.
    pub rest: Known,
    /// The parked pairs: VPID, owner, and what is known of its L2.
    pub parked: Vec<(u8, u8, Known)>,
    /// The counts that the thread has read: see [`Known`], and whether calls are under way.
    pub seen: (bool, bool),
    /// The entry that is under way takes that pair if it finds none, and none is free.
    pub turn: u8,
    /// The VPID in vmcs02.
    pub vmcs02_vpid: u8,
    pub requests: Requests,
    /// A bit for each eptp12 whose root this vCPU keeps.
    pub roots: u8,
    /// The CPU will refuse vmcs02.
    pub refused: bool,
    pub ids: Ids,
    /// Something is queued for L1, for L2.
    pub queue_l1: bool,
    pub queue_l2: bool,
    /// L1 has asked for a flush in the steal time.
    pub steal: bool,
}

impl Vcpu {
    pub(crate) fn queue(&mut self, level: Level) -> &mut bool {
        match level {
            Level::L1 => &mut self.queue_l1,
            Level::L2 => &mut self.queue_l2,
        }
    }

    pub(crate) fn level(&self) -> Level {
        Level::running(self.l2)
    }

    /// The context that runs: L1 or that of the current vmcs12.
    pub fn running(&self) -> u8 {
        if self.l2 {
            self.ctx
        } else {
            0
        }
    }

    /// Whether vmcs12 uses VPIDs; `None` while L1 runs.
    pub fn uses_vpid(&self, config: &Config) -> Option<bool> {
        self.l2.then(|| config.context(self.ctx).vpid12 != 0)
    }

    /// The root that the guest runs on, if it is loaded.
    pub fn root(&self, config: &Config) -> Root {
        if !config.ept {
            return NO_ROOT;
        }
        match (self.l2, config.context(self.ctx).eptp12) {
            (false, _) => ROOT_L1,
            (true, 0) => ROOT_L2,
            (true, eptp12) => ROOT_EPT12 + eptp12 - 1,
        }
    }

    /// The VPID in the VMCS that the guest runs on.
    pub fn hardware_vpid(&self) -> u8 {
        if self.l2 {
            self.vmcs02_vpid
        } else {
            self.vpid01
        }
    }

    pub(crate) fn vpid01(&self) -> Option<Vpid> {
        Vpid::new(u16::from(self.vpid01))
    }

    pub(crate) fn vpid02(&self) -> Option<Vpid> {
        Vpid::new(u16::from(self.vpid02))
    }
}

/// A pair's `Rest`. All that is ever asked of its count is whether there were calls since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// `None`: an ordinary VMCS.
    pub ids: Option<Ids>,
    pub count: Count,
}

/// A count of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// It is what the word says now.
    Now,
    Before,
    Missed,
}

impl Count {
    /// The number in the words, of which there is one.
    pub(crate) const NOW: u64 = 1;

    fn number(self) -> u64 {
        match self {
            Self::Now => Self::NOW,
            Self::Before => 0,
            Self::Missed => u64::MAX,
        }
    }
}

impl Known {
    pub const UNKNOWN: Self = Self {
        ids: Some(Ids::Unknown),
        count: Count::Missed,
    };

    pub(crate) fn named(ids: Option<Ids>) -> Named {
        match ids {
            None => Named::Nobody,
            Some(Ids::Unknown) => Named::Unknown,
            Some(Ids::Vm(vm)) => Named::Ids {
                vm: vm.into(),
                vp: 0,
            },
        }
    }

    pub(crate) fn rest(self) -> Rest {
        Rest::from_fields(Self::named(self.ids), self.count.number())
    }

    pub(crate) fn new(ids: Option<Ids>, rest: Rest) -> Self {
        let count = match rest.calls() {
            0 => Count::Before,
            Count::NOW => Count::Now,
            _ => Count::Missed,
        };

        Self { ids, count }
    }

    /// A call for this L2 begins.
    pub(crate) fn count(&mut self, vm: u8) {
        if self.ids == Some(Ids::Vm(vm)) && self.count == Count::Now {
            self.count = Count::Before;
        }
    }
}
