// SPDX-License-Identifier: GPL-2.0

//! H1 to H5, H15, V23, V25 and X3.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_flush))]
mod tests {
    use crate::{
        policy::{
            flush::{
                address, all, context, current, current_vpid, each,
                l1_flush_concerns_running_guest, l1_flush_while_in_l2, All, OwnRoots,
            },
            options::Options,
            types::{Caps, Eptp, Gva, Invalidation, Root, Vpid},
        },
        policy_tests::{all_caps, vpids},
    };

    const ROOT: Eptp = Eptp(0x1234_5000 | 0x1e);

    /// What an invalidation drops, in the terms of the SDM: (this VPID's linear and combined
    /// mappings, this root's guest-physical mappings).
    fn drops(
        invalidation: Option<Invalidation>,
        vpid: Option<Vpid>,
        root: Option<Eptp>,
    ) -> (bool, bool) {
        match invalidation {
            None | Some(Invalidation::InvvpidAddress(..)) => (false, false),
            Some(Invalidation::InvvpidSingle(named)) => (Some(named) == vpid, false),
            Some(Invalidation::InvvpidAll) => (vpid.is_some(), false),
            Some(Invalidation::InveptSingle(named)) => (false, Some(named) == root),
            Some(Invalidation::InveptAll) => (false, root.is_some()),
        }
    }

    /// What C executes for H1 on a vCPU with these VPIDs.
    fn executed(
        caps: Caps,
        vpid01: Option<Vpid>,
        vpid02: Option<Vpid>,
    ) -> [Option<Invalidation>; 2] {
        match all(caps, Options::STOCK) {
            All::Nothing => [None, None],
            All::Once(invalidation) => [Some(invalidation), None],
            All::Each => [each(vpid01), each(vpid02)],
            All::OwnRoots => unreachable!(),
        }
    }

    #[test]
    fn h1_all_with_ept_is_one_global_invept_whatever_else_holds() {
        for caps in all_caps().filter(|caps| caps.has(Caps::EPT)) {
            for (vpid01, vpid02) in pairs() {
                check_eq!(
                    executed(caps, vpid01, vpid02),
                    [Some(Invalidation::InveptAll), None],
                    "{caps:?}"
                );
            }
        }
    }

    #[test]
    fn h1_all_without_ept_reaches_both_vpids_and_nothing_without_vpid() {
        for caps in all_caps().filter(|caps| !caps.has(Caps::EPT)) {
            for (vpid01, vpid02) in pairs() {
                let done = executed(caps, vpid01, vpid02);
                let reached = |vpid: Option<Vpid>| {
                    done.iter()
                        .any(|invalidation| drops(*invalidation, vpid, None).0)
                };

                check_eq!(
                    reached(vpid01),
                    caps.has(Caps::VPID) && vpid01.is_some(),
                    "{caps:?} {done:?}"
                );
                check_eq!(
                    reached(vpid02),
                    caps.has(Caps::VPID) && vpid02.is_some(),
                    "{caps:?} {done:?}"
                );
                let global = done.contains(&Some(Invalidation::InvvpidAll));
                check_eq!(
                    global,
                    caps.has(Caps::VPID) && caps.has(Caps::INVVPID_ALL),
                    "{caps:?} {done:?}"
                );
            }
        }
    }

    #[test]
    fn v25_own_roots_take_the_place_of_all_only_with_ept_and_single_invept() {
        for caps in all_caps() {
            let own = all(caps, Options::OWN_ROOTS);
            let can = caps.has(Caps::EPT) && caps.has(Caps::INVEPT_SINGLE);

            check_eq!(own == All::OwnRoots, can, "{caps:?}");
            check!(can || own == all(caps, Options::STOCK), "{caps:?}");
        }
    }

    /// What is executed for a vCPU with these roots: the pointers, and whether for all roots.
    fn of_own(roots: impl Iterator<Item = Root>) -> ([Option<Eptp>; 4], bool) {
        let mut own = OwnRoots::default();
        let mut single = [None; 4];
        let mut places = single.iter_mut();
        let mut all = false;

        roots.for_each(|root| own.add(root));
        own.for_each_required(|required| match required {
            Invalidation::InveptSingle(eptp) => *places.next().unwrap() = Some(eptp),
            Invalidation::InveptAll => all = true,
            other => panic!("{other:?}"),
        });
        (single, all)
    }

    /// All lists of six roots, of which each is of one of four kinds.
    #[test]
    fn v25_each_own_root_is_reached_with_no_more_than_it_must() {
        const LEN: u32 = 6;

        for list in 0..4u32.pow(LEN) {
            let root = |place: u32| match list >> (2 * place) & 3 {
                0 => Root::Invalid,
                1 => Root::EptUnknown,
                _ => Root::Ept(Eptp(u64::from(place) << 12 | 0x1e)),
            };
            let eptp = |place| match root(place) {
                Root::Ept(eptp) => Some(eptp),
                _ => None,
            };
            let number = (0..LEN).filter_map(eptp).count();
            let unknown = (0..LEN).any(|place| root(place) == Root::EptUnknown);

            let (single, all) = of_own((0..LEN).map(root));
            check_eq!(all, unknown || number > OwnRoots::MAX, "{list:#x}");
            if all {
                check_eq!(single, [None; 4], "{list:#x}");
            } else {
                let mut own = (0..LEN).filter_map(eptp);
                check_eq!(single, [(); 4].map(|()| own.next()), "{list:#x}");
            }
        }
        // A root that is not of EPT: more, never less.
        assert!(of_own([Root::Shadow].into_iter()).1);
    }

