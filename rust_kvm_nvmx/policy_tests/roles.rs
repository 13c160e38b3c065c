// SPDX-License-Identifier: GPL-2.0

//! R1 to R6: every pair of values of the bits that matter, and of some that do not.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_roles))]
mod tests {
    use crate::policy::{
        roles::{cr0, cr4, Context},
        types::Request,
    };

    const PG: u64 = 1 << 31;
    const WP: u64 = 1 << 16;
    const PSE: u64 = 1 << 4;
    const PAE: u64 = 1 << 5;
    const PGE: u64 = 1 << 7;
    const LA57: u64 = 1 << 12;
    const PCIDE: u64 = 1 << 17;
    const SMEP: u64 = 1 << 20;
    const SMAP: u64 = 1 << 21;
    const PKE: u64 = 1 << 22;

    /// Every combination of BITS.
    fn combinations(bits: &[u64]) -> impl Iterator<Item = u64> + '_ {
        (0..1u32 << bits.len()).map(|set| {
            bits.iter()
                .enumerate()
                .filter(|(number, _)| set >> number & 1 != 0)
                .fold(0, |value, (_, bit)| value | bit)
        })
    }

    fn pairs(bits: &[u64]) -> impl Iterator<Item = (u64, u64)> + '_ {
        combinations(bits).flat_map(|old| combinations(bits).map(move |new| (old, new)))
    }

    fn cr0_pairs() -> impl Iterator<Item = (u64, u64)> {
        // CD, which is in no role, stands for the rest.
        pairs(&[PG, WP, 1 << 30])
    }

    fn cr4_pairs() -> impl Iterator<Item = (u64, u64)> {
        // OSFXSR, which is in no role, stands for the rest.
        pairs(&[PSE, PAE, PGE, LA57, PCIDE, SMEP, SMAP, PKE, 1 << 9])
    }

    #[test]
    fn r1_clearing_pg_flushes_and_nothing_else_of_cr0_does() {
        for (old, new) in cr0_pairs() {
            for ept in [false, true] {
                let cleared = old & PG != 0 && new & PG == 0;
                check_eq!(cr0(old, new, ept).guest_flush, cleared, "{old:#x} {new:#x}");
            }
        }
    }

    #[test]
    fn r6_setting_pg_looks_for_pages() {
        for (old, new) in cr0_pairs() {
            let set = old & PG == 0 && new & PG != 0;
            check_eq!(cr0(old, new, true).look_for_pages, set, "{old:#x} {new:#x}");
        }
    }

    #[test]
    fn r5_cr0_makes_a_new_context_for_a_new_role() {
        for (old, new) in cr0_pairs() {
            for ept in [false, true] {
                let wp_alone = old ^ new == WP;
                let expected = if wp_alone && new & PG == 0 {
                    Context::Keep
                } else if wp_alone && ept {
                    Context::Reread
                } else if (old ^ new) & (PG | WP) != 0 {
                    Context::Reset
                } else {
                    Context::Keep
                };
                check_eq!(
                    cr0(old, new, ept).context,
                    expected,
                    "{old:#x} {new:#x} {ept}"
                );
            }
        }
    }

    #[test]
    fn r2_pge_and_pcide_flush_all_pcids() {
        for (old, new) in cr4_pairs() {
            let owed = cr4(old, new, true).request == Some(Request::Guest);
            let expected = (old ^ new) & PGE != 0 || (old & PCIDE != 0 && new & PCIDE == 0);
            check_eq!(owed, expected, "{old:#x} {new:#x}");
        }
    }

    #[test]
    fn r3_pae_and_smep_flush_the_current_pcid_where_r2_does_not() {
        for (old, new) in cr4_pairs() {
            let owed = cr4(old, new, false).request;
            let expected = (old ^ new) & PAE != 0 || (old & SMEP == 0 && new & SMEP != 0);
            if owed != Some(Request::Guest) {
                check_eq!(
                    owed == Some(Request::Current),
                    expected,
                    "{old:#x} {new:#x}"
                );
            }
        }
    }

    #[test]
    fn r4_pcids_switched_on_unload_the_shadow_roots() {
        for (old, new) in cr4_pairs() {
            let on = old & PCIDE == 0 && new & PCIDE != 0;
            check_eq!(cr4(old, new, false).unload, on, "{old:#x} {new:#x}");
            assert!(!cr4(old, new, true).unload);
        }
    }

    #[test]
    fn r5_cr4_makes_a_new_context_for_a_new_role() {
        for (old, new) in cr4_pairs() {
            let role = (old ^ new) & (PSE | PAE | LA57 | SMEP | SMAP | PKE) != 0;
            check_eq!(cr4(old, new, true).reset, role, "{old:#x} {new:#x}");
        }
    }
}
