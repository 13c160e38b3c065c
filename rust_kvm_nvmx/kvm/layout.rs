// SPDX-License-Identifier: GPL-2.0

//! The layouts that the module relies on, as bindgen sees them.
//!
//! Registration compares each with what the C compiler made of the running kernel: vermagic and a
//! version number vouch for neither. Each field that Rust reads or writes itself has its line here;
//! for what KVM's inline functions in `helpers.c` use, the sizes of the structures stand. Bits
//! within a word and the numbers of requests are not compared: they come from the headers that the
//! module is built with.

use core::mem::{
    offset_of,
    size_of,
    MaybeUninit, //
};
use core::ptr::addr_of;

use crate::bindings;

/// The table as C takes it.
#[repr(transparent)]
pub(crate) struct Table<const N: usize>([bindings::kvm_nvmx_layout; N]);

// SAFETY: The pointers in it are to constant strings.
unsafe impl<const N: usize> Sync for Table<N> {}

impl<const N: usize> Table<N> {
    /// The number of entries.
    pub(crate) const fn len(&self) -> u32 {
        N as u32
    }

    /// The first entry.
    pub(crate) const fn as_ptr(&self) -> *const bindings::kvm_nvmx_layout {
        self.0.as_ptr()
    }
}

const fn entry(name: &'static str, offset: usize, size: usize) -> bindings::kvm_nvmx_layout {
    bindings::kvm_nvmx_layout {
        name: name.as_ptr().cast(),
        offset: offset as u32,
        size: size as u32,
    }
}

/// The size of what a raw pointer points to, without having one.
const fn size_behind<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! structure {
    ($s:ident) => {
        entry(concat!(stringify!($s), "\0"), 0, size_of::<bindings::$s>())
    };
}

macro_rules! field {
    ($s:ident . $first:ident $(. $rest:ident)*) => {
        entry(
            concat!(stringify!($s), ".", stringify!($first), $(".", stringify!($rest),)* "\0"),
            offset_of!(bindings::$s, $first $(. $rest)*),
            {
                let value = MaybeUninit::<bindings::$s>::uninit();
                // SAFETY: Only the address is taken, nothing is read.
                size_behind(unsafe { addr_of!((*value.as_ptr()).$first $(. $rest)*) })
            },
        )
    };
}

/// What the module relies on.
pub(crate) static LAYOUTS: Table<53> = Table([
    structure!(kvm_nvmx_ops),
    structure!(kvm_nvmx_host),
    structure!(kvm_nvmx_kvm_functions),
    structure!(kvm),
    structure!(kvm_vcpu),
    structure!(vcpu_vmx),
    structure!(vmcs12),
    structure!(kvm_mmu),
    structure!(kvm_mmu_page),
    field!(kvm_vcpu.kvm),
    field!(kvm_vcpu.arch.apf.msr_en_val),
    field!(kvm_vcpu.arch.gva_walk),
    field!(kvm_vcpu.arch.guest_mmu),
    field!(kvm_vcpu.arch.mmu),
    field!(kvm_vcpu.arch.root_mmu),
    field!(kvm_vcpu.arch.hflags),
    field!(kvm_vcpu.arch.hyperv),
    field!(kvm.mmu_lock),
    field!(kvm.mmu_invalidate_seq),
    field!(kvm_mmu.root.hpa),
    field!(kvm_mmu.prev_roots),
    field!(kvm_mmu_page.role),
    field!(vcpu_vmx.vcpu),
    field!(vcpu_vmx.vpid),
    field!(vcpu_vmx.loaded_vmcs),
    field!(vcpu_vmx.nested),
    field!(vcpu_vmx.vmcs01),
    field!(loaded_vmcs.cpu),
    field!(loaded_vmcs.controls_shadow),
    field!(nested_vmx.current_vmptr),
    field!(nested_vmx.msrs),
    field!(nested_vmx.vmcs02),
    field!(nested_vmx.cached_vmcs12),
    field!(nested_vmx.vpid02),
    field!(nested_vmx.last_vpid),
    field!(vmcs12.cpu_based_vm_exec_control),
    field!(vmcs12.secondary_vm_exec_control),
    field!(vmcs12.virtual_processor_id),
    structure!(kvm_vcpu_hv),
    structure!(kvm_vcpu_hv_tlb_flush_fifo),
    structure!(kvm_hv_hcall),
    structure!(hv_enlightened_vmcs),
    field!(kvm_vcpu.stat),
    field!(nested_vmx.hv_evmcs),
    field!(kvm_vcpu_hv.cpuid_cache),
    field!(kvm_vcpu_hv.tlb_flush_fifo),
    field!(kvm_vcpu_hv.vcpu_mask),
    field!(kvm_vcpu_hv.vp_assist_page),
    field!(kvm_vcpu_hv.nested),
    field!(hv_enlightened_vmcs.hv_enlightenments_control),
    field!(hv_enlightened_vmcs.partition_assist_page),
    field!(hv_enlightened_vmcs.hv_vm_id),
    field!(hv_enlightened_vmcs.hv_vp_id),
]);
