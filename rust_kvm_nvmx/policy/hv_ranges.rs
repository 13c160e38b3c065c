// SPDX-License-Identifier: GPL-2.0

//! Ranges of addresses on their way through a vCPU's queue (rules E7, E10, V24, X1, X4, X6, X9).
//!
//! The queue is KVM's own: C may handle what Rust has queued, or the reverse. Its entries have the
//! basic range format: a 4 KiB page's address, and in bits 11:0 the number of pages that follow it.

use core::cell::Cell;

use super::{
    hv_call::MAX_RANGES,
    options::Options,
    types::{
        Gva,
        Vpid, //
    },
};

/// The entry that stands for everything. As a range it would be the topmost page and 4,095 more.
/// That is more than [`MAX_PAGES`], so such a range flushes everything as well.
pub(crate) const EVERYTHING: u64 = u64::MAX;

/// X4: the most pages that are flushed one by one, for one call and each time that a vCPU handles
/// its queue. If there are more, everything is flushed.
///
/// An INVVPID of one address costs a few hundred cycles. An INVVPID of a context costs no more, but
/// then walks must bring back what was lost. These are at most the 1,500 to 2,000 translations of a
/// second-level TLB, at less than a hundred cycles each if the tables are in the caches. So both
/// cost the same at some 500 pages. 512 pages are one 2 MiB page, which is often flushed.
pub(crate) const MAX_PAGES: u64 = 512;

const PAGE: u64 = 4096;
const PAGES_IN_2M: u64 = 512;
/// Bits 11:0 of an entry.
const COUNT: u64 = PAGE - 1;

// The extended format (HvGvaRangeExtended; the TLFS does not describe it).
/// Bits 10:0: pages after the first, of either size.
const EXTENDED_COUNT: u64 = (1 << 11) - 1;
/// Bit 11: the pages are large.
const LARGE: u64 = 1 << 11;
/// Bit 12 of a range of large pages: they have 1 GiB, not 2 MiB.
const GIGANTIC: u64 = 1 << 12;
/// Bits 20:0 of a range of large pages, which are not part of the address.
const BELOW_2M: u64 = (1 << 21) - 1;

/// What a vCPU must flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued<'a> {
    /// Everything that its guest may have cached.
    Everything,
    /// The pages of these entries, which are few enough to be flushed one by one.
    Entries(&'a [u64]),
}

impl<'a> Queued<'a> {
    /// E7, X4: what a call's `ranges` require: everything if the ranges, or the pages in them, are
    /// too many. Ranges of the extended format are converted in place.
    ///
    /// V24: [`Options::JOIN_RANGES`] joins what can be joined, in place.
    pub(crate) fn new(mut ranges: &'a mut [u64], extended: bool, options: Options) -> Self {
        if ranges.len() > MAX_RANGES {
            return Self::Everything;
        }
        if extended {
            for range in &mut *ranges {
                let Some(entry) = to_basic(*range) else {
                    return Self::Everything;
                };
                *range = entry;
            }
        }
        if options.has(Options::JOIN_RANGES) {
            ranges = join(ranges);
        }
        if within_budget(ranges) {
            Self::Entries(ranges)
        } else {
            Self::Everything
        }
    }
}

/// X1: converts a range of the extended format to the basic one. `None` if it has more pages than
/// the basic format can express. These are too many to be flushed one by one anyway.
fn to_basic(range: u64) -> Option<u64> {
    let following = range & EXTENDED_COUNT;

    if range & LARGE == 0 {
        return Some(range & !COUNT | following);
    }
    if range & GIGANTIC != 0 {
        return None;
    }
    let pages = (following + 1) * PAGES_IN_2M;

    (pages <= COUNT + 1).then_some(range & !BELOW_2M | (pages - 1))
}

/// The pages of an entry.
fn pages_of(entry: u64) -> u64 {
    (entry & COUNT) + 1
}

/// V24: sorts the entries, and joins those whose pages overlap or adjoin, unless they are too many
/// for one entry. What it returns stands for the same pages. [`EVERYTHING`] stays.
#[inline]
pub(crate) fn join(entries: &mut [u64]) -> &mut [u64] {
    // The usual case, and nothing to do.
    if entries
        .windows(2)
        .all(|pair| matches!(pair, &[low, high] if are_apart(low, high)))
    {
        return entries;
    }
    let kept = join_sorted(sort(Cell::from_mut(&mut *entries).as_slice_of_cells()));

    entries.get_mut(..kept).unwrap_or_default()
}

