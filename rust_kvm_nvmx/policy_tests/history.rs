// SPDX-License-Identifier: GPL-2.0

//! V1, V4, V5, V7 and V15.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_history))]
mod tests {
    use crate::{
        policy::{
            history::{
                choose, invvpid_concerns_pair_in_use, invvpid_of_parked, may_park, Choice, Parked,
                NOBODY,
            },
            invalidate::VpidScope,
            types::{Caps, Gva},
        },
        policy_tests::all_caps,
    };

    const VPID12: [u16; 4] = [1, 2, 3, u16::MAX];
    const OWNERS: [u16; 5] = [NOBODY, 1, 2, 3, u16::MAX];

    /// Every entry of a vpid12 that does not own the pair in use, with up to three parked pairs, of
    /// which no two have the same owner.
    fn entries(check: impl Fn(u16, u16, &[u16], usize, u16, Choice)) {
        for vpid12 in VPID12 {
            for last_vpid in OWNERS {
                for parked in 0..OWNERS.len().pow(3) {
                    let owner =
                        |place: u32| OWNERS[parked / OWNERS.len().pow(place) % OWNERS.len()];
                    let all = [owner(0), owner(1), owner(2)];
                    for number in 0..=all.len() {
                        let owners = &all[..number];
                        if last_vpid == vpid12 || !are_distinct(last_vpid, owners) {
                            continue;
                        }
                        for slots in 2..=5 {
                            for misses in [0, 1, 6, 7, 8, 15, 23, u16::MAX] {
                                let owners_again = owners.iter().copied();
                                let choice = choose(vpid12, last_vpid, owners_again, slots, misses);
                                check(vpid12, last_vpid, owners, slots, misses, choice);
                            }
                        }
                    }
                }
            }
        }
    }

    fn are_distinct(last_vpid: u16, owners: &[u16]) -> bool {
        let all = || owners.iter().chain([&last_vpid]);
        all()
            .filter(|&&owner| owner != NOBODY)
            .all(|owner| all().filter(|&other| other == owner).count() == 1)
    }

    #[test]
    fn v1_a_pair_is_kept_exactly_if_the_vpid12_owns_it() {
        entries(|vpid12, _, owners, _, _, choice| {
            let place = owners.iter().position(|&owner| owner == vpid12);
            match choice {
                Choice::Keep(number) => assert_eq!(Some(number), place),
                _ => assert_eq!(place, None),
            }
        });
    }

    #[test]
    fn v4_no_owner_loses_its_pair_while_another_pair_is_free_or_can_be_had() {
        entries(|vpid12, last_vpid, owners, slots, _, choice| {
            let free = owners.iter().position(|&owner| owner == NOBODY);
            if owners.contains(&vpid12) {
                return;
            }
            if last_vpid == NOBODY {
                assert_eq!(choice, Choice::InUse);
            } else if let Some(free) = free {
                assert_eq!(choice, Choice::Take(free));
            } else if owners.len() + 1 < slots {
                assert_eq!(choice, Choice::Grow);
            }
        });
    }

    #[test]
    fn v4_without_a_free_pair_the_one_in_use_changes_its_owner_seven_times_of_eight() {
        entries(|vpid12, last_vpid, owners, slots, misses, choice| {
            let full = !owners.contains(&vpid12)
                && !owners.contains(&NOBODY)
                && last_vpid != NOBODY
                && owners.len() + 1 >= slots;
            if full && misses % 8 != 7 {
                assert_eq!(choice, Choice::InUse);
            } else if full && !owners.is_empty() {
                assert_eq!(choice, Choice::Take(usize::from(misses / 8) % owners.len()));
            }
        });
    }

    #[test]
    fn v15_a_vcpu_has_no_more_pairs_than_slots() {
        entries(|_, _, owners, slots, _, choice| {
            assert!(choice != Choice::Grow || owners.len() + 1 < slots);
        });
        // If no VPID could be parked, KVM asks again with no slots.
        assert_eq!(choose(2, 1, [].into_iter(), 0, 0), Choice::InUse);
        assert_eq!(choose(2, 1, [].into_iter(), 0, 7), Choice::InUse);
    }

    #[test]
    fn v4_a_pair_that_is_not_used_does_not_stay() {
        let mut parked = [11, 12, 13, 14, 15, 16, 17];
        let mut last_vpid = 1;
        let mut flushes = 0;

        for entry in 0..600 {
            let vpid12 = 1 + entry % 6;
            if vpid12 == last_vpid {
                continue;
            }
            match choose(vpid12, last_vpid, parked.iter().copied(), 8, flushes) {
                Choice::Keep(number) => parked[number] = last_vpid,
                Choice::Take(number) => {
                    parked[number] = last_vpid;
                    flushes += 1;
                }
                Choice::InUse | Choice::Grow => flushes += 1,
            }
            last_vpid = vpid12;
        }
        check!(flushes < 60, "{flushes}");
        assert!((1..=6).all(|live| live == last_vpid || parked.contains(&live)));
    }

    #[test]
    fn v5_invvpid_reaches_every_pair_that_it_names_and_no_other() {
        for owner in OWNERS {
            for named in VPID12 {
                for scope in [
                    VpidScope::Address(named, Gva(0x1000)),
                    VpidScope::Context(named),
                    VpidScope::All,
                ] {
                    let concerned = owner != NOBODY && (scope == VpidScope::All || named == owner);
                    check_eq!(
                        invvpid_concerns_pair_in_use(scope, owner),
                        concerned,
                        "{scope:?}"
                    );
                    for here in [false, true] {
                        let expected = match scope {
                            _ if !concerned => Parked::Nothing,
                            VpidScope::Address(..) if here => Parked::FlushAddress,
                            _ => Parked::Forget,
                        };
                        check_eq!(invvpid_of_parked(scope, owner, here), expected, "{scope:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn v7_pairs_are_parked_with_ept_and_vpids_and_only_then() {
        for caps in all_caps() {
            let expected = caps.has(Caps::EPT) && caps.has(Caps::VPID);
            check_eq!(may_park(caps), expected, "{caps:?}");
        }
    }
}
