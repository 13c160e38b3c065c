// SPDX-License-Identifier: GPL-2.0

//! A2 and A4.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_apic_access))]
mod tests {
    use crate::{
        policy::{
            apic_access::{address, turned_on, Address, Required, Running},
            types::{Caps, Eptp, Invalidation, Root, Vpid},
        },
        policy_tests::{all_caps, vpids},
    };

    const ROOT01: Eptp = Eptp(0x1111_101e);
    const ROOT02: Eptp = Eptp(0x2222_201e);

    /// What is invalidated at once. A request would be handled in the wrong context.
    fn now(required: Required<3>) -> Option<[Option<Invalidation>; 3]> {
        match required {
            Required::Request => None,
            Required::Now(invalidations) => Some(invalidations),
        }
    }

    fn running_l2() -> [Running<3>; 2] {
        [
            Running::L2WithEpt {
                root01: Root::Ept(ROOT01),
            },
            Running::L2WithoutEpt {
                previous: [Root::Ept(ROOT02), Root::Ept(ROOT01), Root::Invalid],
            },
        ]
    }

    #[test]
    fn a4_l1_flushes_its_own_context_later() {
        for caps in all_caps() {
            assert_eq!(
                turned_on(caps, Running::<3>::L1, Vpid::new(1)),
                Required::Request
            );
        }
    }

    #[test]
    fn a4_under_l2_l1s_root_is_flushed_at_once_with_ept() {
        for caps in all_caps().filter(|caps| caps.has(Caps::EPT)) {
            for running in running_l2() {
                let done = now(turned_on(caps, running, Vpid::new(1)));
                let covered = done.is_some_and(|done| {
                    done.contains(&Some(Invalidation::InveptAll))
                        || done.contains(&Some(Invalidation::InveptSingle(ROOT01)))
                });
                check!(covered, "{caps:?} {running:?}");
            }
        }
    }

    #[test]
    fn a4_under_l2_vpid01_is_flushed_at_once_without_ept() {
        for caps in all_caps().filter(|caps| !caps.has(Caps::EPT)) {
            for vpid01 in vpids() {
                for running in [
                    Running::L2WithEpt {
                        root01: Root::Shadow,
                    },
                    Running::L2WithoutEpt {
                        previous: [Root::Shadow; 3],
                    },
                ] {
                    let done = now(turned_on(caps, running, vpid01));
                    let expected = match vpid01 {
                        None => None,
                        Some(vpid) if caps.has(Caps::INVVPID_SINGLE) => {
                            Some(Invalidation::InvvpidSingle(vpid))
                        }
                        Some(_) => Some(Invalidation::InvvpidAll),
                    };
                    let expected = Some([expected, None, None]);
                    check_eq!(done, expected, "{caps:?} {vpid01:?}");
                }
            }
        }
    }

    #[test]
    fn a4_a_root_that_is_not_kept_needs_nothing() {
        for caps in all_caps().filter(|caps| caps.has(Caps::EPT)) {
            for running in [
                Running::L2WithEpt {
                    root01: Root::Invalid,
                },
                Running::L2WithoutEpt {
                    previous: [Root::Invalid; 3],
                },
            ] {
                let done = now(turned_on(caps, running, Vpid::new(1)));
                assert_eq!(done, Some([None; 3]));
            }
        }
    }

    #[test]
    fn a2_an_address_that_may_be_old_is_not_written() {
        assert_eq!(address(true), Address::LookAgain);
        assert_eq!(address(false), Address::Write);
    }
}
