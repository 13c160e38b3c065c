// SPDX-License-Identifier: GPL-2.0

//! The vCPU that a hook is about, and its vmcs12.

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use super::{
    bindings,
    fields::{
        self,
        Field,
        Number,
        SharedNumber, //
    },
    insn,
    live::{
        Live,
        Own, //
    },
    mmu::{
        CachedRoot,
        Mmu,
        PREVIOUS, //
    },
    registration::Shared,
};
use crate::policy::{
    apic_access::L2Page,
    eptp::RootPage,
    options::Options,
    types::{
        Caps,
        Vpid, //
    },
};

/// No address of an enlightened VMCS. (KVM's macro of that name, which bindgen cannot evaluate.
/// `helpers.c` compares.)
const EVMPTR_INVALID: u64 = u64::MAX;

/// A vCPU for the time of one hook, with all that its hook may do.
///
/// # Invariants
///
/// For all of `'h`: `shared` is registered. The vCPU is loaded on this CPU, and this thread holds
/// its mutex (or no other thread knows it yet, or any more).
#[derive(Clone, Copy)]
pub(crate) struct Vcpu<'h> {
    // Not a reference: the compiler would then test it for NULL in an `Option`, as in `Live`.
    shared: *const Shared,
    vmx: Own<'h, bindings::vcpu_vmx>,
}

/// A vCPU whose hook may use the VM's memory slots, e.g. to read guest memory. In all other
/// respects it is the [`Vcpu`].
///
/// # Invariants
///
/// For all of `'h` this thread is in a read-side section of the VM's `srcu`, which KVM entered to
/// run the vCPU.
#[derive(Clone, Copy)]
pub(crate) struct WithSlots<'h>(Vcpu<'h>);

impl<'h> Deref for WithSlots<'h> {
    type Target = Vcpu<'h>;

    #[inline(always)]
    fn deref(&self) -> &Vcpu<'h> {
        let Self(vcpu) = self;

        vcpu
    }
}

/// What a hook is given for its vCPU.
pub(super) trait HookVcpu<'h> {
    /// The vCPU of a hook.
    ///
    /// # Safety
    ///
    /// What the type's invariant says in addition to [`Vcpu`]'s.
    unsafe fn in_hook(vcpu: Vcpu<'h>) -> Self;
}

impl<'h> HookVcpu<'h> for Vcpu<'h> {
    #[inline(always)]
    unsafe fn in_hook(vcpu: Vcpu<'h>) -> Self {
        vcpu
    }
}

impl<'h> HookVcpu<'h> for WithSlots<'h> {
    #[inline(always)]
    unsafe fn in_hook(vcpu: Vcpu<'h>) -> Self {
        // INVARIANT: As the caller promises.
        Self(vcpu)
    }
}

/// Which types of INVVPID or INVEPT L1 is offered.
pub(super) struct Offer {
    /// L1 has the instruction.
    pub(super) exists: bool,
    /// A bit for each type.
    pub(super) types: u32,
}

impl<'h> Vcpu<'h> {
    /// Wraps what a hook was given.
    ///
    /// # Safety
    ///
    /// The type's invariant.
    #[inline(always)]
    pub(super) unsafe fn new(shared: &'h Shared, vmx: Own<'h, bindings::vcpu_vmx>) -> Self {
        // INVARIANT: As the caller promises.
        Self { shared, vmx }
    }

