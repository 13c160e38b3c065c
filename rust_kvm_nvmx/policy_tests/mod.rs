// SPDX-License-Identifier: GPL-2.0

//! The tests of the rules, with every input that can make a difference.
//!
//! Each test states a rule anew, in the words of the architecture, and compares: it shares no
//! expression with the code it tests.
//!
//! The same tests run in two places: on a development machine (`make check-policy`) and as KUnit
//! suites in a kernel (`make kunit`). So they do not allocate, and do not use `std`. A macro for
//! KUnit replaces `assert!` and `assert_eq!` in each module that it is an attribute of. These take
//! no message. [`check!`] and [`check_eq!`] do.

use crate::policy::types::Vpid;

/// `assert!` with a message that says for which input.
#[cfg(not(CONFIG_KUNIT))]
macro_rules! check {
    ($holds:expr, $($message:tt)+) => {
        assert!($holds, $($message)+)
    };
}

/// See above. KUnit shows no values, so they are printed before.
#[cfg(CONFIG_KUNIT)]
macro_rules! check {
    ($holds:expr, $($message:tt)+) => {{
        let holds: bool = $holds;
        if !holds {
            kernel::pr_err!("not {}: {}\n", stringify!($holds), format_args!($($message)+));
        }
        assert!(holds);
    }};
}

/// `assert_eq!` with a message that says for which input.
macro_rules! check_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                let equal = *left == *right;
                check!(
                    equal,
                    "{left:?}, but expected {right:?}, for {}",
                    format_args!($($message)+)
                );
            }
        }
    };
}

mod all_caps;
mod apic_access;
mod check;
mod eptp;
mod flush;
mod history;
mod hv_call;
mod hv_l2;
mod hv_ranges;
mod invalidate;
mod options;
mod roles;
mod tags;
mod transition;
mod types;

use all_caps::all_caps;

/// No VPID, and the VPIDs at both ends of the range.
fn vpids() -> [Option<Vpid>; 4] {
    [None, Vpid::new(1), Vpid::new(2), Vpid::new(u16::MAX)]
}
