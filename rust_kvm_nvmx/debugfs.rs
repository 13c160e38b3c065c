// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/rust_kvm_nvmx`: the hooks' modes and the counters.
//!
//! - `hooks/NAME`: `rust` or `c`, to read and to write,
//! - `counters`: one `NAME VALUE` a line,
//! - `reset`: whatever is written sets all counters to 0.

use kernel::{
    debugfs::Scope,
    fmt,
    prelude::*,
    uaccess::UserSliceReader, //
};

use crate::{
    hooks,
    mode::Switch,
    stats, //
};

/// Long enough for a mode's name and a newline.
const MODE_LEN: usize = 8;

/// The directory, with all files in it.
pub(crate) fn files() -> impl PinInit<Scope<()>> {
    Scope::dir((), c"rust_kvm_nvmx", |(), dir| {
        let modes = dir.dir(c"hooks");

        for switch in &hooks::SWITCHES {
            modes.read_write_callback_file(switch.name, switch, &show_mode, &store_mode);
        }
        dir.read_callback_file(c"counters", &(), &show_counters);
        dir.write_only_callback_file(c"reset", &(), &reset_counters);
    })
}

fn show_mode(switch: &Switch, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", switch.mode())
}

fn store_mode(switch: &Switch, reader: &mut UserSliceReader) -> Result {
    let mut text = [0; MODE_LEN];
    let text = text.get_mut(..reader.len()).ok_or(EINVAL)?;

    reader.read_slice(text)?;
    switch.set_mode(text)
}

fn show_counters(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, name) in (0..stats::NAMES.len()).zip(stats::NAMES) {
        writeln!(f, "{} {}", name, stats::sum(index))?;
    }
    Ok(())
}

fn reset_counters(_: &(), _: &mut UserSliceReader) -> Result {
    stats::reset();
    Ok(())
}