    #[inline(always)]
    fn shared(self) -> &'h Shared {
        // SAFETY: It was made from a reference that lives as long, in `new`.
        unsafe { &*self.shared }
    }

    /// What the CPU and kvm_intel's parameters allow.
    #[inline(always)]
    pub(crate) fn caps(self) -> Caps {
        self.shared().caps()
    }

    /// Where the rules may flush less than C does, at this moment.
    #[inline(always)]
    pub(crate) fn options(self) -> Options {
        self.shared().options()
    }

    /// The functions of kvm.
    #[inline(always)]
    pub(super) fn kvm_functions(self) -> &'h bindings::kvm_nvmx_kvm_functions {
        self.shared().kvm()
    }

    /// The functions of kvm_intel.
    #[inline(always)]
    pub(super) fn vmx_functions(self) -> &'h bindings::kvm_nvmx_vmx_functions {
        self.shared().vmx()
    }

    /// The pointer, for C.
    #[inline(always)]
    pub(super) fn as_ptr(self) -> *mut bindings::kvm_vcpu {
        self.own().as_ptr()
    }

    /// KVM's structure.
    #[inline(always)]
    pub(super) fn own(self) -> Own<'h, bindings::kvm_vcpu> {
        self.vmx.part(fields::VCPU)
    }

    /// VMX's structure.
    #[inline(always)]
    pub(super) fn vmx(self) -> Own<'h, bindings::vcpu_vmx> {
        self.vmx
    }

    /// The value of a field of KVM's structure.
    #[inline(always)]
    pub(super) fn get<T: Copy>(self, field: Field<bindings::kvm_vcpu, T>) -> T {
        self.own().get(field)
    }

    /// The value of a field of VMX's structure.
    #[inline(always)]
    pub(super) fn get_vmx<T: Copy, A>(self, field: Field<bindings::vcpu_vmx, T, A>) -> T {
        self.vmx.get(field)
    }

    /// Sets a number in VMX's structure.
    #[inline(always)]
    pub(super) fn set_vmx<T: Copy>(self, field: Number<bindings::vcpu_vmx, T>, number: T) {
        self.vmx.set(field, number);
    }

    /// The VM.
    #[inline(always)]
    pub(super) fn vm(self) -> Live<'h, bindings::kvm> {
        // SAFETY: A vCPU has a VM, which lives longer.
        unsafe { Live::from_raw(NonNull::new_unchecked(self.kvm())) }
    }

    /// The VM, for C.
    #[inline(always)]
    pub(super) fn kvm(self) -> *mut bindings::kvm {
        self.get(fields::KVM)
    }

    /// L2 is active. (`is_guest_mode`.)
    #[inline(always)]
    pub(crate) fn runs_l2(self) -> bool {
        self.get(fields::HFLAGS) & bindings::NVMX_HF_GUEST_MASK as u32 != 0
    }

    /// L2 is active, and vmcs02 is the current VMCS.
    #[inline]
    pub(super) fn is_on_vmcs02(self) -> bool {
        let vmcs02 = self.vmx.part(fields::NESTED.then(fields::VMCS02));

        self.runs_l2() && self.get_vmx(fields::LOADED_VMCS) == vmcs02.as_ptr()
    }

    /// In an exit to L1: it may end a VM entry that has failed, so L2 may not have run. KVM clears
    /// the mark of an entry that is pending when L2 has run, or after the exit. If the CPU itself
    /// fails the entry the mark is clear, but the flush of the entry was executed.
    #[inline(always)]
    pub(crate) fn entry_has_failed(self) -> bool {
        self.get(fields::NESTED_RUN_PENDING) != 0
    }

    /// The hardware VPID that L1 runs with.
    #[inline(always)]
    pub(crate) fn vpid01(self) -> Option<Vpid> {
        // The allocator hands out 1 to 65,535, or 0 for none.
        Vpid::new(self.get_vmx(fields::VPID01) as u16)
    }

    /// The hardware VPID that L2 runs with if its vmcs12 uses VPIDs.
    ///
    /// VMXOFF frees the VPID and does not clear the field. The VPID may then be another vCPU's.
    /// That costs a redundant flush at most.
    #[inline(always)]
    pub(crate) fn vpid02(self) -> Option<Vpid> {
        Vpid::new(self.get_vmx(fields::NESTED.then(fields::VPID02)))
    }

    /// The vpid12 that vpid02 was last used for; 0 if there is none that may be relied on, e.g.
    /// after VMXON.
    #[inline(always)]
    pub(crate) fn last_vpid(self) -> u16 {
        self.get_vmx(fields::NESTED.then(fields::LAST_VPID))
    }

    /// Records the vpid12 that vpid02 stands for from now on.
    #[inline(always)]
    pub(crate) fn set_last_vpid(self, vpid12: u16) {
        self.set_vmx(fields::NESTED.then(fields::LAST_VPID), vpid12);
    }

    /// Makes the next VM entry with a VPID flush (T4), because no vpid12 is 0.
    #[inline(always)]
    pub(crate) fn forget_last_vpid(self) {
        self.set_last_vpid(0);
        self.set_hidden_owner(0);
    }

    /// The APIC-access page of the active L2.
    ///
    /// KVM looks it up for VMLAUNCH and VMRESUME before it decides on the flush of the VM entry. It
    /// does so later for RSM, and for nested state that is set. Both flush everything (T15, H9).
    #[inline(always)]
    pub(crate) fn l2_page(self, vmcs12: Vmcs12<'_>) -> L2Page {
        let pfn = || self.get_vmx(fields::NESTED.then(fields::L2_APIC_PFN));

        L2Page::new(vmcs12.has_apic_page().then(pfn))
    }

    /// The APIC-access page of the L2 without EPT in vmcs12 that ran last on this vCPU, as Rust has
    /// recorded it.
    #[inline(always)]
    pub(crate) fn last_l2_page(self) -> L2Page {
        L2Page::from_bits(self.get_vmx(fields::NESTED.then(fields::L2_APIC_PAGE)))
    }

    /// Records it.
    #[inline(always)]
    pub(crate) fn set_last_l2_page(self, page: L2Page) {
        self.set_vmx(fields::NESTED.then(fields::L2_APIC_PAGE), page.bits());
    }

    /// The vmcs12 of the L2 that is active; `None` while L1 runs.
    #[inline(always)]
    pub(crate) fn vmcs12(self) -> Option<Vmcs12<'h>> {
        if !self.runs_l2() {
            return None;
        }
        let vmcs12 = self.get_vmx(fields::NESTED.then(fields::CACHED_VMCS12));
        // SAFETY: While L2 is active there is a vmcs12. It stays until VMX operation ends, and only
        // the vCPU's thread writes it.
        Some(Vmcs12(unsafe {
            Own::from_raw(NonNull::new_unchecked(vmcs12))
        }))
    }

    /// Whether vmcs12 uses VPIDs; `None` while L1 runs. (`nested_cpu_has_vpid`.)
    #[inline(always)]
    pub(crate) fn vmcs12_uses_vpid(self) -> Option<bool> {
        self.vmcs12().map(Vmcs12::uses_vpid)
    }

    /// The MMU context in use.
    #[inline(always)]
    pub(crate) fn mmu(self) -> Mmu<'h> {
        // SAFETY: `mmu` always points at one of the vCPU's contexts.
        Mmu(unsafe { Own::from_raw(NonNull::new_unchecked(self.get(fields::MMU))) })
    }

    /// The context of L1, and of an L2 without EPT in its vmcs12.
    #[inline]
    pub(crate) fn root_mmu(self) -> Mmu<'h> {
        Mmu(self.own().part(fields::ROOT_MMU))
    }

    /// The context of an L2 with EPT in its vmcs12.
    #[inline]
    pub(crate) fn guest_mmu(self) -> Mmu<'h> {
        Mmu(self.own().part(fields::GUEST_MMU))
    }

    /// V18: KVM keeps as many roots of L1's EPTs as there is room for.
    #[inline]
    pub(crate) fn keep_more_roots(self) {
        let number = fields::VCPU
            .then(fields::GUEST_MMU)
            .then(fields::NR_PREVIOUS);

        // SAFETY: There is room for `PREVIOUS` roots, and no other thread uses the number.
        unsafe { number.of(self.vmx.as_ptr()).write(PREVIOUS as u32) };
    }

    /// What the MMU knows of the page of `root`.
    #[inline(always)]
    pub(crate) fn page_of(self, root: CachedRoot<'_>) -> RootPage {
        self.shared().pages().of_root(root)
    }

    /// The CPU that this thread runs on. Unless preemption is disabled, the thread may move to
    /// another one at any time. Then the vCPU is loaded there, which flushes everything there (H9).
    #[inline]
    pub(crate) fn cpu(self) -> i32 {
        self.own().live().read(fields::VCPU_CPU)
    }

    /// The CPU that vmcs02 was last loaded on; negative for none.
    #[inline]
    pub(crate) fn cpu_of_vmcs02(self) -> i32 {
        let vmcs02 = self.vmx.part(fields::NESTED.then(fields::VMCS02));

        vmcs02.live().read(fields::VMCS_CPU)
    }

    /// Bits 31:0 of the control word of the hypercall that the running guest makes, from its
    /// registers.
    #[inline]
    pub(crate) fn hypercall_control(self, is_64_bit: bool) -> u32 {
        let [rax, rcx, ..] = self.get(fields::REGS);

        (if is_64_bit { rcx } else { rax }) as u32
    }

    /// Of the #DB that is queued, what it will put into DR6; 0 if there is none.
    #[inline]
    pub(crate) fn queued_db(self) -> u64 {
        let mut queued = self.get(fields::EXCEPTION);

        if !queued.pending {
            // L1 intercepts it.
            queued = self.get(fields::EXCEPTION_VMEXIT);
        }
        if queued.pending && queued.vector == bindings::NVMX_DB_VECTOR {
            queued.payload as u64
        } else {
            0
        }
    }

    /// L2's VMCS is an enlightened one, be it mapped or not yet. (`nested_vmx_is_evmptr12_set`.)
    #[inline]
    pub(crate) fn has_evmcs(self) -> bool {
        self.get_vmx(fields::NESTED.then(fields::HV_EVMCS_VMPTR)) != EVMPTR_INVALID
    }

    /// INVVPID, as L1 is offered it.
    #[inline]
    pub(super) fn invvpid_offer(self) -> Offer {
        let controls = self.get_vmx(fields::NESTED.then(fields::SECONDARY_CTLS_HIGH));
        let caps = self.get_vmx(fields::NESTED.then(fields::VPID_CAPS));

        Offer {
            exists: controls & bindings::NVMX_ENABLE_VPID != 0
                && caps & bindings::NVMX_INVVPID != 0,
            types: insn::invvpid_types(caps),
        }
    }

    /// INVEPT, as L1 is offered it.
    #[inline]
    pub(super) fn invept_offer(self) -> Offer {
        let controls = self.get_vmx(fields::NESTED.then(fields::SECONDARY_CTLS_HIGH));
        let caps = self.get_vmx(fields::NESTED.then(fields::EPT_CAPS));

        Offer {
            exists: controls & bindings::NVMX_ENABLE_EPT != 0 && caps & bindings::NVMX_INVEPT != 0,
            types: insn::invept_types(caps),
        }
    }

    /// The guest has enabled asynchronous page faults, so it must be told of pages that become
    /// ready.
    #[inline]
    pub(crate) fn has_async_page_faults(self) -> bool {
        self.get(fields::ASYNC_PF) & bindings::NVMX_ASYNC_PF == bindings::NVMX_ASYNC_PF
    }

    /// Adds to KVM's count of flushes.
    #[inline]
    pub(crate) fn count_tlb_flushes(self, number: u64) {
        self.add(fields::STAT_TLB_FLUSH, number);
    }

    /// Adds to a statistic. User space reads them at any time, and only this thread writes them.
    #[inline]
    pub(super) fn add(self, statistic: SharedNumber<bindings::kvm_vcpu, u64>, number: u64) {
        let vcpu = self.own().live();

        vcpu.write(statistic, vcpu.read(statistic).wrapping_add(number));
    }
}

