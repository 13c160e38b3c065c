// SPDX-License-Identifier: GPL-2.0

//! What must hold of the ranges that the rules have read: rules E7, E10, V24, X1, X4.

use crate::{
    c,
    call::Call,
    policy::{
        hv_call::{
            self,
            Targets, //
        },
        hv_ranges::{
            self,
            Drain,
            Queued, //
        },
    },
};

/// X4: more pages than this are everything.
const MAX_PAGES: u64 = 512;
/// Pages of all addresses.
const ALL_PAGES: u64 = 1 << 52;

/// The number of the first page, and how many there are.
type Area = (u64, u64);

/// The same pages as C's, or everything if they are too many. If ranges are `joined`, each once.
pub(crate) fn judge(call: &Call, found: &hv_call::Call<'_>, in_c: &c::Read, joined: bool) {
    let names_nobody = found.targets != Targets::All && found.targets.indexes().next().is_none();

    let Some(ranges) = &in_c.ranges else {
        assert_eq!(found.what, Queued::Everything, "C flushes everything");
        return;
    };
    if names_nobody || ranges.is_empty() {
        return;
    }
    let extended = call.words[1] & 8 != 0;
    let areas: Vec<_> = ranges.iter().map(|&range| area(range, extended)).collect();
    // What reaches beyond the topmost page is not joined with what is at the bottom.
    let wraps = areas.iter().any(|(first, pages)| first + pages > ALL_PAGES);
    let few = if joined {
        number(&union(&areas))
    } else {
        number(&areas)
    } <= MAX_PAGES;

    match found.what {
        Queued::Everything => assert!(!few || (joined && wraps), "so few are not everything"),
        Queued::Entries(entries) => {
            let left: Vec<_> = entries.iter().map(|&entry| area(entry, false)).collect();

            assert!(few && number(&left) <= MAX_PAGES, "too many one by one");
            if joined {
                assert_eq!(union(&left), union(&areas));
                assert!(
                    wraps || number(&left) == number(&union(&left)),
                    "a page twice"
                );
            } else {
                assert_eq!(left, areas);
            }
            judge_pages(entries, &left);
        }
    }
}

/// What a target does with the entries.
fn judge_pages(entries: &[u64], areas: &[Area]) {
    assert_eq!(hv_ranges::drain(entries, true), Drain::Pages);
    for (&entry, &(first, pages)) in entries.iter().zip(areas) {
        let expected = (first..first + pages).map(|page| page.wrapping_mul(4096));
        assert!(hv_ranges::pages(entry).map(|gva| gva.0).eq(expected));
    }
}

/// X1: what a range has.
fn area(range: u64, extended: bool) -> Area {
    let page = range / 4096;

    if !extended {
        (page, 1 + (range & 0xfff))
    } else if range & 0x800 == 0 {
        (page, 1 + (range & 0x7ff))
    } else if range & 0x1000 == 0 {
        (page & !0x1ff, (1 + (range & 0x7ff)) << 9)
    } else {
        (page & !0x3_ffff, (1 + (range & 0x7ff)) << 18)
    }
}

fn number(areas: &[Area]) -> u64 {
    areas.iter().map(|(_, pages)| pages).sum()
}

/// The pages of all, each once, in areas that do not adjoin.
fn union(areas: &[Area]) -> Vec<Area> {
    let mut parts: Vec<_> = areas
        .iter()
        .flat_map(|&(first, pages)| {
            let below = pages.min(ALL_PAGES - first);
            [(first, below), (0, pages - below)]
        })
        .filter(|&(_, pages)| pages != 0)
        .collect();
    let mut union: Vec<Area> = Vec::new();

    parts.sort_unstable();
    for (first, pages) in parts {
        match union.last_mut() {
            Some(last) if first <= last.0 + last.1 => {
                last.1 = last.1.max(first + pages - last.0);
            }
            _ => union.push((first, pages)),
        }
    }
    union
}
