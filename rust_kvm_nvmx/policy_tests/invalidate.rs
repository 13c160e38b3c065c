// SPDX-License-Identifier: GPL-2.0

//! T6 and T13.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_invalidate))]
mod tests {
    use crate::policy::{
        invalidate::{
            same_ept, vpid_scope, where_vpid02_is, VpidScope, Where, EPT_SINGLE, VPID_ADDRESS,
            VPID_ALL,
        },
        types::Gva,
    };

    const GVA: u64 = 0x7fff_1234_5678;

    #[test]
    fn t6_reserved_bits_and_vpid_0_are_refused() {
        for kind in 0..4 {
            for vpid in [1 << 16, 1 << 63, (1 << 16) | 1, u64::MAX] {
                check_eq!(
                    vpid_scope(kind, [vpid, GVA], |_| true),
                    None,
                    "{kind} {vpid:#x}"
                );
            }
            let zero = vpid_scope(kind, [0, GVA], |_| true);
            check_eq!(zero.is_some(), kind == 2, "type {kind}");
            for vpid in [1, 2, 0xffff] {
                check!(
                    vpid_scope(kind, [vpid, GVA], |_| true).is_some(),
                    "{kind} {vpid}"
                );
            }
        }
        assert_eq!((VPID_ADDRESS, VPID_ALL, EPT_SINGLE), (0, 2, 1));
    }

    #[test]
    fn t6_only_an_address_to_invalidate_has_to_be_canonical() {
        for kind in 0..4 {
            let scope = vpid_scope(kind, [1, GVA], |gva| {
                assert_eq!(gva, Gva(GVA));
                false
            });
            check_eq!(scope.is_none(), kind == 0, "type {kind}");
        }
    }

    #[test]
    fn t6_a_type_says_how_much_of_which_vpid() {
        let scope = |kind| vpid_scope(kind, [7, GVA], |_| true);
        assert_eq!(scope(0), Some(VpidScope::Address(7, Gva(GVA))));
        assert_eq!(scope(1), Some(VpidScope::Context(7)));
        assert_eq!(scope(2), Some(VpidScope::All));
        assert_eq!(scope(3), Some(VpidScope::Context(7)));
    }

    #[test]
    fn t6_all_contexts_names_each_vpid_and_the_other_types_one() {
        for named in [1, 2, 0x8001, u16::MAX] {
            for vpid12 in [1, 2, 0x8001, u16::MAX] {
                let same = named == vpid12;
                assert_eq!(VpidScope::Address(named, Gva(GVA)).names(vpid12), same);
                assert_eq!(VpidScope::Context(named).names(vpid12), same);
                assert!(VpidScope::All.names(vpid12));
            }
        }
    }

    #[test]
    fn t6_vpid02_is_flushed_where_vmcs02_was_loaded_last() {
        for this in 0..4 {
            for last in -1..4 {
                let expected = if last == this {
                    Where::Now
                } else {
                    Where::AtNextEntry
                };
                check_eq!(where_vpid02_is(this, last), expected, "{this} {last}");
            }
        }
    }

    #[test]
    fn t13_epts_are_told_apart_by_address_bits_51_to_12() {
        let eptp = 0x0000_1234_5678_901e;
        for bit in 0..64 {
            let same = !(12..52).contains(&bit);
            check_eq!(same_ept(eptp, eptp ^ (1 << bit)), same, "bit {bit}");
            check_eq!(same_ept(eptp ^ (1 << bit), eptp), same, "bit {bit}");
        }
    }
}
