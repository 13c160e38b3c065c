// SPDX-License-Identifier: GPL-2.0

//! A2, A4 and X12.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_apic_access))]
mod tests {
    use crate::{
        policy::{
            apic_access::{
                address, l2_page_requires_flush, turned_on, Address, L2Page, Required, Running,
            },
            options::Options,
            types::{Caps, Invalidation, Vpid},
        },
        policy_tests::{all_caps, vpids},
    };

    #[test]
    fn a4_l1_flushes_its_own_context_later() {
        for caps in all_caps() {
            assert_eq!(
                turned_on(caps, Running::L1, Vpid::new(1)),
                Required::Request
            );
        }
    }

    /// A request would be handled in the wrong context.
    #[test]
    fn a4_under_l2_l1s_roots_are_flushed_at_once_with_ept() {
        for caps in all_caps().filter(|caps| caps.has(Caps::EPT)) {
            for vpid01 in vpids() {
                let current = turned_on(caps, Running::L2WithEpt, vpid01);
                let previous = turned_on(caps, Running::L2WithoutEpt, vpid01);

                check_eq!(current, Required::OfCurrentRoot, "{caps:?} {vpid01:?}");
                check_eq!(previous, Required::OfPreviousRoots, "{caps:?} {vpid01:?}");
            }
        }
    }

    #[test]
    fn a4_under_l2_vpid01_is_flushed_at_once_without_ept() {
        for caps in all_caps().filter(|caps| !caps.has(Caps::EPT)) {
            for vpid01 in vpids() {
                let expected = match vpid01 {
                    None => None,
                    Some(vpid) if caps.has(Caps::INVVPID_SINGLE) => {
                        Some(Invalidation::InvvpidSingle(vpid))
                    }
                    Some(_) => Some(Invalidation::InvvpidAll),
                };

                for running in [Running::L2WithEpt, Running::L2WithoutEpt] {
                    let done = turned_on(caps, running, vpid01);
                    check_eq!(done, Required::Now(expected), "{caps:?} {vpid01:?}");
                }
            }
        }
    }

    const PAGES: [Option<u64>; 4] = [None, Some(0), Some(1), Some(1 << 40)];

    /// X12, without EPT in L0: all that L2 has cached are linear mappings, which L1 invalidates.
    #[test]
    fn x12_an_l2_page_requires_a_flush_unless_the_last_l2_had_it() {
        for caps in all_caps() {
            for page in PAGES {
                for last in PAGES {
                    let requires = |options| {
                        let (page, last) = (L2Page::new(page), L2Page::new(last));

                        l2_page_requires_flush(caps, page, options, || last)
                    };
                    let exists = caps.has(Caps::EPT) && page.is_some();

                    check_eq!(
                        requires(Options::STOCK),
                        exists,
                        "{caps:?} {page:?} {last:?}"
                    );
                    check_eq!(
                        requires(Options::KNOW_L2_PAGE),
                        exists && page != last,
                        "{caps:?} {page:?} {last:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn x12_the_word_of_a_page_has_all_of_it() {
        for page in PAGES {
            let page = L2Page::new(page);

            assert_eq!(L2Page::from_bits(page.bits()), page);
        }
    }

    #[test]
    fn a2_an_address_that_may_be_old_is_not_written() {
        assert_eq!(address(true), Address::LookAgain);
        assert_eq!(address(false), Address::Write);
    }
}
