// SPDX-License-Identifier: GPL-2.0

//! What a CPU may be able to do. `selftests/properties` has this file as well.

use crate::policy::types::Caps;

/// Every combination of what CPU and parameters allow.
pub(crate) fn all_caps() -> impl Iterator<Item = Caps> {
    let all = [
        Caps::EPT,
        Caps::EPT_AD,
        Caps::VPID,
        Caps::INVEPT_SINGLE,
        Caps::INVVPID_ADDRESS,
        Caps::INVVPID_SINGLE,
        Caps::INVVPID_ALL,
    ];

    (0u32..128).map(move |bits| {
        (0..all.len()).fold(Caps::NONE, |caps, bit| {
            caps.with(all[bit], bits >> bit & 1 != 0)
        })
    })
}
