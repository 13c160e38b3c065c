// SPDX-License-Identifier: GPL-2.0

//! E7, E10, V24, X1, X4, X6, X9: ranges, the queue's entries, and how they are served.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_hv_ranges))]
mod tests {
    use core::array;

    use crate::{
        policy::{
            hv_ranges::{
                drain, join, leaves_vpid02_stale, may_be_queued, pages, vpid_of_other_level, Drain,
                Queued, EVERYTHING, MAX_PAGES,
            },
            options::Options,
            types::{Gva, Vpid},
        },
        policy_tests::vpids,
    };

    const MIB_2: u64 = 2 << 20;

    /// The entries that a call's ranges come to; `None` for everything.
    fn queued(ranges: &mut [u64], extended: bool) -> Option<&[u64]> {
        match Queued::new(ranges, extended, Options::STOCK) {
            Queued::Entries(entries) => Some(entries),
            Queued::Everything => None,
        }
    }

    /// The queue's entries stand for these pages and no others.
    fn are_small_pages(entries: &[u64], first: u64, count: u64) -> bool {
        let found = entries.iter().flat_map(|&entry| pages(entry));
        let expected = (0..count).map(|page| Gva(first.wrapping_add(page * 4096)));

        found.eq(expected)
    }

    #[test]
    fn e7_an_entrys_low_bits_count_the_pages_that_follow() {
        for following in 0..4096 {
            for first in [0, 0x7fff_0000_0000, 0xffff_8000_0000_0000, !0xfff] {
                assert!(are_small_pages(&[first | following], first, following + 1));
            }
        }
    }

    #[test]
    fn e10_plain_ranges_are_queued_as_they_are() {
        let plain: [u64; 15] = array::from_fn(|i| (i << 20 | i) as u64);
        for len in 0..=15 {
            let mut ranges = plain;
            assert_eq!(queued(&mut ranges[..len], false), Some(&plain[..len]));
        }
        assert_eq!(queued(&mut [0; 16], false), None);
    }

    #[test]
    fn x1_extended_ranges_of_small_pages_keep_every_page() {
        for following in 0..2048 {
            let range = 0xffff_8000_1234_5000 | following;
            match queued(&mut [range], true) {
                Some(entries) => {
                    assert!(are_small_pages(
                        entries,
                        0xffff_8000_1234_5000,
                        following + 1
                    ));
                }
                None => assert!(following + 1 > MAX_PAGES),
            }
        }
    }

    #[test]
    fn x1_extended_ranges_of_large_pages_lose_no_page() {
        for following in 0..2048 {
            for gigantic in [false, true] {
                // Bits 20:13 belong to no address.
                for reserved in [0, 0xff << 13] {
                    let size = u64::from(gigantic) << 12;
                    let range = 0x7f12_3460_0000 | reserved | size | 1 << 11 | following;
                    match queued(&mut [range], true) {
                        Some(entries) => {
                            let pages = (following + 1) * 512;
                            assert!(!gigantic && following == 0);
                            assert!(are_small_pages(entries, 0x7f12_3460_0000, pages));
                        }
                        None => assert!(gigantic || (following + 1) * MIB_2 / 4096 > MAX_PAGES),
                    }
                }
            }
        }
    }

    #[test]
    fn x1_the_flag_decides_how_a_range_is_read() {
        // 2,049 plain pages, or one large one at an address with bit 21 cleared.
        let range = 0x7f12_3450_0000 | 1 << 11;
        assert_eq!(queued(&mut [range], false), None);
        assert!(
            queued(&mut [range], true).is_some_and(|entries| are_small_pages(
                entries,
                0x7f12_3440_0000,
                512
            ))
        );
    }

    #[test]
    fn x4_at_most_512_pages_are_flushed_one_by_one() {
        for len in 1..=15 {
            for pages in [1, 2, 30, 34, 35, 36, 256, 257, 511, 512, 513, 4096] {
                let mut ranges = [0x1000_0000 | (pages - 1); 15];
                let ranges = &mut ranges[..len];
                let few = len as u64 * pages <= 512;
                let expected = if few { Drain::Pages } else { Drain::Everything };
                assert_eq!(drain(ranges, true), expected);
                check_eq!(queued(ranges, false).is_some(), few, "{len} of {pages}");
            }
        }
    }

    /// Calls `see` with every list of `LEN` entries of one to three of eight pages from `first` on.
    fn all_lists<const LEN: usize>(first: u64, mut see: impl FnMut([u64; LEN])) {
        for number in 0..24usize.pow(LEN as u32) {
            let mut rest = number as u64;
            see(array::from_fn(|_| {
                let (page, following) = (rest % 8, rest / 8 % 3);
                rest /= 24;
                first.wrapping_add(page * 4096) | following
            }));
        }
    }

    /// The pages of the entries, a bit each.
    fn bits(entries: &[u64], first: u64) -> u64 {
        entries
            .iter()
            .flat_map(|&entry| pages(entry))
            .fold(0, |bits, Gva(gva)| {
                bits | 1 << (gva.wrapping_sub(first) / 4096)
            })
    }

