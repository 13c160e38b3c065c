// SPDX-License-Identifier: GPL-2.0

//! T8 and T11.

use crate::{
    policy::vmcs02::{vmfunc_owes_guest_flush, vpid},
    vpids,
};

#[test]
fn t8_the_vpid_is_written_only_if_it_may_have_changed_and_vpids_are_on() {
    for (dirty, enabled) in [(false, false), (false, true), (true, false)] {
        for uses in [false, true] {
            assert_eq!(vpid(dirty, enabled, uses, vpids()[1], vpids()[2]), None);
        }
    }
}

#[test]
fn t8_an_l2_with_a_vpid_runs_on_vpid02_if_there_is_one() {
    for vpid01 in vpids() {
        for vpid02 in vpids() {
            let expected = if vpid02.is_none() { vpid01 } else { vpid02 };
            assert_eq!(vpid(true, true, true, vpid01, vpid02), expected);
        }
    }
}

#[test]
fn t8_an_l2_without_a_vpid_runs_on_vpid01() {
    for vpid01 in vpids() {
        for vpid02 in vpids() {
            assert_eq!(vpid(true, true, false, vpid01, vpid02), vpid01);
        }
    }
}

#[test]
fn t11_vmfunc_flushes_what_has_no_vpid() {
    assert!(vmfunc_owes_guest_flush(false));
    assert!(!vmfunc_owes_guest_flush(true));
}
