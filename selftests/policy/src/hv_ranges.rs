// SPDX-License-Identifier: GPL-2.0

//! E10, X1, X4, X9: ranges, the queue's entries, and how they are served.

use crate::{
    policy::{
        hv_ranges::{
            drain, leaves_vpid02_stale, may_be_queued, pages, vpid_of_other_level, Drain, Queued,
            EVERYTHING, MAX_PAGES,
        },
        types::Vpid,
    },
    vpids,
};

const MIB_2: u64 = 2 << 20;

/// The entries that a call's ranges come to; `None` for everything.
fn queued(ranges: &[u64], extended: bool) -> Option<Vec<u64>> {
    match Queued::new(&mut ranges.to_vec(), extended) {
        Queued::Entries(entries) => Some(entries.to_vec()),
        Queued::Everything => None,
    }
}

/// The pages that the queue's entries stand for.
fn pages_of(entries: &[u64]) -> Vec<u64> {
    entries
        .iter()
        .flat_map(|&entry| pages(entry))
        .map(|gva| gva.0)
        .collect()
}

fn of_size(first: u64, step: u64, count: u64) -> Vec<u64> {
    (0..count)
        .map(|page| first.wrapping_add(page * step))
        .collect()
}

#[test]
fn e7_an_entrys_low_bits_count_the_pages_that_follow() {
    for following in 0..4096 {
        for first in [0, 0x7fff_0000_0000, 0xffff_8000_0000_0000, !0xfff] {
            let found: Vec<u64> = pages(first | following).map(|gva| gva.0).collect();
            assert_eq!(found, of_size(first, 4096, following + 1));
        }
    }
}

#[test]
fn e10_plain_ranges_are_queued_as_they_are() {
    for len in 0..=15 {
        let raw: Vec<u64> = (0..len).map(|i| i << 20 | i).collect();
        assert_eq!(queued(&raw, false), Some(raw));
    }
    assert_eq!(queued(&[0; 16], false), None);
}

#[test]
fn x1_extended_ranges_of_small_pages_keep_every_page() {
    for following in 0..2048 {
        let range = 0xffff_8000_1234_5000 | following;
        match queued(&[range], true) {
            Some(ranges) => {
                let expected = of_size(0xffff_8000_1234_5000, 4096, following + 1);
                assert_eq!(pages_of(&ranges), expected);
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
                match queued(&[range], true) {
                    Some(ranges) => {
                        let pages = (following + 1) * 512;
                        assert!(!gigantic && following == 0);
                        assert_eq!(pages_of(&ranges), of_size(0x7f12_3460_0000, 4096, pages));
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
    assert_eq!(queued(&[range], false), None);
    let ranges = queued(&[range], true).expect("512 pages");
    assert_eq!(pages_of(&ranges).first(), Some(&0x7f12_3440_0000));
}

#[test]
fn x4_at_most_512_pages_are_flushed_one_by_one() {
    for len in 1..=15u64 {
        for pages in [1, 2, 30, 34, 35, 36, 256, 257, 511, 512, 513, 4096] {
            let raw = vec![0x1000_0000 | (pages - 1); len as usize];
            let few = len * pages <= 512;
            assert_eq!(queued(&raw, false).is_some(), few, "{len} of {pages}");
            let expected = if few { Drain::Pages } else { Drain::Everything };
            assert_eq!(drain(&raw, true), expected);
        }
    }
}

#[test]
fn e10_the_entry_for_everything_flushes_everything_wherever_it_stands() {
    for len in 1..=16 {
        for at in 0..len {
            let mut entries = vec![0x1000; len];
            assert_eq!(drain(&entries, true), Drain::Pages);
            entries[at] = EVERYTHING;
            assert_eq!(drain(&entries, true), Drain::Everything);
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
