// SPDX-License-Identifier: GPL-2.0

//! Every input of a domain that is finite and not small.

use crate::all_caps::all_caps;
use crate::policy::{
    flush::{
        address,
        context,
        current_vpid, //
    },
    history::{
        choose,
        Choice,
        NOBODY, //
    },
    hv_call::{
        result_of_failure,
        result_of_success,
        Control,
        Shape,
        Status, //
    },
    hv_ranges::{
        pages,
        Queued,
        MAX_PAGES, //
    },
    invalidate::{
        vpid_scope,
        VpidScope, //
    },
    options::Options,
    tags::Tag,
    transition::{
        new_owner,
        required_on_entry, //
    },
    types::{
        Caps,
        Gva,
        Invalidation,
        Request,
        Vpid, //
    },
};

const LIST_EX: u16 = 0x14;
const PAGE: u64 = 4096;

/// Says how many cases a test tried: the figures in docs/nets.md.
fn tried(what: &str, cases: u64) {
    println!("tried {what}: {cases}");
}

/// X5: input of every length at every place of a page.
#[test]
fn input_is_within_a_page_or_refused() {
    let mut cases = 0;

    for words in 4..=4 + 64 + 0xfff {
        let banks = u16::min(words - 4, 64);
        let shape = Shape::new(LIST_EX, banks, words - 4 - banks).expect("it is a flush");
        for offset in 0..PAGE {
            let fits = offset % 8 == 0 && offset + 8 * u64::from(words) <= PAGE;
            assert_eq!(shape.may_lie_at(0x7000 + offset).is_ok(), fits);
            cases += 1;
        }
    }
    tried("lengths and places of input", cases);
}

/// E2, E14: every control word's low half, and what each says of the input's length.
#[test]
fn every_count_of_a_control_word_has_a_length_that_the_buffer_has() {
    let mut cases = 0;

    for code in 0..=u16::MAX {
        let is_flush = [2, 3, 0x13, 0x14].contains(&code);
        assert_eq!(Control(code.into()).is_flush(), is_flush);
        if !is_flush {
            assert_eq!(Shape::new(code, 0, 0), Err(Status::InvalidInput));
            continue;
        }
        for banks in 0..0x400 {
            for ranges in 0..0x1000 {
                let Ok(shape) = Shape::new(code, banks, ranges) else {
                    assert!(banks > if code < 0x13 { 0 } else { 64 });
                    continue;
                };
                assert!(shape.words_to_read() <= 4 + 64 + 15);
                cases += 1;
            }
        }
    }
    tried("counts of a control word", cases);
}

/// X1, X4: every way to write a range, at three addresses.
#[test]
fn a_range_is_flushed_to_its_last_page() {
    let mut cases = 0;

    for high in [0, 0x0000_7f12_3460_0000, u64::MAX << 21] {
        for low in 0..1 << 21 {
            for extended in [false, true] {
                let range = high | low;
                let (first, count) = area(range, extended);
                match Queued::new(&mut [range], extended, Options::STOCK) {
                    Queued::Everything => assert!(count > MAX_PAGES),
                    Queued::Entries(&[entry]) => {
                        assert_eq!(pages(entry).next(), Some(Gva(first)));
                        assert_eq!(pages(entry).count() as u64, count);
                        assert!(count <= MAX_PAGES);
                    }
                    Queued::Entries(_) => panic!("one range is one entry"),
                }
                cases += 1;
            }
        }
    }
    tried("ranges", cases);
}

fn area(range: u64, extended: bool) -> (u64, u64) {
    let after = if extended {
        range & 0x7ff
    } else {
        range & 0xfff
    };

    if !extended || range & 0x800 == 0 {
        (range & !0xfff, after + 1)
    } else if range & 0x1000 == 0 {
        (range & !0x1f_ffff, (after + 1) << 9)
    } else {
        (range & !0x3fff_ffff, (after + 1) << 18)
    }
}

/// V4, V15: every count of entries that found no pair, with every number of pairs.
#[test]
fn a_pair_that_is_taken_is_there() {
    let mut cases = 0;

    for parked in 0..usize::from(Options::MAX_SLOTS) {
        for slots in 0..=usize::from(Options::MAX_SLOTS) {
            for misses in 0..=u16::MAX {
                let owners = (0..parked).map(|number| 100 + number as u16);
                let choice = choose(7, owners, slots, misses);
                let right = match choice {
                    Choice::Take(number) => number < parked && misses % 8 == 7,
                    Choice::InUse => parked == 0 || misses % 8 != 7,
                    Choice::Grow => parked + 1 < slots,
                };
                assert!(right, "{choice:?}: {parked}, {slots}, {misses}");
                assert_eq!(choice == Choice::Grow, parked + 1 < slots);
                cases += 1;
            }
        }
    }
    tried("choices of a pair", cases);
}

