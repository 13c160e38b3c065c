// SPDX-License-Identifier: GPL-2.0

//! What the machine that KVM runs on is like.

use super::bindings;

/// KVM runs on Hyper-V, and changes its page tables without a request to all vCPUs. It asks Hyper-V
/// for a flush, and names the root that each vCPU has loaded last, no others.
pub(crate) fn remote_flush_misses_roots() -> bool {
    // SAFETY: It reads what is constant since boot.
    unsafe { bindings::nvmx_remote_flush_misses_roots() }
}
