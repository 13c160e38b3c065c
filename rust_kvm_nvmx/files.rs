// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/rust_kvm_nvmx`: the hooks' modes and the counters.
//!
//! - `hooks/NAME`: `rust` or `c`, to read and to write,
//! - `counters`: one `NAME VALUE` a line,
//! - `reset`: whatever is written sets all counters to 0.
//!
//! The `kernel` crate's debugfs gives its files no owner: closing one after the module is gone would
//! call into nothing. `files.c` has file operations with an owner, which come here.

use core::ffi::c_void;

use kernel::{
    bindings::{
        dentry,
        seq_file, //
    },
    ffi::c_int,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::CStrExt,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

use crate::{
    bindings,
    hooks,
    stats, //
};

/// Long enough for a mode's name and a newline.
const MODE_LEN: usize = 8;

/// The number of the file `counters`; those in `hooks/` have their index in `SWITCHES`.
const COUNTERS: usize = hooks::table::SWITCHES.len();
/// The number of the file `reset`.
const RESET: usize = COUNTERS + 1;

const READ_ONLY: u16 = 0o400;
const READ_WRITE: u16 = 0o600;
const WRITE_ONLY: u16 = 0o200;

/// The directory with its files, as long as this lives.
///
/// As everywhere with debugfs, failing to make it is no failure of the module.
///
/// # Invariants
///
/// `directory` is what `debugfs_create_dir` returned.
pub(crate) struct Files {
    directory: *mut dentry,
}

// SAFETY: debugfs may be told from any thread to remove a directory.
unsafe impl Send for Files {}
// SAFETY: Nothing is done through a shared reference.
unsafe impl Sync for Files {}

impl Files {
    /// Makes them. Sleeps.
    pub(crate) fn new() -> Self {
        let directory = subdirectory(c"rust_kvm_nvmx", core::ptr::null_mut());
        let modes = subdirectory(c"hooks", directory);

        for (number, switch) in (0..COUNTERS).zip(&hooks::table::SWITCHES) {
            file(switch.name, READ_WRITE, modes, number);
        }
        file(c"counters", READ_ONLY, directory, COUNTERS);
        file(c"reset", WRITE_ONLY, directory, RESET);
        // INVARIANT: As the function says.
        Self { directory }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. It takes the files in it too, and waits for readers.
        unsafe { kernel::bindings::debugfs_remove(self.directory) };
    }
}

fn subdirectory(name: &CStr, parent: *mut dentry) -> *mut dentry {
    // SAFETY: A parent that could not be made is an error pointer, which debugfs takes.
    unsafe { kernel::bindings::debugfs_create_dir(name.as_char_ptr(), parent) }
}

fn file(name: &CStr, mode: u16, directory: *mut dentry, number: usize) {
    // SAFETY: As above; the operations belong to this module.
    unsafe { bindings::nvmx_file_create(name.as_char_ptr(), mode, directory.cast(), number) };
}

/// What reading file `number` shows.
///
/// # Safety
///
/// Called by `files.c` only: `m` is the file being shown.
#[no_mangle]
unsafe extern "C" fn nvmx_file_show(m: *mut seq_file, number: usize) -> c_int {
    // SAFETY: By the caller's promise.
    let m = unsafe { SeqFile::from_raw(m) };

    if let Some(switch) = hooks::table::SWITCHES.get(number) {
        seq_print!(m, "{}\n", switch.mode());
    } else if number == COUNTERS {
        for (counter, name) in (0..stats::NAMES.len()).zip(stats::NAMES) {
            seq_print!(m, "{} {}\n", name, stats::sum(counter));
        }
    }
    0
}

/// What writing the `len` bytes at `from`, in user space, to file `number` does.
///
/// # Safety
///
/// Called by `files.c` only.
#[no_mangle]
unsafe extern "C" fn nvmx_file_write(number: usize, from: *const c_void, len: usize) -> isize {
    match write(number, UserPtr::from_addr(from.addr()), len) {
        Ok(()) => len as isize,
        Err(error) => error.to_errno() as isize,
    }
}

fn write(number: usize, from: UserPtr, len: usize) -> Result {
    let Some(switch) = hooks::table::SWITCHES.get(number) else {
        stats::reset();
        return Ok(());
    };
    let mut text = [0; MODE_LEN];
    let text = text.get_mut(..len).ok_or(EINVAL)?;

    UserSlice::new(from, len).reader().read_slice(text)?;
    switch.set_mode(text)
}