/// T4: every vpid12 with every owner of vpid02, in steps of a prime number.
#[test]
fn another_vpid12_is_flushed_and_the_same_is_not() {
    let caps = Caps::EPT.with(Caps::VPID, true);
    let mut cases = 0;

    for vpid12 in 1..=u16::MAX {
        let near = [vpid12.wrapping_sub(1), vpid12, vpid12.wrapping_add(1)];
        for last in (NOBODY..u16::MAX).step_by(251).chain(near) {
            let owner = new_owner(Some(vpid12), last);
            let required = required_on_entry(Some(vpid12), owner, || Vpid::new(2), caps);
            assert_eq!(required == Some(Request::Guest), vpid12 != last);
            assert_eq!(owner.is_some(), vpid12 != last);
            cases += 1;
        }
    }
    tried("vpid12s and owners", cases);
}

/// T6: every VPID of an INVVPID, of every type.
#[test]
fn invvpid_names_the_vpid_of_its_operand() {
    let mut cases = 0;

    for vpid in 0..=u16::MAX {
        for (kind, canonical) in (0..4).flat_map(|kind| [(kind, false), (kind, true)]) {
            let scope = vpid_scope(kind, [vpid.into(), 0x5000], |_| canonical);
            let expected = match kind {
                2 => Some(VpidScope::All),
                _ if vpid == 0 => None,
                0 if !canonical => None,
                0 => Some(VpidScope::Address(vpid, Gva(0x5000))),
                _ => Some(VpidScope::Context(vpid)),
            };
            assert_eq!(scope, expected);
            cases += 1;
        }
    }
    tried("operands of INVVPID", cases);
}

/// H3, H4, H5: no VPID is flushed in another's place.
#[test]
fn a_flush_names_the_vpid_or_all() {
    let mut cases = 0;

    for raw in 0..=u16::MAX {
        let vpid = Vpid::new(raw);
        for caps in all_caps() {
            for done in [context(caps, vpid), address(caps, vpid, Gva(0x1000))] {
                let right = match done {
                    None => raw == 0,
                    Some(Invalidation::InvvpidAll) => raw != 0 && !caps.has(Caps::INVVPID_SINGLE),
                    Some(Invalidation::InvvpidSingle(named)) => named.get() == raw,
                    Some(Invalidation::InvvpidAddress(named, gva)) => {
                        named.get() == raw && gva == Gva(0x1000)
                    }
                    Some(_) => false,
                };
                assert!(right, "{done:?}, {caps:?}, {raw}");
                cases += 1;
            }
        }
        let found = current_vpid(Some(true), || Vpid::new(1), || vpid);
        assert_eq!(found, vpid.or(Vpid::new(1)));
    }
    tried("flushes of a VPID", cases);
}

/// Every word that options can be.
#[test]
fn options_are_what_their_word_says() {
    let named = [
        Options::KEEP_ROOTS,
        Options::NO_EXIT_FLUSH,
        Options::SKIP_EMPTY_QUEUE,
        Options::COUNT_CALLS,
        Options::L1_FLUSH_ALONE,
        Options::JOIN_RANGES,
        Options::KNOW_L2_PAGE,
        Options::OWN_ROOTS,
    ];

    for word in 0..1 << 16 {
        let options = Options::from_bits(word);
        assert_eq!(options.slots() as u32, word & 0xff);
        assert_eq!(options.parks(), word & 0xff > 1);
        let left = options.while_a_hook_is_c_s();
        for (bit, option) in (8..).zip(named) {
            assert_eq!(options.has(option), word >> bit & 1 != 0);
            assert_eq!(left.has(option), bit == 11 && options.has(option));
        }
        assert!(!left.parks());
    }
    tried("options", 1 << 16);
}

/// E9: every count of ranges.
#[test]
fn a_result_has_the_status_and_the_ranges() {
    for ranges in 0..=u16::MAX {
        let result = result_of_success(ranges);
        assert_eq!((result as u32, result >> 32), (0, ranges.into()));
    }
    for status in [Status::InvalidInput, Status::InvalidAlignment] {
        assert_eq!(result_of_failure(status), status as u64);
    }
    tried("results", 1 << 16);
}

/// V22: every hash of a VM, with every processor of which the low 8 bits differ.
#[test]
fn no_tag_is_the_unknown_one() {
    let mut seen = [false; 256];
    let mut cases = 0;

    for vm in 0..1 << 16 {
        for vp in 0..256 {
            let Tag(tag) = Tag::of(vm, vp);
            seen[usize::from(tag)] = true;
            cases += 1;
        }
    }
    assert!(!seen[usize::from(Tag::UNKNOWN.0)]);
    assert_eq!(seen.iter().filter(|&&seen| seen).count(), 255);
    tried("tags", cases);
}