    #[test]
    fn v24_joined_entries_have_the_same_pages_each_once() {
        // The last of these reach beyond the topmost page.
        for first in [0, 0x7fff_ffff_a000, 0xffff_ffff_ffff_8000] {
            all_lists::<4>(first, |list| {
                let (mut entries, expected) = (list, bits(&list, first));
                let left = join(&mut entries);

                check_eq!(bits(left, first), expected, "{list:x?}");
                // As many as there are runs of adjoining pages, so that no two could be joined.
                let runs = (expected & !(expected << 1)).count_ones() as usize;
                check_eq!(left.len(), runs, "{list:x?}");
                check!(left.is_sorted(), "{list:x?}");
                let pages: u64 = left.iter().map(|entry| (entry & 0xfff) + 1).sum();
                check_eq!(pages, expected.count_ones().into(), "{list:x?}");
            });
        }
    }

    #[test]
    fn v24_an_entry_has_no_more_pages_than_it_can_count() {
        for pages in 1..=4096 {
            // The first pages of them, and 4,096 from there on.
            let mut entries = [
                0x1000_0000 + (pages << 12) | 0xfff,
                0x1000_0000 | (pages - 1),
            ];
            let unchanged = [entries[1], entries[0]];
            assert_eq!(join(&mut entries), unchanged);
            let mut entries = [0x1000_0000 | 0xfff, 0x1000_0000 | (pages - 1)];
            assert_eq!(join(&mut entries), [0x1000_0fff]);
        }
    }

    #[test]
    fn v24_everything_stays_everything() {
        for page in 0..5000u64 {
            for following in [0, 1, 2, 4094, 4095] {
                let other = !0xfff - (page << 12) | following;
                for mut entries in [[EVERYTHING, other], [other, EVERYTHING]] {
                    assert!(join(&mut entries).contains(&EVERYTHING));
                }
            }
        }
        assert_eq!(join(&mut [EVERYTHING]), [EVERYTHING]);
        // Adjoining ones at the lowest addresses.
        assert_eq!(join(&mut [0, 0x1005]), [0x0006]);
        assert_eq!(join(&mut []), [0; 0]);
    }

    #[test]
    fn v24_a_call_is_judged_by_what_is_left_of_its_ranges() {
        // The same 512 pages 15 times, in ranges of each format.
        for (range, extended) in [(0x1000_01ff, false), (0x1000_0800, true)] {
            let mut ranges = [range; 15];
            assert_eq!(queued(&mut ranges, extended), None);
            let mut ranges = [range; 15];
            let joined = Queued::new(&mut ranges, extended, Options::JOIN_RANGES);
            assert_eq!(joined, Queued::Entries(&[0x1000_01ff]));
        }
        // One page more.
        let mut ranges = [0x1000_01ff, 0x2000_0000];
        let joined = Queued::new(&mut ranges, false, Options::JOIN_RANGES);
        assert_eq!(joined, Queued::Everything);
    }

    #[test]
    fn e10_the_entry_for_everything_flushes_everything_wherever_it_stands() {
        for len in 1..=16 {
            for at in 0..len {
                let mut entries = [0x1000; 16];
                assert_eq!(drain(&entries[..len], true), Drain::Pages);
                entries[at] = EVERYTHING;
                assert_eq!(drain(&entries[..len], true), Drain::Everything);
            }
        }
        assert_eq!(drain(&[], true), Drain::Pages);
    }

    #[test]
    fn e10_without_invvpid_by_address_everything_is_flushed_once() {
        assert_eq!(drain(&[0x1000], false), Drain::Everything);
        // And nothing at all if nothing is queued.
        assert_eq!(drain(&[], false), Drain::Pages);
    }

    #[test]
    fn e10_one_place_is_kept() {
        for room in 0..=16 {
            for count in 0..=16 {
                assert_eq!(may_be_queued(count, room), count + 1 <= room);
            }
        }
    }

    #[test]
    fn x6_what_an_l2_without_a_vpid_takes_out_of_the_queue_may_be_anothers() {
        for uses_vpid in [None, Some(false), Some(true)] {
            assert!(!leaves_vpid02_stale(uses_vpid, true));
            assert_eq!(
                leaves_vpid02_stale(uses_vpid, false),
                uses_vpid == Some(false)
            );
        }
    }

    #[test]
    fn x9_the_other_levels_vpid_is_one_that_is_not_flushed_anyway() {
        for vpid01 in vpids() {
            for vpid02 in vpids() {
                // While L1 runs, vpid01 is flushed.
                assert_eq!(vpid_of_other_level(None, vpid01, vpid02), vpid02);
                // An L2 with its own VPID is flushed, L1 is not.
                let other = if vpid02 == None::<Vpid> { None } else { vpid01 };
                assert_eq!(vpid_of_other_level(Some(true), vpid01, vpid02), other);
                // An L2 without one shares vpid01.
                assert_eq!(vpid_of_other_level(Some(false), vpid01, vpid02), None);
            }
        }
    }
}
