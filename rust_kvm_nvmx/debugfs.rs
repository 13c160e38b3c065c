// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/rust_kvm_nvmx`: which side decides at each hook, and the counters.
//!
//! - `hooks/NAME`: `rust`, `c`, or `check` for C that is compared, to read and to write,
//! - `options`: what applies now of the module's parameters, one `NAME VALUE` on each line,
//! - `counters`: one `NAME VALUE` on each line,
//! - `reset`: writing 1 sets all counters to 0.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use crate::{
    kvm::{
        counters::{
            self,
            COUNTERS,
            HOOKS, //
        },
        debugfs::{
            Files,
            Maker, //
        },
        hooks,
        registration::{
            Mode,
            Registration, //
        },
    },
    nested_tlb::NestedTlb,
    policy::options::Options,
};

// Files 0 to `HOOKS` - 1 are the hooks'.
const COUNTERS_FILE: usize = HOOKS;
const RESET_FILE: usize = HOOKS + 1;
const OPTIONS_FILE: usize = HOOKS + 2;

const READ_ONLY: u16 = 0o400;
const READ_WRITE: u16 = 0o600;
const WRITE_ONLY: u16 = 0o200;

impl Files for Registration<NestedTlb> {
    fn make(directory: &Maker<'_>) {
        let modes = directory.subdirectory(c"hooks");

        for (number, &name) in hooks::NAMES.iter().enumerate() {
            modes.file(name, READ_WRITE, number);
        }
        directory.file(c"options", READ_ONLY, OPTIONS_FILE);
        directory.file(c"counters", READ_ONLY, COUNTERS_FILE);
        directory.file(c"reset", WRITE_ONLY, RESET_FILE);
    }

    fn show(&self, number: usize, to: &SeqFile) {
        if let Some(mode) = self.mode(number) {
            seq_print!(to, "{}\n", name(mode));
        } else if number == OPTIONS_FILE {
            show_options(self.options(), to);
        } else if number == COUNTERS_FILE {
            for (number, name) in hooks::NAMES.iter().enumerate() {
                let name = name.to_str().unwrap_or("");
                seq_print!(to, "hook.{}.rust {}\n", name, counters::sum(number));
            }
            for (number, name) in (HOOKS..COUNTERS).zip(&counters::NAMES) {
                seq_print!(to, "{} {}\n", name, counters::sum(number));
            }
        }
    }

    /// Accepts a mode's name, and 1 for `reset`, with or without a newline. For anything else
    /// `EINVAL`, and no change.
    fn write(&self, number: usize, text: &[u8]) -> Result {
        let text = text.strip_suffix(b"\n").unwrap_or(text);

        if number == RESET_FILE {
            if text != b"1" {
                return Err(EINVAL);
            }
            counters::reset();
            return Ok(());
        }
        let mode = match text {
            b"c" => Mode::C,
            b"rust" => Mode::Rust,
            b"check" => Mode::Check,
            _ => return Err(EINVAL),
        };

        self.set_mode(number, mode)
    }
}

/// In terms of the parameters.
fn show_options(options: Options, to: &SeqFile) {
    let skip = options.has(Options::SKIP_NEEDLESS);

    seq_print!(to, "vpid_slots {}\n", options.slots().max(1));
    seq_print!(
        to,
        "keep_roots {}\n",
        u8::from(options.has(Options::KEEP_ROOTS))
    );
    seq_print!(to, "skip_needless {}\n", u8::from(skip));
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::C => "c",
        Mode::Rust => "rust",
        Mode::Check => "check",
    }
}
