// SPDX-License-Identifier: GPL-2.0

//! A debugfs directory that shows a value and owns it.
//!
//! The files of the `kernel` crate's debugfs have no owner: closing one after the module is gone
//! would read file operations that are gone. `debugfs.c` has file operations with an owner, which
//! call this file.

use core::{
    marker::PhantomData,
    ptr, //
};

use kernel::{
    bindings::{
        dentry,
        seq_file, //
    },
    container_of,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    seq_file::SeqFile,
    str::CStrExt,
    types::Opaque,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

use super::bindings;

/// The longest text that may be written to a file, in bytes.
const MAX_WRITE: usize = 8;

/// A value that a directory of files shows. Each file has a number.
pub(crate) trait Files: Sync + 'static {
    /// Makes the files.
    fn make(directory: &Maker<'_>);

    /// Prints what reading file `number` shows.
    fn show(&self, number: usize, to: &SeqFile);

    /// Handles a write of `text` to file `number`. A text of more than 8 bytes is `EINVAL` and does
    /// not come here.
    fn write(&self, number: usize, text: &[u8]) -> Result;
}

/// The directory. If debugfs cannot make it, the module works without it.
///
/// Dropping it removes the files, waits for their readers and writers, and then drops the value.
///
/// # Invariants
///
/// `directory` is what `debugfs_create_dir` returned. `operations` are `T`'s.
#[pin_data(PinnedDrop)]
pub(crate) struct Directory<T> {
    /// The files have a pointer to this.
    #[pin]
    operations: Opaque<bindings::nvmx_files>,
    directory: *mut dentry,
    #[pin]
    value: T,
}

// SAFETY: Any thread may remove a directory of debugfs.
unsafe impl<T: Send> Send for Directory<T> {}
// SAFETY: `value` is `Sync`, and the rest does not change.
unsafe impl<T: Sync> Sync for Directory<T> {}

impl<T: Files> Directory<T> {
    /// Makes the value, and then the directory `name` at the root of debugfs. Sleeps.
    pub(crate) fn new(
        name: &'static CStr,
        value: impl PinInit<T, Error>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            value <- value,
            // INVARIANT: These are `T`'s.
            operations: Opaque::new(bindings::nvmx_files {
                show: Some(show::<T>),
                write: Some(write::<T>),
            }),
            // INVARIANT: The function returns what `debugfs_create_dir` returned.
            directory: subdirectory(name, ptr::null_mut()),
            _: {
                // INVARIANT: They are pinned. Dropping them removes the directory first.
                T::make(&Maker {
                    directory: *directory,
                    files: operations.get(),
                    _value: PhantomData,
                });
            },
        }? Error)
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Directory<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: debugfs made the directory, by the type invariant. This removes its files, too.
        unsafe { kernel::bindings::debugfs_remove(self.directory) };
    }
}

/// Makes files in a directory.
///
/// # Invariants
///
/// `files` stays until the directory is removed, and its value is initialized.
pub(crate) struct Maker<'a> {
    directory: *mut dentry,
    files: *mut bindings::nvmx_files,
    _value: PhantomData<&'a bindings::nvmx_files>,
}

impl Maker<'_> {
    /// Makes a directory in it.
    pub(crate) fn subdirectory(&self, name: &'static CStr) -> Self {
        Self {
            directory: subdirectory(name, self.directory),
            files: self.files,
            _value: PhantomData,
        }
    }

    /// Makes a file with these permissions.
    pub(crate) fn file(&self, name: &'static CStr, permissions: u16, number: usize) {
        // SAFETY: `files` outlives the file by the type invariant. If the parent could not be made,
        // it is an error pointer, which debugfs accepts.
        unsafe {
            bindings::nvmx_file_create(
                name.as_char_ptr(),
                permissions,
                self.directory.cast(),
                self.files,
                number as c_ulong,
            );
        }
    }
}

fn subdirectory(name: &'static CStr, parent: *mut dentry) -> *mut dentry {
    // SAFETY: debugfs accepts NULL and error pointers as `parent`, and copies the name.
    unsafe { kernel::bindings::debugfs_create_dir(name.as_char_ptr(), parent) }
}

/// The value whose files C was given.
///
/// # Safety
///
/// `files` are the `operations` of a `Directory<T>` that has not been dropped.
unsafe fn value<'a, T>(files: *mut bindings::nvmx_files) -> &'a T {
    // SAFETY: The caller promises that it is in such a directory. Only `value` is referenced, which
    // is `Sync`.
    unsafe {
        let operations = Opaque::cast_from(files).cast_mut();
        &(*container_of!(operations, Directory<T>, operations)).value
    }
}

/// What reading a file shows.
///
/// # Safety
///
/// Only `debugfs.c` calls this, for a file of a `Directory<T>`.
unsafe extern "C" fn show<T: Files>(
    files: *mut bindings::nvmx_files,
    number: c_ulong,
    to: *mut bindings::seq_file,
) -> c_int {
    // SAFETY: `debugfs.c` passes the file that is being shown, and debugfs removes no file that is
    // in use.
    let (value, to) = unsafe { (value::<T>(files), SeqFile::from_raw(to.cast::<seq_file>())) };

    value.show(number, to);
    0
}

/// What writing to a file does; returns the number of bytes, or an error.
///
/// # Safety
///
/// Only `debugfs.c` calls this, for a file of a `Directory<T>`. `from` is in user space.
unsafe extern "C" fn write<T: Files>(
    files: *mut bindings::nvmx_files,
    number: c_ulong,
    from: *const c_void,
    len: usize,
) -> isize {
    // SAFETY: `debugfs.c` passes the file that is being written to, which stays as in `show`.
    let value = unsafe { value::<T>(files) };
    let mut text = [0; MAX_WRITE];
    let result = text.get_mut(..len).ok_or(EINVAL).and_then(|text| {
        UserSlice::new(UserPtr::from_addr(from.addr()), len)
            .reader()
            .read_slice(text)?;
        value.write(number, text)
    });

    match result {
        Ok(()) => len as isize,
        Err(error) => error.to_errno() as isize,
    }
}
