// SPDX-License-Identifier: GPL-2.0

//! Who decides at a hook: Rust or C. A kill switch, and the tool to bisect with.
//!
//! Each hook has a static key (`helpers.c`), so that the choice costs a hook one NOP.

use kernel::prelude::*;

use crate::bindings;

/// A hook that can be given to C, and taken again, at any time.
pub(crate) struct Switch {
    /// The hook's name in debugfs.
    pub(crate) name: &'static CStr,
    /// C's part of it, a static key.
    key: *mut bindings::nvmx_switch,
}

// SAFETY: C's functions on static keys may be called from any thread.
unsafe impl Send for Switch {}
// SAFETY: As above, and nothing else in it changes.
unsafe impl Sync for Switch {}

impl Switch {
    /// A switch for the hook whose switch in C is `key`.
    ///
    /// # Safety
    ///
    /// `key` is one of the switches in `helpers.c`.
    pub(crate) const unsafe fn new(name: &'static CStr, key: *mut bindings::nvmx_switch) -> Self {
        Self { name, key }
    }

    /// Has Rust (`true`) or C serve the hook from now on. Sleeps.
    ///
    /// Each decision stands by itself and both sides keep the same state, so it does not matter
    /// in which order other CPUs see the changes of several hooks.
    pub(crate) fn set_rust(&self, rust: bool) {
        // SAFETY: `new`'s caller promised that this is a switch.
        unsafe { bindings::nvmx_switch_to_c(self.key, !rust) };
    }

    /// The mode's name in debugfs.
    pub(crate) fn mode(&self) -> &'static str {
        // SAFETY: `new`'s caller promised that this is a switch.
        if unsafe { bindings::nvmx_switch_is_c(self.key) } {
            "c"
        } else {
            "rust"
        }
    }

    /// Sets the mode by its name, with or without a newline. `EINVAL` for any other name, and
    /// nothing changes. Sleeps.
    pub(crate) fn set_mode(&self, mode: &[u8]) -> Result {
        match mode.strip_suffix(b"\n").unwrap_or(mode) {
            b"rust" => self.set_rust(true),
            b"c" => self.set_rust(false),
            _ => return Err(EINVAL),
        }
        Ok(())
    }
}
