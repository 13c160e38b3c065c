// SPDX-License-Identifier: GPL-2.0

//! H6.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_eptp))]
mod tests {
    use crate::policy::{
        eptp::{of_root, RootPage},
        types::Eptp,
    };

    const ROOT: u64 = 0x000f_ffff_ffff_f000;

    #[test]
    fn h6_pointers_are_those_of_the_sdm() {
        // Write-back (6), 4 levels (3 << 3): 0x1e; 5 levels (4 << 3): 0x26; accessed and dirty:
        // 0x40.
        for (page, ad_enabled, low) in [
            (DUMMY, false, 0x1e),
            (DUMMY, true, 0x1e),
            (table(4, false), false, 0x1e),
            (table(4, false), true, 0x5e),
            (table(4, true), false, 0x1e),
            (table(4, true), true, 0x1e),
            (table(5, false), false, 0x26),
            (table(5, false), true, 0x66),
            (table(5, true), false, 0x26),
            (table(5, true), true, 0x26),
        ] {
            check_eq!(
                of_root(ROOT, page, ad_enabled),
                Some(Eptp(ROOT | low)),
                "{page:?} {ad_enabled}"
            );
            check_eq!(
                of_root(0, page, ad_enabled),
                Some(Eptp(low)),
                "{page:?} {ad_enabled}"
            );
        }
    }

    #[test]
    fn h6_an_unknown_page_has_no_pointer() {
        for bits in 0..8 {
            let page = RootPage {
                is_known: false,
                has_five_levels: bits & 1 != 0,
                may_have_ad: bits & 2 != 0,
            };
            assert_eq!(of_root(ROOT, page, bits & 4 != 0), None);
        }
    }

    const DUMMY: RootPage = table(4, true);

    const fn table(level: u32, ad_disabled: bool) -> RootPage {
        RootPage {
            is_known: true,
            has_five_levels: level == 5,
            may_have_ad: !ad_disabled,
        }
    }
}
