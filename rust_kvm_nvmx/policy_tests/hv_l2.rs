// SPDX-License-Identifier: GPL-2.0

//! E1, E2, E8, E11, E12, X8, X10: L2's flush hypercalls.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_hv_l2))]
mod tests {
    use crate::policy::{
        hv_call::{Control, Targets},
        hv_l2::{
            completion, is_target, l0_handles, lock_count_matters, pending_after_flush, Identity,
            Vmcall, EXIT_AFTER_FLUSH,
        },
    };

    const FLUSHES: [u16; 4] = [0x02, 0x03, 0x13, 0x14];

    #[test]
    fn e1_e2_l0_handles_flushes_alone_and_only_if_all_agree() {
        for code in 0..=u16::MAX {
            for bits in 0..8 {
                let call = Vmcall {
                    offered: bits & 1 != 0,
                    evmcs_enables: bits & 2 != 0,
                    assist_page_enables: bits & 4 != 0,
                };
                let all = bits == 7 && FLUSHES.contains(&code);
                let handled = l0_handles(&call, || Control(code.into()));
                check_eq!(handled, all, "{call:?}, {code:#x}");
            }
        }
    }

    #[test]
    fn e2_of_the_other_bits_only_is_nested_makes_a_flush_l1s() {
        let call = Vmcall {
            offered: true,
            evmcs_enables: true,
            assist_page_enables: true,
        };

        for code in FLUSHES {
            for bit in 16..32 {
                let control = Control(1 << bit | u32::from(code));
                check_eq!(l0_handles(&call, || control), bit != 31, "{control:?}");
            }
        }
    }

    #[test]
    fn e8_targets_are_those_of_the_same_machine_in_the_set() {
        for vm in [0, 1, u64::MAX] {
            for vp in 0..70 {
                let identity = Identity::Known { vm, vp };
                for sender in [0, 1, u64::MAX] {
                    assert_eq!(is_target(sender, &Targets::All, identity), sender == vm);
                    let one = Targets::Mask(1 << 3);
                    assert_eq!(is_target(sender, &one, identity), sender == vm && vp == 3);
                }
            }
        }
    }

    #[test]
    fn x8_whoever_cannot_be_told_is_flushed() {
        let empty = Targets::Sparse {
            valid: 0,
            banks: &[],
        };

        for targets in [Targets::All, Targets::Mask(1), empty] {
            assert!(is_target(7, &targets, Identity::Unknown));
        }
    }

    #[test]
    fn e11_the_lock_count_matters_after_l2s_successful_flush_alone() {
        for code in 0..=u16::MAX {
            for result in [0, 3, 4, 0xffff, 1 << 16, 5 << 32, 5 << 32 | 3] {
                for runs_l2 in [false, true] {
                    let success = result & 0xffff == 0;
                    let expected = runs_l2 && success && FLUSHES.contains(&code);
                    let control = || Control(code.into());
                    assert_eq!(lock_count_matters(result, runs_l2, control), expected);
                }
            }
        }
    }

    #[test]
    fn e11_an_unreadable_count_is_bad_input_and_a_lock_that_is_held_exits() {
        let result = 5 << 32;

        let end = completion(result, None);
        assert_eq!((end.result, end.exit_to_l1), (3, false));
        for count in [0, 1, 2, 1 << 31, u32::MAX] {
            let end = completion(result, Some(count));
            assert_eq!((end.result, end.exit_to_l1), (result, count != 0));
        }
    }

    #[test]
    fn e12_the_exits_reason() {
        assert_eq!(EXIT_AFTER_FLUSH, 0x1000_0031);
        // Neither a failed VM entry (bit 31) nor an exit from VMX root operation (bit 29).
        assert_eq!(EXIT_AFTER_FLUSH >> 29, 0);
    }

    #[test]
    fn x10_a_trap_is_pending_after_the_exit_and_a_fault_is_not() {
        const BD: u64 = 1 << 13;
        const BS: u64 = 1 << 14;

        for (queued, pending) in [
            (0, None),
            (BS, Some(BS)),
            (BS | 1, Some(BS | 1)),
            (BD, None),
            (BD | BS, Some(BS)),
        ] {
            assert_eq!(pending_after_flush(queued), pending);
        }
    }
}
