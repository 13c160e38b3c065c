// SPDX-License-Identifier: GPL-2.0

//! E2, E5 to E7, E9, E17, X1, X2, X5: the input of the flush hypercalls.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_hv_call))]
mod tests {
    use core::array;

    use crate::policy::{
        hv_call::{
            result_of_failure, result_of_success, Call, Control, Shape, Status, Targets, MAX_WORDS,
        },
        hv_ranges::Queued,
        options::Options,
    };

    const SPACE: u16 = 2;
    const LIST: u16 = 3;
    const SPACE_EX: u16 = 0x13;
    const LIST_EX: u16 = 0x14;
    const CODES: [u16; 4] = [SPACE, LIST, SPACE_EX, LIST_EX];

    const ALL_PROCESSORS: u64 = 1;
    const ALL_SPACES: u64 = 2;

    /// All words that the call's input has, as the TLFS counts them.
    fn input_words(code: u16, banks: u16, ranges: u16) -> u64 {
        let header = if code < SPACE_EX { 3 } else { 4 };
        let ranges = if matches!(code, LIST | LIST_EX) {
            ranges
        } else {
            0
        };

        header + u64::from(banks) + u64::from(ranges)
    }

    /// The way of a hypercall's words.
    fn parse(code: u16, banks: u16, ranges: u16, words: &mut [u64]) -> Result<Call<'_>, Status> {
        let shape = Shape::new(code, banks, ranges)?;
        let (header, rest) = shape.split(words)?;

