// SPDX-License-Identifier: GPL-2.0

//! Random inputs, where there are too many to try them all. What fails is made smaller by proptest.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::policy::{
    apic_access::{
        turned_on,
        Required,
        Running, //
    },
    eptp::{
        of_root,
        RootPage, //
    },
    flush::l1_flush_concerns_running_guest,
    history::{
        word_of_all,
        word_of_one,
        CallWords,
        Calls,
        Named,
        Rest,
        WORDS, //
    },
    hv_call::{
        Call,
        Shape,
        Status,
        Targets, //
    },
    hv_l2::{
        completion,
        is_target,
        pending_after_flush,
        Identity, //
    },
    hv_ranges::{
        drain,
        join,
        pages,
        Drain,
        Queued,
        EVERYTHING,
        MAX_PAGES, //
    },
    invalidate::{
        same_ept,
        vpid_scope,
        where_vpid02_is,
        Where, //
    },
    options::Options,
    roles,
    tags::{
        Tag,
        Tags, //
    },
    types::{
        Caps,
        Eptp,
        Gva,
        Vpid, //
    },
};

/// Words of which many are small or have few bits, as those that matter are.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..70u64,
        Just(u64::MAX),
        (0..64u32).prop_map(|bit| 1 << bit),
        any::<u64>().prop_map(|word| word & 0xfff),
        any::<u64>().prop_map(|word| word & !0xfff),
    ]
}

fn words(most: usize) -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(word(), 0..=most)
}

fn code() -> impl Strategy<Value = u16> {
    prop_oneof![Just(2), Just(3), Just(0x13), Just(0x14), any::<u16>()]
}

/// Mostly few banks, of a mask that has as many, or as many as there are by chance.
fn set() -> impl Strategy<Value = (u64, Vec<u64>)> {
    (word(), words(64), any::<bool>()).prop_map(|(valid, mut banks, right)| {
        if right {
            banks.resize(valid.count_ones() as usize, 1 << 7);
        }
        (valid, banks)
    })
}

