// SPDX-License-Identifier: GPL-2.0

//! Where the rules may flush less than C, and V14.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_options))]
mod tests {
    use crate::policy::options::Options;

    const ALL: [Options; 3] = [
        Options::KEEP_ROOTS,
        Options::NO_EXIT_FLUSH,
        Options::SKIP_EMPTY_QUEUE,
    ];
    const NEEDLESS: [Options; 4] = [
        Options::NO_EXIT_FLUSH,
        Options::SKIP_EMPTY_QUEUE,
        Options::L1_FLUSH_ALONE,
        Options::JOIN_RANGES,
    ];
    const OTHERS: [Options; 4] = [
        Options::KEEP_ROOTS,
        Options::COUNT_CALLS,
        Options::KNOW_L2_PAGE,
        Options::OWN_ROOTS,
    ];

    /// All slots, and these.
    fn all_slots_and(options: &[Options]) -> Options {
        options.iter().fold(
            Options::STOCK.with_slots(Options::MAX_SLOTS),
            |all, &option| all.with(option, true),
        )
    }

    #[test]
    fn stock_has_no_option_and_parks_nothing() {
        assert!(ALL.iter().all(|&option| !Options::STOCK.has(option)));
        assert!(!Options::STOCK.parks());
        assert_eq!(Options::from_bits(0), Options::STOCK);
    }

    #[test]
    fn each_option_is_a_bit_of_its_own() {
        let every = NEEDLESS.iter().chain(&OTHERS);
        let all = every.clone().fold(0, |all, option| all | option.bits());

        assert_eq!(all.count_ones() as usize, NEEDLESS.len() + OTHERS.len());
        assert!(every.clone().all(|option| option.bits().is_power_of_two()));
        assert_eq!(Options::from_bits(all).slots(), 0);
    }

    #[test]
    fn skip_needless_is_all_that_leave_out_needless_flushes() {
        assert!(NEEDLESS
            .iter()
            .all(|&option| Options::SKIP_NEEDLESS.has(option)));
        assert!(OTHERS
            .iter()
            .all(|&option| !Options::SKIP_NEEDLESS.has(option)));
    }

    #[test]
    fn an_option_that_is_on_stays_on() {
        for option in ALL {
            let once = Options::STOCK.with(option, true);

            assert_eq!(once.with(option, true), once);
            assert_eq!(once.with(option, false), once);
        }
    }

    #[test]
    fn v14_only_the_count_of_calls_goes_on_while_a_hook_is_c_s() {
        let all = all_slots_and(&ALL);
        assert_eq!(all.while_a_hook_is_c_s(), Options::STOCK);
        let counting = all.with(Options::COUNT_CALLS, true);
        let left = counting
            .with(Options::SKIP_NEEDLESS, true)
            .with(Options::KNOW_L2_PAGE, true)
            .while_a_hook_is_c_s();
        assert_eq!(left, Options::STOCK.with(Options::COUNT_CALLS, true));
    }

    #[test]
    fn v7_v18_nothing_is_kept_where_a_flush_misses_roots() {
        let all = all_slots_and(&[
            Options::COUNT_CALLS,
            Options::KEEP_ROOTS,
            Options::KNOW_L2_PAGE,
            Options::OWN_ROOTS,
            Options::SKIP_NEEDLESS,
        ]);
        let left = all.where_a_flush_misses_roots();
        assert_eq!(
            left,
            Options::STOCK
                .with_slots(1)
                .with(Options::SKIP_NEEDLESS, true)
        );
        assert!(!left.parks());
    }

    #[test]
    fn options_and_slots_are_independent_of_each_other() {
        for slots in 0..=Options::MAX_SLOTS {
            for set in 0..8 {
                let on = |number: usize| set & 1 << number != 0;
                let options = Options::STOCK
                    .with(ALL[0], on(0))
                    .with_slots(3)
                    .with(ALL[1], on(1))
                    .with(ALL[2], on(2))
                    .with_slots(slots);
                assert_eq!(options.slots(), usize::from(slots));
                assert_eq!(options.parks(), slots > 1);
                for (number, &option) in ALL.iter().enumerate() {
                    assert_eq!(options.has(option), on(number));
                }
                assert_eq!(Options::from_bits(options.bits()), options);
            }
        }
    }
}