/// The pages of `high` begin behind those of `low`, and do not adjoin them.
#[inline(always)]
fn are_apart(low: u64, high: u64) -> bool {
    (low / PAGE).wrapping_add(pages_of(low)) < high / PAGE
}

/// Guests tend to send sorted addresses. Then each entry is looked at once.
fn sort(entries: &[Cell<u64>]) -> &[Cell<u64>] {
    for end in 2..=entries.len() {
        for pair in entries.get(..end).unwrap_or_default().windows(2).rev() {
            let [low, high] = pair else { break };
            if low.get() <= high.get() {
                break;
            }
            high.set(low.replace(high.get()));
        }
    }
    entries
}

/// Returns how many are left, at the beginning of `entries`.
fn join_sorted(entries: &[Cell<u64>]) -> usize {
    let mut places = entries.iter();
    let mut last = None::<&Cell<u64>>;

    for entry in entries.iter().map(Cell::get) {
        match last.map(|last| (last, joined(last.get(), entry))) {
            Some((last, Some(joined))) => last.set(joined),
            _ => {
                last = places.next();
                last.inspect(|place| place.set(entry));
            }
        }
    }
    entries.len().saturating_sub(places.len())
}

/// The entry for the pages of both, if one can have them all. `low` does not begin after `high`.
fn joined(low: u64, high: u64) -> Option<u64> {
    // In pages, of which there are few enough for no sum to wrap around.
    let (first, other) = (low / PAGE, high / PAGE);
    let last = (first.wrapping_add(low & COUNT)).max(other.wrapping_add(high & COUNT));
    let following = last.wrapping_sub(first);
    let touch = other.wrapping_sub(first) <= pages_of(low);

    (touch && following <= COUNT).then_some(low & !COUNT | following)
}

/// X4: flushing these entries page by page costs no more than flushing everything does.
fn within_budget(entries: &[u64]) -> bool {
    let pages = entries
        .iter()
        .fold(0u64, |sum, &entry| sum.saturating_add(pages_of(entry)));

    pages <= MAX_PAGES
}

/// E10: `count` entries may go into a queue that has room for `room` more. One place is kept free
/// for [`EVERYTHING`], for the next sender whose entries do not fit.
#[inline]
pub(crate) fn may_be_queued(count: usize, room: usize) -> bool {
    count < room
}

/// How a vCPU handles what is in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// A flush of the running guest's own translations.
    Everything,
    /// Each page of each entry, by its address.
    Pages,
}

/// E10, X4: how to handle `entries`. `by_address`: the CPU can invalidate one address.
#[inline]
pub(crate) fn drain(entries: &[u64], by_address: bool) -> Drain {
    // Without `skip_needless`, T1 requests this at each transition, mostly with an empty queue.
    if entries.is_empty() || (by_address && within_budget(entries)) {
        Drain::Pages
    } else {
        Drain::Everything
    }
}

/// The addresses of an entry's pages; they may wrap around, and need not be canonical.
#[inline]
pub(crate) fn pages(entry: u64) -> impl Iterator<Item = Gva> {
    let first = entry & !COUNT;

    (0..pages_of(entry)).map(move |page| Gva(first.wrapping_add(page.wrapping_mul(PAGE))))
}

/// X6: L2's queue is handled or purged while an L2 without a VPID runs on vpid01. Its entries may
/// have been meant for another L2, whose translations are in vpid02.
///
/// `vmcs12_uses_vpid` is `None` while L1 runs.
#[inline]
pub(crate) fn leaves_vpid02_stale(vmcs12_uses_vpid: Option<bool>, was_empty: bool) -> bool {
    vmcs12_uses_vpid == Some(false) && !was_empty
}

/// X9: without EPT a request is handled by a flush of the running guest, and no later request
/// covers the other level. Returns the VPID of that level, if the flush of the running guest does
/// not cover it.
///
/// `vmcs12_uses_vpid` is `None` while L1 runs.
#[inline]
pub(crate) fn vpid_of_other_level(
    vmcs12_uses_vpid: Option<bool>,
    vpid01: Option<Vpid>,
    vpid02: Option<Vpid>,
) -> Option<Vpid> {
    match vmcs12_uses_vpid {
        None => vpid02,
        Some(true) if vpid02.is_some() => vpid01,
        Some(_) => None,
    }
}