fn parse(shape: Shape, words: &mut [u64], options: Options) -> Result<Call<'_>, Status> {
    let (header, rest) = shape.split(words)?;

    shape.parse(header, rest, options)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// E5 to E9: the parser takes as many words as it asked for, and no others.
    #[test]
    fn the_parser_reads_what_it_asked_for(
        code in code(),
        banks in prop_oneof![0..4u16, 0..70u16, any::<u16>()],
        ranges in prop_oneof![0..4u16, 0..20u16, any::<u16>()],
        mut words in words(100),
        right in any::<bool>(),
        join in any::<bool>(),
    ) {
        let Ok(shape) = Shape::new(code, banks, ranges) else { return Ok(()) };
        let len = shape.words_to_read();

        if right {
            words.resize(len, 0);
        }
        match parse(shape, &mut words, Options::STOCK.with(Options::JOIN_RANGES, join)) {
            Err(status) => prop_assert_eq!(status, Status::InvalidInput),
            Ok(call) => {
                if let Targets::Sparse { valid, banks: found } = call.targets {
                    prop_assert_eq!(found.len(), usize::from(banks));
                    prop_assert_eq!(found.len(), valid.count_ones() as usize);
                }
                if let Queued::Entries(entries) = call.what {
                    prop_assert!(entries.len() <= usize::from(ranges));
                    prop_assert!(join || entries.len() == usize::from(ranges));
                }
                prop_assert_eq!(words.len(), len);
            }
        }
    }

    /// E6, X6: all ways to ask a set agree, also if it has too few banks or too many.
    #[test]
    fn a_set_says_the_same_in_every_way((valid, banks) in set(), vp in any::<u32>()) {
        let targets = Targets::Sparse { valid, banks: &banks };

        prop_assert_eq!(targets.contains(vp), targets.bank(vp / 64) >> (vp % 64) & 1 != 0);
        prop_assert!(vp < 4096 || !targets.contains(vp));
        let mut number = 0;
        for index in targets.indexes() {
            prop_assert!(targets.contains(index as u32));
            number += 1;
        }
        let contained = (0..64).map(|bank| targets.bank(bank).count_ones()).sum::<u32>();
        prop_assert_eq!(number, contained);
    }

    /// V9, V22: whom a call names is counted and looked at.
    #[test]
    fn whom_a_call_names_is_not_missed(vm in any::<u64>(), (valid, banks) in set()) {
        let targets = Targets::Sparse { valid, banks: &banks };
        let tags = Tags::of(vm, &targets);
        let mut counted = [false; WORDS];

        for number in CallWords::of(vm, &targets).numbers() {
            counted[number] = true;
        }
        for vp in targets.indexes().map(|vp| vp as u32) {
            prop_assert!(Tags::may_have(tags.as_ref(), || Tag::of(vm, vp)));
            // A call whose set is wrong is refused before.
            if banks.len() == valid.count_ones() as usize {
                prop_assert!(counted[word_of_one(vm, vp)] || counted[word_of_all(vm)]);
            }
        }
    }

    /// V9, V22: the hashes of all ids are in their tables.
    #[test]
    fn a_hash_is_in_its_table(vm in any::<u64>(), vp in any::<u32>()) {
        prop_assert!(word_of_one(vm, vp) < 64);
        prop_assert!((64..WORDS).contains(&word_of_all(vm)));
        prop_assert!(Tag::of(vm, vp) != Tag::UNKNOWN);
    }

    /// E10, X1, X4: no more than 512 pages one by one, and never fewer than a call names.
    #[test]
    fn ranges_are_queued_within_their_budget(ranges in words(40), extended in any::<bool>()) {
        let mut buffer = ranges.clone();

        if let Queued::Entries(entries) = Queued::new(&mut buffer, extended, Options::STOCK) {
            prop_assert_eq!(entries.len(), ranges.len());
            let number = entries.iter().flat_map(|&entry| pages(entry)).count() as u64;
            prop_assert!(number <= MAX_PAGES);
            prop_assert_eq!(drain(entries, true), Drain::Pages);
        }
    }

    /// E10: any words may be in a queue. Their pages may be at the end of all addresses.
    #[test]
    fn a_queue_may_have_any_entries(entries in words(16), by_address in any::<bool>()) {
        let number: u64 = entries.iter().map(|entry| 1 + (entry & 0xfff)).sum();
        let few = entries.is_empty() || (by_address && number <= MAX_PAGES);

        prop_assert_eq!(drain(&entries, by_address) == Drain::Pages, few);
        for &entry in &entries {
            let last = (entry & !0xfff).wrapping_add((entry & 0xfff) << 12);
            prop_assert_eq!(pages(entry).last(), Some(Gva(last)));
        }
    }

    /// V24: the same pages, each once, but for those beyond the topmost one.
    #[test]
    fn joined_entries_have_the_same_pages(
        base in prop_oneof![Just(0), Just(u64::MAX << 17), any::<u64>()],
        near in proptest::collection::vec((0..40u64, 0..5u64), 0..=16),
        far in words(3),
    ) {
        let entry = |(page, following)| ((base >> 12).wrapping_add(page) << 12) | following;
        let mut entries: Vec<u64> = near.into_iter().map(entry).chain(far).collect();
        let set = |entries: &[u64]| -> BTreeSet<u64> {
            entries.iter().flat_map(|&entry| pages(entry)).map(|gva| gva.0).collect()
        };
        let expected = set(&entries);
        let everything = entries.contains(&EVERYTHING);
        let left = join(&mut entries);
        let number: u64 = left.iter().map(|entry| 1 + (entry & 0xfff)).sum();
        let full = left.iter().any(|entry| entry >> 12 >= (1 << 52) - 4096 || entry & 0xfff > 64);

        prop_assert_eq!(set(left), expected.clone());
        prop_assert!(left.is_sorted());
        prop_assert!(full || number == expected.len() as u64);
        prop_assert!(!everything || left.contains(&EVERYTHING));
    }

    /// V23: L1's flush leaves out the running guest's only if a tag tells them apart.
    #[test]
    fn l1s_flush_concerns_who_shares_its_vpid(
        current in any::<u16>(),
        vpid01 in any::<u16>(),
        word in any::<u32>(),
        ept in any::<bool>(),
    ) {
        let options = Options::from_bits(word);
        let (current, vpid01) = (Vpid::new(current), Vpid::new(vpid01));
        let caps = Caps::VPID.with(Caps::EPT, ept);
        let concerned = l1_flush_concerns_running_guest(caps, current, vpid01, options);

        prop_assert_eq!(!concerned, ept && current != vpid01 && word >> 12 & 1 != 0);
    }

    /// V9: words that have counted any number of calls.
    #[test]
    fn counts_of_calls_do_not_overflow(one in any::<u64>(), all in any::<u64>()) {
        let calls = Calls::of(one, all);
        let under_way = one & 0xffff != 0 || all & 0xffff != 0;
        let named = Named::Ids { vm: 1, vp: 2 };

        prop_assert_eq!(calls.under_way, under_way);
        let rest = Rest::at_exit(named, calls, true);
        prop_assert_eq!(rest.missed_nothing(named, |_, _| calls), !under_way);
        let more = Calls::of(one.wrapping_add(Calls::BEGIN), all);
        prop_assert!(!rest.missed_nothing(named, |_, _| more));
    }

    /// E8, E11, X10: any ids, results and debug exceptions.
    #[test]
    fn an_l2s_call_may_have_any_ids(
        sender in word(),
        vm in word(),
        vp in any::<u32>(),
        mask in word(),
        result in any::<u64>(),
        count in any::<Option<u32>>(),
        db in any::<u64>(),
    ) {
        let named = vm == sender && vp < 64 && mask >> (vp % 64) & 1 != 0;
        let identity = Identity::Known { vm, vp };

        prop_assert_eq!(is_target(sender, &Targets::Mask(mask), identity), named);
        prop_assert!(is_target(sender, &Targets::Mask(mask), Identity::Unknown));
        let end = completion(result, count);
        prop_assert_eq!(end.exit_to_l1, count.unwrap_or(0) != 0);
        prop_assert_eq!(end.result, if count.is_some() { result } else { 3 });
        prop_assert_eq!(pending_after_flush(db).unwrap_or(0), db & !(1 << 13));
    }

    /// H6: any root.
    #[test]
    fn a_pointer_has_its_roots_address(root in any::<u64>(), set in 0..16u8) {
        let page = RootPage {
            is_known: set & 1 != 0,
            has_five_levels: set & 2 != 0,
            may_have_ad: set & 4 != 0,
        };
        let found = of_root(root & !0xfff, page, set & 8 != 0);

        prop_assert_eq!(found.is_some(), page.is_known);
        if let Some(Eptp(eptp)) = found {
            prop_assert_eq!(eptp & !0xfff, root & !0xfff);
            prop_assert_eq!(eptp & 7, 6);
        }
    }

    /// T6, T13: any operand.
    #[test]
    fn operands_may_be_anything(
        kind in prop_oneof![0..4u64, any::<u64>()],
        vpid in word(),
        gva in any::<u64>(),
        kept in any::<u64>(),
        other in word(),
        this_cpu in any::<i32>(),
        last_cpu in any::<i32>(),
    ) {
        let scope = vpid_scope(kind, [vpid, gva], |gva| gva.is_canonical_with_48_bits());
        let top = gva as i64 >> 47;

        prop_assert!(scope.is_none() || vpid <= 0xffff);
        prop_assert_eq!(Gva(gva).is_canonical_with_48_bits(), top == 0 || top == -1);
        prop_assert_eq!(same_ept(kept, kept ^ other), other << 12 >> 24 == 0);
        let here = where_vpid02_is(this_cpu, last_cpu) == Where::Now;
        prop_assert_eq!(here, this_cpu == last_cpu);
    }

    /// R1 to R6: bits that no rule names make no difference. Of those that a rule names, every
    /// combination is tried in policy_tests.
    #[test]
    fn other_bits_of_control_registers_are_ignored(
        old in any::<u64>(),
        new in any::<u64>(),
        noise in any::<(u64, u64)>(),
        ept in any::<bool>(),
    ) {
        let cr0 = roles::CR0_ROLE;
        let cr4 = roles::CR4_ROLE | 1 << 7 | 1 << 17;
        let mix = |value: u64, noise: u64, named: u64| value & named | noise & !named;

        let (one, two) = (mix(old, noise.0, cr4), mix(new, noise.1, cr4));
        prop_assert_eq!(roles::cr4_request(old, new), roles::cr4_request(one, two));
        prop_assert_eq!(roles::cr4_context(old, new, ept), roles::cr4_context(one, two, ept));

        let (one, two) = (mix(old, noise.0, cr0), mix(new, noise.1, cr0));
        prop_assert_eq!(roles::cr0_request(old, new), roles::cr0_request(one, two));
        let looks = roles::cr0_looks_for_pages(old, new);
        prop_assert_eq!(looks, roles::cr0_looks_for_pages(one, two));
        // CR0.WP alone is told from WP and more. So the others must not differ.
        let (one, two) = (mix(old, noise.0, cr0), mix(new, noise.0, cr0));
        let context = roles::cr0_context(old & cr0, new & cr0, ept);
        prop_assert_eq!(context, roles::cr0_context(one, two, ept));
    }

    /// A4: any VPID.
    #[test]
    fn the_apic_access_page_is_flushed_for_vpid01(raw in any::<u16>(), single in any::<bool>()) {
        let caps = Caps::VPID.with(Caps::INVVPID_SINGLE, single);
        let found = turned_on(caps, Running::L2WithoutEpt, Vpid::new(raw));

        match found {
            Required::Now(done) => prop_assert_eq!(done.is_some(), raw != 0),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

/// Of each test.
const CASES: u32 = 100_000;
