// SPDX-License-Identifier: GPL-2.0

//! T1 to T5.

use crate::{
    policy::transition::{owed, Direction, Facts, Owed, Request},
    vpids,
};

/// Every combination of facts that can make a difference; vpid12 0 only where no VM entry could
/// have come that far.
fn all_facts() -> Vec<Facts> {
    let mut facts = Vec::new();
    for direction in [Direction::Enter, Direction::Exit] {
        for vpid12 in [None, Some(1), Some(2), Some(u16::MAX)] {
            for last_vpid in [0, 1, 2, u16::MAX] {
                for vpid02 in vpids() {
                    for bits in 0..8 {
                        facts.push(Facts {
                            direction,
                            vpid12,
                            last_vpid,
                            vpid02,
                            ept: bits & 1 != 0,
                            vpid: bits & 2 != 0,
                            hyperv: bits & 4 != 0,
                        });
                    }
                }
            }
        }
    }
    facts
}

fn check(what: impl Fn(&Facts, &Owed) -> bool) {
    for facts in all_facts() {
        let owed = owed(facts);
        assert!(what(&facts, &owed), "{facts:?} {owed:?}");
    }
}

#[test]
fn t1_the_other_levels_hyperv_queue_is_served_with_ept_and_only_then() {
    check(|facts, owed| owed.hyperv == (facts.hyperv && facts.ept));
}

#[test]
fn t2_without_a_vpid_both_ways_owe_a_guest_flush_and_forget_nothing() {
    check(|facts, owed| {
        facts.vpid12.is_some()
            || (owed.request == Some(Request::Guest)
                && owed.new_last_vpid.is_none()
                && !owed.impossible_vpid)
    });
}

#[test]
fn t3_a_vpid_where_there_are_none_is_told() {
    check(|facts, owed| owed.impossible_vpid == (facts.vpid12.is_some() && !facts.vpid));
}

#[test]
fn t4_entering_with_another_vpid_owes_a_guest_flush_and_is_remembered() {
    check(|facts, owed| {
        let changed = facts.direction == Direction::Enter
            && facts.vpid12.is_some_and(|vpid12| vpid12 != facts.last_vpid);
        if changed {
            owed.request == Some(Request::Guest) && owed.new_last_vpid == facts.vpid12
        } else {
            owed.new_last_vpid.is_none()
        }
    });
}

#[test]
fn t4_the_first_entry_after_vmxon_flushes_for_every_vpid() {
    for vpid12 in 1..=u16::MAX {
        let facts = Facts {
            direction: Direction::Enter,
            vpid12: Some(vpid12),
            last_vpid: 0,
            vpid02: vpids()[1],
            ept: true,
            vpid: true,
            hyperv: false,
        };
        assert_eq!(owed(facts).request, Some(Request::Guest));
    }
}

#[test]
fn t5_a_shared_tag_owes_a_flush_of_the_current_context_and_an_own_tag_owes_nothing() {
    check(|facts, owed| {
        let unchanged = facts
            .vpid12
            .is_some_and(|vpid12| facts.direction == Direction::Exit || vpid12 == facts.last_vpid);
        let own_tag = facts.ept || facts.vpid02.is_some();
        let expected = if own_tag {
            None
        } else {
            Some(Request::Current)
        };
        !unchanged || owed.request == expected
    });
}