        shape.parse(header, rest, Options::STOCK)
    }

    fn targets<'a>(call: Result<Call<'a>, Status>) -> Result<Targets<'a>, Status> {
        call.map(|call| call.targets)
    }

    /// The call asks for everything to be flushed.
    fn is_everything(call: Result<Call<'_>, Status>) -> Result<bool, Status> {
        call.map(|call| call.what == Queued::Everything)
    }

    #[test]
    fn e2_four_of_all_codes_are_flushes() {
        let flushes = (0..=u16::MAX).filter(|&code| Control(code.into()).is_flush());

        assert!(flushes.eq(CODES));
    }

    #[test]
    fn e5_no_other_code_and_no_needless_variable_header_has_a_shape() {
        for code in 0..=u16::MAX {
            for banks in [0, 1, 64, 65, u16::MAX] {
                let most = match code {
                    SPACE | LIST => Some(0),
                    SPACE_EX | LIST_EX => Some(64),
                    _ => None,
                };
                let expected = if most.is_some_and(|most| banks <= most) {
                    Ok(())
                } else {
                    Err(Status::InvalidInput)
                };
                check_eq!(
                    Shape::new(code, banks, 1).map(|_| ()),
                    expected,
                    "{code} {banks}"
                );
            }
        }
    }

    /// Every control word that KVM lets through.
    fn every_shape(check: impl Fn(u16, u16, u16)) {
        for code in CODES {
            let most_banks = if code < SPACE_EX { 0 } else { 64 };
            let ranges = if matches!(code, LIST | LIST_EX) {
                1..=0xfff
            } else {
                0..=0
            };

            for banks in 0..=most_banks {
                for ranges in ranges.clone() {
                    check(code, banks, ranges);
                }
            }
        }
    }

    #[test]
    fn x5_input_is_aligned_and_within_a_page_or_refused() {
        for base in [0u64, 0x1000, 0xffff_f000, u64::MAX - 0xfff] {
            every_shape(|code, banks, ranges| {
                let bytes = 8 * input_words(code, banks, ranges);
                for offset in [
                    0,
                    8,
                    4096 - bytes.min(4096),
                    (4104 - bytes.min(4096)) % 4096,
                    4088,
                ] {
                    let expected = if offset + bytes <= 4096 {
                        Ok(())
                    } else {
                        Err(Status::InvalidAlignment)
                    };
                    let found = Shape::new(code, banks, ranges)
                        .map(|shape| shape.may_lie_at(base + offset));
                    check_eq!(found, Ok(expected), "{code} {banks} {ranges} {offset}");
                }
            });
        }
    }

    #[test]
    fn x5_every_misaligned_offset_is_refused() {
        for offset in 0..4096u64 {
            let expected = if offset % 8 == 0 && offset + 24 <= 4096 {
                Ok(())
            } else {
                Err(Status::InvalidAlignment)
            };
            let found = Shape::new(SPACE, 0, 0).map(|shape| shape.may_lie_at(0x5000 + offset));
            assert_eq!(found, Ok(expected));
        }
    }

    #[test]
    fn e5_the_longest_input_fills_the_words() {
        // A header with a set, all banks of it, and the most ranges that are queued.
        let longest = Shape::new(LIST_EX, 64, 15).map(Shape::words_to_read);
        assert_eq!(longest, Ok(MAX_WORDS));
    }

    #[test]
    fn x1_bit_3_of_the_flags_alone_says_that_ranges_are_extended() {
        // 2,049 small pages, which are too many, or one large page.
        let range = 0x7f12_3440_0000 | 1 << 11;

        for bit in 0..64 {
            let flags = 1 << bit;
            for (code, words) in [
                (LIST, &mut [0, flags, 1, range][..]),
                (LIST_EX, &mut [0, flags, 0, 0, range][..]),
            ] {
                let found = is_everything(parse(code, 0, 1, words));
                check_eq!(found, Ok(bit != 3), "{code:#x} {bit}");
            }
        }
    }

    #[test]
    fn e5_registers_hold_fourteen_words() {
        every_shape(|code, banks, ranges| {
            let expected = if input_words(code, banks, ranges) <= 14 {
                Ok(())
            } else {
                Err(Status::InvalidInput)
            };
            let found = Shape::new(code, banks, ranges).map(Shape::fits_registers);
            assert_eq!(found, Ok(expected));
        });
    }

    #[test]
    fn e7_no_more_is_read_than_matters_and_the_buffer_holds() {
        every_shape(|code, banks, ranges| {
            let expected = input_words(code, banks, if ranges > 15 { 0 } else { ranges });
            let found = Shape::new(code, banks, ranges).map(Shape::words_to_read);

            assert_eq!(found, Ok(expected as usize));
            assert!(expected as usize <= MAX_WORDS);
        });
    }

    #[test]
    fn e6_a_mask_of_zero_or_the_flag_means_all() {
        for (flags, mask, expected) in [
            (0, 0, Targets::All),
            (ALL_SPACES, 0, Targets::All),
            (ALL_PROCESSORS, 0, Targets::All),
            (ALL_PROCESSORS, 5, Targets::All),
            (ALL_SPACES, 5, Targets::Mask(5)),
            (!ALL_PROCESSORS, u64::MAX, Targets::Mask(u64::MAX)),
        ] {
            let mut words = [7, flags, mask];
            let call = parse(SPACE, 0, 0, &mut words);
            assert_eq!(targets(call), Ok(expected));
            assert_eq!(is_everything(call), Ok(true));
        }
    }

    #[test]
    fn e6_the_valid_banks_must_be_as_many_as_there_are() {
        for banks in 0..=64u16 {
            for valid in [0, 1, 3, 1 << 63, 0xff00, u64::MAX, u64::MAX >> 1] {
                for (format, flags) in [(0, 0), (0, ALL_PROCESSORS), (1, 0), (2, 0)] {
                    let len = 4 + usize::from(banks);
                    let mut words = [0x10; 4 + 64];
                    words[..4].copy_from_slice(&[0, flags, format, valid]);
                    let given = words;
                    let found = targets(parse(SPACE_EX, banks, 0, &mut words[..len]));

                    let expected = if valid.count_ones() != u32::from(banks) {
                        Err(Status::InvalidInput)
                    } else if format != 0 || flags != 0 {
                        // E6 for the format, X2 for the flag.
                        Ok(Targets::All)
                    } else {
                        let banks = &given[4..len];
                        Ok(Targets::Sparse { valid, banks })
                    };
                    check_eq!(found, expected, "{banks} {valid:#x} {format} {flags}");
                }
            }
        }
    }

    #[test]
    fn x2_the_flag_asks_for_all_even_with_an_empty_set() {
        for code in [SPACE_EX, LIST_EX] {
            let mut words = [0, ALL_PROCESSORS, 0, 0, 0x1000];
            let ranges = if code == LIST_EX { 1 } else { 0 };
            let call = parse(code, 0, ranges, &mut words[..4 + usize::from(ranges)]);
            assert_eq!(targets(call), Ok(Targets::All));
        }
    }

    #[test]
    fn e6_an_empty_set_is_good_input_and_names_nobody() {
        let mut words = [0; 4];
        let targets = targets(parse(SPACE_EX, 0, 0, &mut words));

        assert!(targets.is_ok_and(|targets| (0..8192).all(|vp| !targets.contains(vp))));
    }

    #[test]
    fn e6_each_processor_is_found_in_its_own_bank() {
        let banks: [u64; 64] = array::from_fn(|bank| 1 << bank);
        for valid in [
            u64::MAX,
            1,
            1 << 63,
            0xaaaa_aaaa_aaaa_aaaa,
            0x8000_0000_0000_0001,
        ] {
            // The n-th bank that is present is that of the n-th bit.
            let banks = &banks[..valid.count_ones() as usize];
            let targets = Targets::Sparse { valid, banks };
            let mut present = 0;
            for bank in 0..64u32 {
                let valid = valid >> bank & 1 != 0;
                for bit in 0..64 {
                    assert_eq!(targets.contains(64 * bank + bit), valid && bit == present);
                }
                present += u32::from(valid);
            }
            assert!((4096..9000).all(|vp| !targets.contains(vp)));
            assert!(!targets.contains(u32::MAX));
        }
    }

    #[test]
    fn e6_a_mask_names_the_first_sixty_four() {
        for vp in 0..300 {
            assert_eq!(Targets::Mask(1 << 63 | 1).contains(vp), vp == 0 || vp == 63);
            assert!(Targets::All.contains(vp));
        }
    }

    #[test]
    fn e6_ranges_follow_the_banks_also_where_all_are_meant() {
        for (format, flags) in [(0, 0), (1, 0), (0, ALL_PROCESSORS)] {
            let mut words = [0, flags, format, 6, 0xb0, 0xb1, 0x1000, 0x2001];
            let what = parse(LIST_EX, 2, 2, &mut words).map(|call| call.what);
            assert_eq!(what, Ok(Queued::Entries(&[0x1000, 0x2001])));
        }
    }

    #[test]
    fn e7_space_and_long_lists_flush_everything() {
        for code in CODES {
            let (banks, header) = if code < SPACE_EX { (0, 3) } else { (1, 5) };
            for ranges in 1..=0xfff {
                let list = matches!(code, LIST | LIST_EX);
                let all = !list || ranges > 15;
                let mut words = [0x1000; MAX_WORDS];
                words[..header].copy_from_slice(&[0, 0, 0, 1, 1][..header]);
                let words = &mut words[..header + if all { 0 } else { usize::from(ranges) }];
                let call = parse(code, banks, if list { ranges } else { 0 }, words);
                check_eq!(is_everything(call), Ok(all), "{code} {ranges}");
            }
        }
    }

    #[test]
    fn e9_input_that_ends_early_is_refused_at_every_length() {
        let mut words = [0, 0, 0, 7, 1, 1, 1, 0x1000, 0x2000, 0x3000];

        for len in 0..words.len() {
            let call = parse(LIST_EX, 3, 3, &mut words[..len]);
            assert_eq!(call, Err(Status::InvalidInput));
        }
        assert!(parse(LIST_EX, 3, 3, &mut words).is_ok());
    }

    /// [`Shape::split`] leaves no fewer.
    #[test]
    fn e9_fewer_words_than_banks_are_refused() {
        let mut words = [0, 0, 0, 7, 1, 1, 1];

        let found = Shape::new(SPACE_EX, 3, 0).and_then(|shape| {
            let (header, rest) = shape.split(&mut words)?;
            for len in 0..3 {
                assert_eq!(
                    shape.parse(header, &mut rest[..len], Options::STOCK),
                    Err(Status::InvalidInput)
                );
            }
            shape.parse(header, rest, Options::STOCK).map(|_| ())
        });
        assert_eq!(found, Ok(()));
    }

    #[test]
    fn e9_results() {
        assert_eq!(result_of_success(0), 0);
        assert_eq!(result_of_success(0xfff), 0xfff << 32);
        assert_eq!(result_of_failure(Status::InvalidInput), 3);
        assert_eq!(result_of_failure(Status::InvalidAlignment), 4);
    }

    #[test]
    fn e17_the_indexes_are_those_contained() {
        let banks = [1 << 63, 0, 5, u64::MAX];
        let sparse = Targets::Sparse {
            valid: 1 << 63 | 1 << 20 | 1 << 1 | 1,
            banks: &banks,
        };

        for targets in [Targets::All, Targets::Mask(0), Targets::Mask(9), sparse] {
            let mut seen = [0u64; 64];
            for index in targets.indexes() {
                let (bank, bit) = (index / 64, 1 << (index % 64));
                check!(seen[bank] & bit == 0, "{index} twice");
                seen[bank] |= bit;
            }
            for vp in 0..4096 {
                let is_seen = seen[vp / 64] >> (vp % 64) & 1 != 0;
                check_eq!(is_seen, targets.contains(vp as u32), "{vp}");
            }
        }
    }
}
