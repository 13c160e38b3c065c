// SPDX-License-Identifier: GPL-2.0

//! What libFuzzer calls.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nvmx_parser_fuzz::judge(bytes));
