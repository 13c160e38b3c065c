// SPDX-License-Identifier: GPL-2.0

//! The CPU that this thread runs on, while it cannot move to another one.

use kernel::types::NotThreadSafe;

use super::bindings;

/// Preemption is disabled while it lives, so this thread stays on its CPU.
pub(crate) struct ThisCpu {
    number: i32,
    _thread: NotThreadSafe,
}

impl ThisCpu {
    /// Disables preemption; nests.
    #[inline]
    pub(crate) fn stay() -> Self {
        // SAFETY: Preemption may be disabled anywhere; `drop` enables it again.
        let number = unsafe { bindings::nvmx_get_cpu() };

        Self {
            number,
            _thread: NotThreadSafe,
        }
    }

    /// Its number.
    #[inline]
    pub(crate) fn number(&self) -> i32 {
        self.number
    }
}

impl Drop for ThisCpu {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `stay` has disabled preemption on this thread, once for this value.
        unsafe { bindings::nvmx_put_cpu() };
    }
}