    #[test]
    fn h2_current_with_ept_reaches_the_root_with_no_more_than_it_must() {
        for caps in all_caps().filter(|caps| caps.has(Caps::EPT)) {
            for vpid in vpids() {
                let done = current(caps, Root::Ept(ROOT), || vpid);
                check!(drops(done, vpid, Some(ROOT)).1, "{caps:?} {done:?}");
                let single = done == Some(Invalidation::InveptSingle(ROOT));
                check_eq!(single, caps.has(Caps::INVEPT_SINGLE), "{caps:?} {done:?}");
                // No pointer can be built: more, never less.
                assert_eq!(
                    current(caps, Root::EptUnknown, || vpid),
                    Some(Invalidation::InveptAll)
                );
            }
        }
    }

    #[test]
    fn h2_current_without_ept_is_the_vpids_and_nothing_without_a_root() {
        for caps in all_caps() {
            for vpid in vpids() {
                assert_eq!(current(caps, Root::Invalid, || vpid), None);
                if !caps.has(Caps::EPT) {
                    let done = current(caps, Root::Shadow, || vpid);
                    check_eq!(
                        drops(done, vpid, None).0,
                        vpid.is_some(),
                        "{caps:?} {done:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn h3_address_is_exact_where_the_cpu_can_and_the_whole_context_where_not() {
        let gva = Gva(0xffff_8000_1234_5000);
        for caps in all_caps() {
            for vpid in vpids() {
                let done = address(caps, vpid, gva);
                match vpid {
                    None => check_eq!(done, None, "{caps:?}"),
                    Some(vpid) if caps.has(Caps::INVVPID_ADDRESS) => {
                        check_eq!(
                            done,
                            Some(Invalidation::InvvpidAddress(vpid, gva)),
                            "{caps:?}"
                        );
                    }
                    Some(_) => check!(drops(done, vpid, None).0, "{caps:?} {done:?}"),
                }
            }
        }
    }

    #[test]
    fn h4_h15_context_is_never_an_invept_and_names_the_vpid_where_the_cpu_can() {
        for caps in all_caps() {
            for vpid in vpids() {
                let done = context(caps, vpid);
                assert!(!matches!(
                    done,
                    Some(Invalidation::InveptAll | Invalidation::InveptSingle(_))
                ));
                check_eq!(
                    drops(done, vpid, None).0,
                    vpid.is_some(),
                    "{caps:?} {done:?}"
                );
                let single = matches!(done, Some(Invalidation::InvvpidSingle(_)));
                check_eq!(
                    single,
                    vpid.is_some() && caps.has(Caps::INVVPID_SINGLE),
                    "{caps:?} {done:?}"
                );
            }
        }
    }

    #[test]
    fn h5_l2_has_its_own_vpid_only_if_l1_gave_one_and_one_was_left() {
        for (vpid01, vpid02) in pairs() {
            assert_eq!(current_vpid(None, || vpid01, || vpid02), vpid01);
            assert_eq!(current_vpid(Some(false), || vpid01, || vpid02), vpid01);
            let expected = if vpid02.is_some() { vpid02 } else { vpid01 };
            assert_eq!(current_vpid(Some(true), || vpid01, || vpid02), expected);
        }
    }

    #[test]
    fn x3_l1s_own_translations_go_too_when_the_guest_flush_is_for_another_vpid() {
        for caps in all_caps() {
            for (vpid01, vpid02) in pairs() {
                for uses_vpid in [None, Some(false), Some(true)] {
                    let current = current_vpid(uses_vpid, || vpid01, || vpid02);
                    let beside = l1_flush_while_in_l2(caps, current, vpid01);
                    let dropped = drops(beside, vpid01, None).0
                        || drops(context(caps, current), vpid01, None).0;
                    check!(
                        dropped || vpid01.is_none(),
                        "{caps:?} {current:?} {vpid01:?}"
                    );
                    // Nothing twice: an L1 that runs, or shares its VPID, has its flush already.
                    assert!(current != vpid01 || beside.is_none());
                }
            }
        }
    }

    #[test]
    fn v23_l2s_translations_stay_only_if_they_have_a_vpid_and_nothing_is_to_be_synced() {
        for caps in all_caps() {
            for (vpid01, vpid02) in pairs() {
                for uses_vpid in [None, Some(false), Some(true)] {
                    let current = current_vpid(uses_vpid, || vpid01, || vpid02);
                    let concerns =
                        |options| l1_flush_concerns_running_guest(caps, current, vpid01, options);

                    // In C always.
                    assert!(concerns(Options::STOCK));
                    let own = current != vpid01;
                    let stays = own && caps.has(Caps::EPT);
                    check_eq!(concerns(Options::L1_FLUSH_ALONE), !stays, "{caps:?}");
                    // What is left then is all that L1's translations require.
                    let beside = l1_flush_while_in_l2(caps, current, vpid01);
                    check!(
                        !stays || vpid01.is_none() || drops(beside, vpid01, None).0,
                        "{caps:?} {current:?} {vpid01:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn vpid_0_is_no_vpid_and_every_other_is_itself() {
        assert_eq!(Vpid::new(0), None);
        for raw in 1..=u16::MAX {
            assert_eq!(Vpid::new(raw).map(Vpid::get), Some(raw));
        }
    }

    fn pairs() -> impl Iterator<Item = (Option<Vpid>, Option<Vpid>)> {
        vpids()
            .into_iter()
            .flat_map(|vpid01| vpids().map(|vpid02| (vpid01, vpid02)))
    }
}
