// SPDX-License-Identifier: GPL-2.0

//! T1 to T5, T8, T11 and V16.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_transition))]
mod tests {
    use crate::{
        policy::{
            options::Options,
            transition::{
                is_impossible, must_check_hyperv_queue, must_write_vpid, new_owner, reason,
                required_on_entry, required_on_exit, vmfunc_requires_guest_flush, Reason,
            },
            types::{Caps, Request, Vpid},
        },
        policy_tests::{all_caps, vpids},
    };

    /// vpid12 0 is no case: no VM entry could have come that far.
    const VPID12: [Option<u16>; 4] = [None, Some(1), Some(2), Some(u16::MAX)];
    const LAST_VPID: [u16; 4] = [0, 1, 2, u16::MAX];

    /// Every combination of facts that can make a difference at a VM entry.
    fn entries(check: impl Fn(Option<u16>, u16, Option<Vpid>, Caps, Option<Request>)) {
        for vpid12 in VPID12 {
            for last_vpid in LAST_VPID {
                for vpid02 in vpids() {
                    for caps in all_caps() {
                        let owner = new_owner(vpid12, last_vpid);
                        let required = required_on_entry(vpid12, owner, || vpid02, caps);
                        check(vpid12, last_vpid, vpid02, caps, required);
                    }
                }
            }
        }
    }

    fn exit_of(
        uses_vpid: bool,
        vpid02: Option<Vpid>,
        caps: Caps,
        options: Options,
        entry_failed: bool,
    ) -> Option<Request> {
        required_on_exit(uses_vpid, || vpid02, caps, || options, || entry_failed)
    }

    /// Every combination of facts that can make a difference at a VM exit.
    fn exits(options: Options, check: impl Fn(bool, Option<Vpid>, Caps, Option<Request>)) {
        for uses_vpid in [false, true] {
            for vpid02 in vpids() {
                for caps in all_caps() {
                    let required = exit_of(uses_vpid, vpid02, caps, options, false);
                    check(uses_vpid, vpid02, caps, required);
                }
            }
        }
    }

    #[test]
    fn t1_the_other_levels_hyperv_queue_is_checked_with_ept_and_only_then() {
        for caps in all_caps() {
            for hyperv in [false, true] {
                let must =
                    |options, empty| must_check_hyperv_queue(hyperv, caps, || options, || empty);
                let expected = hyperv && caps.has(Caps::EPT);
                for empty in [false, true] {
                    check_eq!(must(Options::STOCK, empty), expected, "{caps:?}");
                    check_eq!(must(Options::NO_EXIT_FLUSH, empty), expected, "{caps:?}");
                }
                check_eq!(must(Options::SKIP_EMPTY_QUEUE, false), expected, "{caps:?}");
                assert!(!must(Options::SKIP_EMPTY_QUEUE, true));
            }
        }
    }

    #[test]
    fn t2_without_a_vpid_both_ways_require_a_guest_flush_and_forget_nothing() {
        entries(|vpid12, last_vpid, _, caps, required| {
            if vpid12.is_none() {
                check_eq!(required, Some(Request::Guest), "{caps:?}");
                assert_eq!(new_owner(vpid12, last_vpid), None);
                assert!(!is_impossible(vpid12, caps));
            }
        });
        exits(Options::STOCK, |uses_vpid, _, caps, required| {
            check!(
                uses_vpid || required == Some(Request::Guest),
                "{caps:?} {required:?}"
            );
        });
    }

    #[test]
    fn t3_a_vpid_where_there_are_none_is_told() {
        for vpid12 in VPID12 {
            for caps in all_caps() {
                let expected = vpid12.is_some() && !caps.has(Caps::VPID);
                check_eq!(is_impossible(vpid12, caps), expected, "{caps:?}");
            }
        }
    }

    #[test]
    fn t4_entering_with_another_vpid_requires_a_guest_flush_and_is_recorded() {
        entries(|vpid12, last_vpid, _, caps, required| {
            let owner = new_owner(vpid12, last_vpid);
            if vpid12.is_some_and(|vpid12| vpid12 != last_vpid) {
                check_eq!(required, Some(Request::Guest), "{caps:?}");
                assert_eq!(owner, vpid12);
            } else {
                assert_eq!(owner, None);
            }
        });
    }

    #[test]
    fn t4_the_first_entry_after_vmxon_flushes_for_every_vpid() {
        let caps = Caps::EPT.with(Caps::VPID, true);
        for vpid12 in 1..=u16::MAX {
            let vpid12 = Some(vpid12);
            let owner = new_owner(vpid12, 0);
            let required = required_on_entry(vpid12, owner, || vpids()[1], caps);
            assert_eq!(required, Some(Request::Guest));
        }
    }

    #[test]
    fn t5_a_shared_tag_requires_a_flush_of_the_current_context_and_an_own_tag_requires_nothing() {
        let expected = |vpid02: Option<Vpid>, caps: Caps| {
            if caps.has(Caps::EPT) || vpid02.is_some() {
                None
            } else {
                Some(Request::Current)
            }
        };
        entries(|vpid12, last_vpid, vpid02, caps, required| {
            if vpid12 == Some(last_vpid) {
                check_eq!(required, expected(vpid02, caps), "{vpid02:?} {caps:?}");
            }
        });
        exits(Options::STOCK, |uses_vpid, vpid02, caps, required| {
            if uses_vpid {
                check_eq!(required, expected(vpid02, caps), "{vpid02:?} {caps:?}");
            }
        });
    }

    #[test]
    fn v16_the_exit_of_an_l2_without_a_vpid_flushes_nothing_with_ept_if_that_is_allowed() {
        exits(
            Options::NO_EXIT_FLUSH,
            |uses_vpid, vpid02, caps, required| {
                let stock = exit_of(uses_vpid, vpid02, caps, Options::STOCK, false);
                let failed = exit_of(uses_vpid, vpid02, caps, Options::NO_EXIT_FLUSH, true);
                check_eq!(failed, stock, "{uses_vpid} {caps:?}");
                // Without a vpid02, L2s with and without a vpid12 share vpid01, if there is one.
                let own_vpid = vpid02.is_some() || !caps.has(Caps::VPID);
                if !uses_vpid && caps.has(Caps::EPT) && own_vpid {
                    check_eq!(required, None, "{caps:?}");
                } else {
                    check_eq!(required, stock, "{uses_vpid} {vpid02:?} {caps:?}");
                }
            },
        );
    }

    #[test]
    fn t8_x11_the_vpid_is_written_for_each_entry_if_vpids_are_on() {
        for caps in all_caps() {
            check_eq!(must_write_vpid(caps), caps.has(Caps::VPID), "{caps:?}");
        }
    }

    #[test]
    fn the_reason_for_a_transition_names_the_rule() {
        entries(|vpid12, last_vpid, vpid02, caps, required| {
            let expected = if vpid12.is_none() {
                Reason::NoVpid
            } else if vpid12 != Some(last_vpid) {
                Reason::OtherVpid12
            } else if caps.has(Caps::EPT) || vpid02.is_some() {
                Reason::OwnTag
            } else {
                Reason::SharedVpid01
            };
            check_eq!(reason(vpid12.is_some(), required), expected, "{caps:?}");
        });
        assert_eq!(reason(false, None), Reason::FlushedOnEntry);
    }

    #[test]
    fn t11_vmfunc_flushes_what_has_no_vpid() {
        assert!(vmfunc_requires_guest_flush(false));
        assert!(!vmfunc_requires_guest_flush(true));
    }
}
