// SPDX-License-Identifier: GPL-2.0

//! R1 to R6: every pair of values of the bits that matter, and of some that do not.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_roles))]
mod tests {
    use crate::policy::{
        roles::{cr0_context, cr0_looks_for_pages, cr0_request, cr4_context, cr4_request, Context},
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

    /// Each pair with EPT and without.
    fn changes(bits: &[u64]) -> impl Iterator<Item = (u64, u64, bool)> + '_ {
        pairs(bits).flat_map(|(old, new)| [false, true].map(|ept| (old, new, ept)))
    }

    // CD, which is in no role, stands for the rest.
    const CR0: [u64; 3] = [PG, WP, 1 << 30];
    // OSFXSR, which is in no role, stands for the rest.
    const CR4: [u64; 9] = [PSE, PAE, PGE, LA57, PCIDE, SMEP, SMAP, PKE, 1 << 9];

    #[test]
    fn r1_clearing_pg_flushes_and_nothing_else_of_cr0_does() {
        for (old, new, ept) in changes(&CR0) {
            let cleared = old & PG != 0 && new & PG == 0;
            check_eq!(
                cr0_request(old, new),
                cleared.then_some(Request::Guest),
                "{old:#x} {new:#x} {ept}"
            );
        }
    }

    #[test]
    fn r6_setting_pg_looks_for_pages() {
        for (old, new, ept) in changes(&CR0) {
            let set = old & PG == 0 && new & PG != 0;
            check_eq!(
                cr0_looks_for_pages(old, new),
                set,
                "{old:#x} {new:#x} {ept}"
            );
        }
    }

    #[test]
    fn r5_cr0_makes_a_new_context_for_a_new_role() {
        for (old, new, ept) in changes(&CR0) {
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
                cr0_context(old, new, ept),
                expected,
                "{old:#x} {new:#x} {ept}"
            );
        }
    }

    /// R2: what flushes all PCIDs.
    fn is_of_all_pcids(old: u64, new: u64) -> bool {
        (old ^ new) & PGE != 0 || (old & PCIDE != 0 && new & PCIDE == 0)
    }

    #[test]
    fn r2_pge_and_pcide_flush_all_pcids() {
        for (old, new, ept) in changes(&CR4) {
            let owed = cr4_request(old, new) == Some(Request::Guest);
            check_eq!(owed, is_of_all_pcids(old, new), "{old:#x} {new:#x} {ept}");
        }
    }

    #[test]
    fn r3_pae_and_smep_flush_the_current_pcid_where_r2_does_not() {
        for (old, new, ept) in changes(&CR4) {
            if is_of_all_pcids(old, new) {
                continue;
            }
            let flushes = (old ^ new) & PAE != 0 || (old & SMEP == 0 && new & SMEP != 0);
            let expected = if flushes {
                Some(Request::Current)
            } else {
                None
            };
            check_eq!(cr4_request(old, new), expected, "{old:#x} {new:#x} {ept}");
        }
    }

    fn is_of_another_role(old: u64, new: u64) -> bool {
        (old ^ new) & (PSE | PAE | LA57 | SMEP | SMAP | PKE) != 0
    }

    #[test]
    fn r4_pcids_switched_on_unload_the_shadow_roots() {
        for (old, new, ept) in changes(&CR4) {
            let on = old & PCIDE == 0 && new & PCIDE != 0;
            let freed = matches!(cr4_context(old, new, ept), Context::Unload | Context::Reset);
            let owed = on && !ept || is_of_another_role(old, new);
            check_eq!(freed, owed, "{old:#x} {new:#x} {ept}");
        }
    }

    #[test]
    fn r5_cr4_makes_a_new_context_for_a_new_role() {
        for (old, new, ept) in changes(&CR4) {
            let reset = cr4_context(old, new, ept) == Context::Reset;
            let owed = is_of_another_role(old, new);
            check_eq!(reset, owed, "{old:#x} {new:#x} {ept}");
        }
    }
}
