// SPDX-License-Identifier: GPL-2.0

//! V1, V4, V5, V7 to V10, V15 and V19.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_history))]
mod tests {
    use crate::{
        policy::{
            history::{
                choose, find, invvpid_concerns_pair_in_use, invvpid_of_parked, may_park, twin,
                word_of_all, word_of_one, CallWords, Calls, Choice, Named, Parked, Rest, NOBODY,
                WORDS,
            },
            hv_call::Targets,
            invalidate::VpidScope,
            types::{Caps, Gva},
        },
        policy_tests::all_caps,
    };

    const VPID12: [u16; 4] = [1, 2, 3, u16::MAX];
    const OWNERS: [u16; 5] = [NOBODY, 1, 2, 3, u16::MAX];

    /// Every entry of a vpid12 that does not own the pair in use, with up to three parked pairs, of
    /// which no two have the same owner. `None` stands for the pair that is found.
    fn entries(check: impl Fn(u16, u16, &[u16], usize, u16, Option<Choice>)) {
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
                                let choice = match find(vpid12, owners.iter().copied()) {
                                    Some(_) => None,
                                    None => Some(choose(last_vpid, owners_again, slots, misses)),
                                };
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
            let found = find(vpid12, owners.iter().copied());
            assert_eq!(
                found.and_then(|number| owners.get(number)).copied(),
                found.map(|_| vpid12)
            );
            assert_eq!(found.is_some(), owners.contains(&vpid12));
            assert_eq!(found.is_some(), choice.is_none());
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
                assert_eq!(choice, Some(Choice::InUse));
            } else if let Some(free) = free {
                assert_eq!(choice, Some(Choice::Take(free)));
            } else if owners.len() + 1 < slots {
                assert_eq!(choice, Some(Choice::Grow));
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
                assert_eq!(choice, Some(Choice::InUse));
            } else if full && !owners.is_empty() {
                let number = usize::from(misses / 8) % owners.len();
                assert_eq!(choice, Some(Choice::Take(number)));
            }
        });
    }

    #[test]
    fn v15_a_vcpu_has_no_more_pairs_than_slots() {
        entries(|_, _, owners, slots, _, choice| {
            assert!(choice != Some(Choice::Grow) || owners.len() + 1 < slots);
        });
        // If no VPID could be parked, KVM asks again with no slots.
        assert_eq!(choose(1, [].into_iter(), 0, 0), Choice::InUse);
        assert_eq!(choose(1, [].into_iter(), 0, 7), Choice::InUse);
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
            if let Some(number) = find(vpid12, parked.iter().copied()) {
                parked[number] = last_vpid;
            } else {
                if let Choice::Take(number) = choose(last_vpid, parked.iter().copied(), 8, flushes)
                {
                    parked[number] = last_vpid;
                }
                flushes += 1;
            }
            last_vpid = vpid12;
        }
        check!(flushes < 60, "{flushes}");
        assert!((1..=6).all(|live| live == last_vpid || parked.contains(&live)));
    }

    #[test]
    fn v19_a_twin_is_a_parked_pair_of_the_same_owner() {
        for in_use in OWNERS {
            for other in OWNERS.into_iter().filter(|&other| other != in_use) {
                assert_eq!(twin(in_use, [].into_iter()), None);
                assert_eq!(twin(in_use, [other, other].into_iter()), None);
                let expected = |number| (in_use != NOBODY).then_some(number);
                assert_eq!(twin(in_use, [in_use, other].into_iter()), expected(0));
                assert_eq!(twin(in_use, [other, in_use].into_iter()), expected(1));
                assert_eq!(
                    twin(in_use, [other, other, in_use].into_iter()),
                    expected(2)
                );
            }
        }
    }

    /// What an entry does with the owners of the parked pairs, and of the pair in use.
    fn enter(vpid12: u16, in_use: &mut u16, parked: &mut [u16; 5], number: &mut usize) {
        if let Some(twin) = twin(*in_use, parked[..*number].iter().copied()) {
            parked[twin] = NOBODY;
        }
        if vpid12 == *in_use {
            return;
        }
        let owners = parked[..*number].iter().copied();
        let pair = find(vpid12, owners.clone()).or_else(|| {
            match choose(*in_use, owners, parked.len() + 1, 0) {
                Choice::Take(pair) => Some(pair),
                Choice::InUse => None,
                Choice::Grow => {
                    *number += 1;
                    Some(*number - 1)
                }
            }
        });
        if let Some(pair) = pair {
            parked[pair] = *in_use;
        }
        *in_use = vpid12;
    }

    #[test]
    fn v19_no_l2_finds_a_second_pair_after_a_time_without_pairs() {
        // Three L2s are entered, one of them without pairs, then five times one of them again.
        for entries in 0..3u32.pow(9) {
            let vpid12 = |entry| 1 + (entries / 3u32.pow(entry) % 3) as u16;
            let (mut in_use, mut parked, mut number) = (NOBODY, [NOBODY; 5], 0);

            (0..3).for_each(|i| enter(vpid12(i), &mut in_use, &mut parked, &mut number));
            in_use = vpid12(3);
            for entry in 4..9 {
                enter(vpid12(entry), &mut in_use, &mut parked, &mut number);
                check!(
                    are_distinct(in_use, &parked[..number]),
                    "{entries}: {in_use}, {parked:?}"
                );
            }
        }
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
                            VpidScope::Address(_, gva) if here => Parked::FlushAddress(gva),
                            _ => Parked::Forget,
                        };
                        check_eq!(invvpid_of_parked(scope, owner, here), expected, "{scope:?}");
                    }
                }
            }
        }
    }

    const NAMED: [Named; 5] = [
        Named::Nobody,
        Named::Unknown,
        Named::Ids { vm: 1, vp: 0 },
        Named::Ids { vm: 1, vp: 1 },
        Named::Ids { vm: 2, vp: 0 },
    ];

    fn calls(begun: u64, under_way: u64) -> Calls {
        Calls::of(begun * (Calls::BEGIN - Calls::END) + under_way, 0)
    }

    #[test]
    fn v9_translations_are_right_if_the_same_l2_comes_back_and_no_call_has_begun() {
        for left in NAMED {
            for enters in NAMED {
                let rest = Rest::at_exit(left, calls(5, 0), true);
                for now in [5, 6] {
                    let expected = match left {
                        Named::Nobody => enters == Named::Nobody,
                        Named::Unknown => false,
                        Named::Ids { .. } => left == enters && now == 5,
                    };
                    let right = rest.missed_nothing(enters, |_, _| calls(now, 0));
                    check_eq!(right, expected, "{left:?} {enters:?} {now}");
                }
            }
        }
    }

    #[test]
    fn v9_a_call_that_was_under_way_at_the_exit_may_have_been_missed() {
        let ids = NAMED[2];
        let rest = Rest::at_exit(ids, calls(5, 1), true);
        assert!(!rest.missed_nothing(ids, |_, _| calls(5, 0)));
        assert!(!rest.missed_nothing(ids, |_, _| calls(5, 1)));
    }

    #[test]
    fn v8_what_a_finished_call_has_queued_may_be_spent_on_another_l2() {
        let ids = NAMED[2];
        let rest = Rest::at_exit(ids, calls(5, 0), false);
        assert!(!rest.missed_nothing(ids, |_, _| calls(5, 0)));
    }

    #[test]
    fn v9_an_l2_that_has_not_exited_may_have_missed_anything() {
        for named in NAMED {
            let right = Rest::running(named).missed_nothing(named, |_, _| calls(0, 0));
            check_eq!(right, named == Named::Nobody, "{named:?}");
            assert!(!Rest::running(Named::Unknown).missed_nothing(named, |_, _| calls(0, 0)));
        }
    }

    #[test]
    fn v9_kvms_fields_keep_all_that_is_known() {
        for named in NAMED {
            let rest = Rest::at_exit(named, calls(5, 0), true);
            assert_eq!(rest.calls(), 5);
            for rest in [rest, Rest::running(named)] {
                assert_eq!(Rest::from_fields(named, rest.calls()), rest);
            }
        }
    }

    #[test]
    fn v9_both_words_of_an_l2_count() {
        for (one, all) in [(0, 1), (1, 0), (1, 1)] {
            let begin = Calls::of(one * Calls::BEGIN, all * Calls::BEGIN);
            assert!(begin.under_way);
            assert_eq!(begin.count, one + all);
            let end = Calls::of(
                one * (Calls::BEGIN - Calls::END),
                all * (Calls::BEGIN - Calls::END),
            );
            assert!(!end.under_way);
            assert_eq!(end.count, one + all);
        }
    }

    #[test]
    fn v9_a_call_is_counted_for_each_l2_that_it_names() {
        // Two processors with one word.
        let banks = [1 << 5 | 1 << 63, 1 << 5 | 1];
        let many = [u64::MAX, 0];
        for targets in [
            Targets::All,
            Targets::Mask(0),
            Targets::Mask(0b1011),
            Targets::Mask(u64::MAX),
            Targets::Sparse {
                valid: 0b101,
                banks: &banks,
            },
            Targets::Sparse {
                valid: 0b11,
                banks: &many,
            },
        ] {
            for vm in [0, 1, 2, 0xffff_ffff, u64::MAX] {
                let mut counts = [0; WORDS];
                CallWords::of(vm, &targets)
                    .numbers()
                    .for_each(|word| counts[word] += 1);
                assert!(counts.iter().sum::<u32>() <= 8);
                for vp in 0..192 {
                    if targets.contains(vp) {
                        let counted = counts[word_of_one(vm, vp)] + counts[word_of_all(vm)] != 0;
                        check!(counted, "{targets:?} {vm} {vp}");
                    }
                }
            }
        }
    }

    #[test]
    fn v9_a_call_for_more_than_eight_processors_counts_as_one_for_all() {
        for vm in [0, 1, 7, u64::MAX] {
            for number in 1..=64 {
                let targets = Targets::Mask(u64::MAX >> (64 - number));
                let words = || CallWords::of(vm, &targets).numbers();

                if number <= 8 {
                    check_eq!(words().count(), number, "{vm}");
                    check!(words().all(|word| word < 64), "{vm} {number}");
                } else {
                    check!(words().eq([word_of_all(vm)]), "{vm} {number}");
                }
            }
        }
    }

    /// Those that share one cost each other a flush, so few may.
    #[test]
    fn v9_vms_are_spread_over_the_words() {
        let words = |word: &dyn Fn(u64) -> usize| {
            let mut used = [false; WORDS];

            for vm in 0..WORDS as u64 {
                if let Some(used) = used.get_mut(word(vm)) {
                    *used = true;
                }
            }
            used.iter().filter(|&&used| used).count()
        };

        // The kernel has that many.
        assert_eq!(WORDS, 80);
        assert!(words(&|vm| word_of_one(vm, 0)) > 32);
        assert!(words(&word_of_all) > 8);
    }

    #[test]
    fn v9_neighbours_do_not_share_a_word() {
        for vm in [0, 1, 7, u64::MAX] {
            for vp in 0..63 {
                assert!(word_of_one(vm, vp) != word_of_one(vm, vp + 1));
            }
            assert!(word_of_all(vm) >= 64);
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
