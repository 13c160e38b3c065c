// SPDX-License-Identifier: GPL-2.0

//! The comparison of C with Rust.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_check))]
mod tests {
    use crate::policy::{
        check::{compare, Effects, Expected, Invalidations, Known, Requests, Verdict},
        types::{Invalidation, Request, Vpid},
    };

    fn single(vpid: u16) -> Option<Invalidation> {
        Vpid::new(vpid).map(Invalidation::InvvpidSingle)
    }

    fn compare_once(expected: &Expected, did: &Effects) -> Verdict {
        compare(expected, did, || *expected)
    }

    /// Each differs from all others in one part.
    fn all_effects() -> [Effects; 9] {
        let none = Effects::default();
        let requests = |request| Effects {
            requests: Requests::from(request),
            ..none
        };
        let invalidations = |vpids: &[u16]| Effects {
            invalidations: vpids.iter().filter_map(|&vpid| single(vpid)).collect(),
            ..none
        };
        let mut hyperv = none;
        hyperv.requests.hyperv = true;

        [
            none,
            requests(Some(Request::Guest)),
            requests(Some(Request::Current)),
            hyperv,
            invalidations(&[1]),
            invalidations(&[2]),
            invalidations(&[1, 2]),
            Effects {
                last_vpid: 1,
                ..none
            },
            Effects { answer: 1, ..none },
        ]
    }

    #[test]
    fn check_notices_each_part() {
        for (i, expected) in all_effects().into_iter().enumerate() {
            for (j, did) in all_effects().into_iter().enumerate() {
                let verdict = compare_once(&Expected::Effects(expected, None), &did);
                let right = if i == j {
                    Verdict::Same
                } else {
                    Verdict::Different
                };
                check_eq!(verdict, right, "{expected:?} {did:?}");
            }
        }
    }

    #[test]
    fn check_names_what_is_known_only_if_there_is_a_difference() {
        let [none, guest, current, ..] = all_effects();
        let expected = Expected::Effects(guest, Some((Known::X3, none)));

        assert_eq!(compare_once(&expected, &guest), Verdict::Same);
        assert_eq!(compare_once(&expected, &none), Verdict::Known(Known::X3));
        // The bug is another one.
        assert_eq!(compare_once(&expected, &current), Verdict::Different);
    }

    #[test]
    fn check_compares_no_more_than_it_knows() {
        for did in all_effects() {
            let answer = Expected::Answer(0, None);
            let right = if did.answer == 0 {
                Verdict::Same
            } else {
                Verdict::Different
            };

            assert_eq!(compare_once(&answer, &did), right);
            assert_eq!(compare_once(&Expected::Unknown, &did), Verdict::NotCompared);
        }
    }

    /// The guest may have written its input before or after C read it, or twice.
    #[test]
    fn check_allows_for_input_that_changes() {
        for first in 0..3 {
            for second in 0..3 {
                let did = Effects::default();
                let expected = Expected::Answer(first, None);
                let verdict = compare(&expected, &did, || Expected::Answer(second, None));
                let right = match (first, second) {
                    (0, _) | (_, 0) => Verdict::Same,
                    _ if first == second => Verdict::Different,
                    _ => Verdict::NotCompared,
                };
                check_eq!(verdict, right, "{first} {second}");
            }
        }
    }

    /// Only an answer depends on what the guest may change.
    #[test]
    fn check_asks_again_for_an_answer_alone() {
        let [none, other, ..] = all_effects();
        let verdict = compare(&Expected::Effects(none, None), &other, || Expected::Unknown);

        assert_eq!(verdict, Verdict::Different);
    }

    #[test]
    fn check_counts_more_invalidations_than_it_keeps() {
        let many = |number| -> Invalidations { (0..number).filter_map(|_| single(1)).collect() };

        for number in 0..20 {
            assert!(many(number) == many(number));
            assert!(many(number) != many(number + 1));
        }
    }
}