/// The VMCS that L1 keeps for L2, in KVM's own copy.
#[derive(Clone, Copy)]
pub(crate) struct Vmcs12<'h>(pub(super) Own<'h, bindings::vmcs12>);

impl Vmcs12<'_> {
    /// L1 gave L2 a VPID. (`nested_cpu_has_vpid`.)
    #[inline(always)]
    pub(crate) fn uses_vpid(self) -> bool {
        self.has_secondary_control(bindings::NVMX_ENABLE_VPID)
    }

    /// L1 gave L2 an EPT. (`nested_cpu_has_ept`.)
    #[inline(always)]
    pub(crate) fn uses_ept(self) -> bool {
        self.has_secondary_control(bindings::NVMX_ENABLE_EPT)
    }

    /// L1 gave L2 an APIC-access page, and no EPT.
    #[inline(always)]
    pub(crate) fn has_apic_page_without_ept(self) -> bool {
        let both = bindings::NVMX_APIC_ACCESSES | bindings::NVMX_ENABLE_EPT;

        self.has_secondary_controls()
            && self.0.get(fields::SECONDARY_CONTROL) & both == bindings::NVMX_APIC_ACCESSES
    }

    #[inline(always)]
    fn has_secondary_controls(self) -> bool {
        self.0.get(fields::CPU_BASED_CONTROL) & bindings::NVMX_SECONDARY_CONTROLS != 0
    }

    #[inline(always)]
    fn has_secondary_control(self, control: u32) -> bool {
        self.has_secondary_controls() && self.0.get(fields::SECONDARY_CONTROL) & control != 0
    }

    /// The VPID that L1 gave L2, if it gave one.
    #[inline(always)]
    pub(crate) fn vpid12(self) -> Option<u16> {
        self.uses_vpid().then(|| self.0.get(fields::VPID12))
    }

    /// The EPT pointer that L1 gave L2, if it gave one.
    #[inline]
    pub(crate) fn eptp12(self) -> Option<u64> {
        self.uses_ept().then(|| self.0.get(fields::EPTP12))
    }

    /// L1 gave L2 an APIC-access page.
    #[inline(always)]
    pub(crate) fn has_apic_page(self) -> bool {
        self.has_secondary_control(bindings::NVMX_APIC_ACCESSES)
    }
}
