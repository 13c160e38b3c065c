// SPDX-License-Identifier: GPL-2.0

//! What must hold of the rules' answer.

use crate::{
    c,
    call::{
        Call,
        REGISTERS, //
    },
    policy::{
        history::{
            word_of_all,
            word_of_one,
            CallWords,
            WORDS, //
        },
        hv_call::{
            self,
            Shape,
            Status,
            Targets, //
        },
        options::Options,
        tags::{
            Tag,
            Tags, //
        },
    },
    ranges, //
};

/// vCPUs that C knows of: the rest are no targets in C.
const C_VCPUS: u32 = 1024;
const PAGE: u64 = 4096;

/// Panics if the rules' answer to the call that `bytes` are is not right, with options or without.
pub fn judge(bytes: &[u8]) {
    let call = Call::from_bytes(bytes);

    judge_with(&call, Options::STOCK);
    judge_with(&call, Options::STOCK.with(Options::JOIN_RANGES, true));
}

fn judge_with(call: &Call, options: Options) {
    let mut buffer = call.words;
    let found = parse(call, &mut buffer, options);

    if !c::reaches_the_hook(call) {
        return;
    }
    let in_c = c::read(call);
    match found {
        Err(Status::InvalidAlignment) => assert!(!call.is_fast() && is_misplaced(call), "X5"),
        Err(Status::InvalidInput) => {
            let is_too_long = call.is_fast() && call.input_words() > REGISTERS as u64;
            assert!(is_too_long || in_c.is_err(), "C takes it");
        }
        Ok(found) => {
            let in_c = in_c.unwrap_or_else(|_| panic!("C refuses it"));
            judge_targets(call, &found.targets, &in_c);
            ranges::judge(call, &found, &in_c, options.has(Options::JOIN_RANGES));
            judge_counts(call.words[0], &found.targets);
            assert_eq!(
                hv_call::result_of_success(call.rep_cnt()) >> 32,
                u64::from(call.rep_cnt())
            );
        }
    }
}

/// As `hv_send.rs` does it. The words that are read are there, and no others.
fn parse<'a>(
    call: &Call,
    buffer: &'a mut [u64],
    options: Options,
) -> Result<hv_call::Call<'a>, Status> {
    let shape = Shape::new(call.code(), call.var_cnt(), call.rep_cnt())?;
    let len = shape.words_to_read();

    if call.is_fast() {
        shape.fits_registers()?;
        assert!(len <= REGISTERS, "past the registers");
    } else {
        shape.may_lie_at(call.gpa)?;
        assert!(!is_misplaced(call), "past the page");
        assert!(call.gpa % PAGE + 8 * len as u64 <= PAGE, "past the page");
    }
    assert!(len as u64 <= call.input_words(), "past the input");
    let words = buffer.get_mut(..len).expect("the buffer holds them");
    let (header, rest) = shape.split(words)?;

    shape.parse(header, rest, options)
}

/// X5.
fn is_misplaced(call: &Call) -> bool {
    call.gpa % 8 != 0 || call.gpa % PAGE + 8 * call.input_words() > PAGE
}

/// The same processors, but for X2: in calls with a set, C does not know the flag for all.
fn judge_targets(call: &Call, targets: &Targets<'_>, in_c: &c::Read) {
    let all = call.is_ex() && call.words[1] & 1 != 0;

    for vp in 0..C_VCPUS {
        assert_eq!(
            targets.contains(vp),
            all || in_c.names(vp),
            "processor {vp}"
        );
    }
    if *targets == Targets::All {
        return;
    }
    let mut seen = [0; 64];
    for vp in targets.indexes() {
        assert!(seen[vp / 64] & 1u64 << (vp % 64) == 0, "{vp} twice");
        seen[vp / 64] |= 1 << (vp % 64);
    }
    for (bank, seen) in (0..).zip(seen) {
        assert_eq!(targets.bank(bank), seen, "bank {bank}");
    }
}

/// V9, V22: each processor that is named is looked at and counted, under any VM's id.
fn judge_counts(vm: u64, targets: &Targets<'_>) {
    let tags = Tags::of(vm, targets);
    let looked_at = |tag| Tags::may_have(tags.as_ref(), || tag);
    let mut counted = [false; WORDS];

    for word in CallWords::of(vm, targets).numbers() {
        counted[word] = true;
    }
    assert!(looked_at(Tag::UNKNOWN));
    for vp in targets.indexes().map(|vp| vp as u32) {
        assert!(looked_at(Tag::of(vm, vp)), "the tag of {vp}");
        assert!(
            counted[word_of_one(vm, vp)] || counted[word_of_all(vm)],
            "the count of {vp}"
        );
    }
}
