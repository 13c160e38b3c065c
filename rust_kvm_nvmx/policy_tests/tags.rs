// SPDX-License-Identifier: GPL-2.0

//! V22: tags.

#[cfg_attr(CONFIG_KUNIT, kernel::prelude::kunit_tests(nvmx_tags))]
mod tests {
    use crate::policy::{
        hv_call::Targets,
        tags::{Tag, Tags},
    };

    fn looked_at(tags: &Option<Tags>, tag: Tag) -> bool {
        Tags::may_have(tags.as_ref(), || tag)
    }

    const VMS: [u64; 5] = [0, 1, 2, 0x1234_5678_9abc_def0, u64::MAX];

    #[test]
    fn v22_no_l2s_tag_says_that_it_is_unknown() {
        for vm in VMS {
            for vp in 0..5000 {
                check!(Tag::of(vm, vp) != Tag::UNKNOWN, "{vm:#x}, {vp}");
            }
        }
    }

    /// Of all sets that name up to 17 neighbours, in one bank or two.
    #[test]
    fn v22_each_target_and_each_unknown_vcpu_is_looked_at() {
        for vm in VMS {
            for first in (0..64).chain(4031..4079) {
                for len in 0..18 {
                    let bank = first / 64;
                    let bits = ((1 << len) - 1_u128) << (first % 64);
                    let banks = [bits as u64, (bits >> 64) as u64];
                    let targets = Targets::Sparse {
                        valid: 3_u64.wrapping_shl(bank),
                        banks: if bank == 63 { &banks[..1] } else { &banks },
                    };
                    let tags = Tags::of(vm, &targets);

                    check!(looked_at(&tags, Tag::UNKNOWN), "{targets:?}");
                    for vp in first..first + len {
                        let as_it_must = !targets.contains(vp) || looked_at(&tags, Tag::of(vm, vp));
                        check!(as_it_must, "{vm:#x}, {vp}, {targets:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn v22_all_are_looked_at_for_a_call_to_all() {
        let tags = Tags::of(7, &Targets::All);

        for tag in 0..=u8::MAX {
            assert!(looked_at(&tags, Tag(tag)));
        }
    }

    /// Otherwise it would be of no use.
    #[test]
    fn v22_of_64_neighbours_two_are_looked_at() {
        for vm in VMS {
            for vp in 0..63 {
                let tags = Tags::of(vm, &Targets::Mask(3 << vp));
                let found = (0..64).filter(|&other| looked_at(&tags, Tag::of(vm, other)));

                check!(found.count() <= 3, "{vm:#x}, {vp}");
            }
        }
    }

    #[test]
    fn v22_targets_are_hashed_only_for_more_than_four_vcpus() {
        for vcpus in 0..70 {
            let mut hashed = false;
            let tags = Tags::if_worth_it(vcpus, || {
                hashed = true;
                Tags::of(7, &Targets::Mask(1))
            });

            check_eq!(hashed, vcpus > 4, "{vcpus}");
            let all = (0..=u8::MAX).all(|tag| looked_at(&tags, Tag(tag)));
            check_eq!(all, !hashed, "{vcpus}");
        }
    }
}
