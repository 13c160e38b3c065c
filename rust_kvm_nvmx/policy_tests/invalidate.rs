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
    fn t6_an_address_stays_an_address_and_the_rest_is_all_of_vpid02() {
        let address = vpid_scope(0, [1, GVA], |_| true);
        assert_eq!(address, Some(VpidScope::Address(Gva(GVA))));
        for kind in 1..4 {
            assert_eq!(
                vpid_scope(kind, [1, GVA], |_| true),
                Some(VpidScope::Context)
            );
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
