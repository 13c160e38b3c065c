// SPDX-License-Identifier: GPL-2.0

//! The words that the rules are written in.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_types))]
mod tests {
    use crate::{
        policy::types::{Caps, Gva, Level},
        policy_tests::all_caps,
    };

    #[test]
    fn each_capability_is_one_of_its_own() {
        for (number, caps) in all_caps().enumerate() {
            assert_eq!(all_caps().position(|other| other == caps), Some(number));
        }
        assert!(all_caps().all(|caps| caps.has(Caps::NONE)));
        assert!(Caps::EPT.with(Caps::VPID, true).has(Caps::VPID));
        assert_eq!(Caps::EPT.with(Caps::EPT, true), Caps::EPT);
        assert!(!Caps::EPT.with(Caps::VPID, false).has(Caps::VPID));
        assert!(!Caps::EPT.has(Caps::EPT.with(Caps::VPID, true)));
    }

    #[test]
    fn canonical_addresses_with_48_bits_have_17_equal_bits_at_the_top() {
        for (gva, canonical) in [
            (0, true),
            (0x0000_7fff_ffff_ffff, true),
            (0x0000_8000_0000_0000, false),
            (0x00ff_ffff_ffff_ffff, false),
            (0xffff_7fff_ffff_ffff, false),
            (0xffff_8000_0000_0000, true),
            (u64::MAX, true),
        ] {
            check_eq!(Gva(gva).is_canonical_with_48_bits(), canonical, "{gva:#x}");
        }
        for bit in 47..64 {
            check!(!Gva(1 << bit).is_canonical_with_48_bits(), "bit {bit}");
            check!(!Gva(!(1 << bit)).is_canonical_with_48_bits(), "bit {bit}");
        }
    }

    #[test]
    fn l2_runs_or_l1_does_and_the_other_does_not() {
        assert_eq!(Level::running(true), Level::L2);
        assert_eq!(Level::running(false), Level::L1);
        assert_eq!(Level::L1.other(), Level::L2);
        assert_eq!(Level::L2.other(), Level::L1);
    }
}
