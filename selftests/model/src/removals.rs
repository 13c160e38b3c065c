// SPDX-License-Identifier: GPL-2.0

//! What happens without each rule.

use crate::{
    config::{
        Config,
        ALL, //
    },
    rules::Rule,
};

/// What the model finds without a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A violation; its shortest trace has so many steps.
    Seen(usize),
    /// None, because of this.
    Masked(&'static str),
}

/// A rule that is taken out of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    pub rule: Rule,
    config: &'static str,
    pub effect: Effect,
}

impl Removal {
    pub fn config(&self) -> Option<&'static Config> {
        ALL.iter().find(|config| config.name == self.config)
    }
}

const fn seen(rule: Rule, config: &'static str, steps: usize) -> Removal {
    Removal {
        rule,
        config,
        effect: Effect::Seen(steps),
    }
}

const fn masked(rule: Rule, config: &'static str, why: &'static str) -> Removal {
    Removal {
        rule,
        config,
        effect: Effect::Masked(why),
    }
}

/// Each rule once or more.
pub const REMOVALS: &[Removal] = &[
    seen(Rule::H1, "pairs-cpus", 10),
    seen(Rule::H2, "ept", 9),
    seen(Rule::H4, "pairs", 3),
    seen(Rule::H5, "pairs", 5),
    seen(Rule::H8, "hyperv", 26),
    seen(Rule::H9, "pairs-cpus", 10),
    seen(Rule::H10, "ept", 9),
    seen(Rule::H14, "exits", 7),
    seen(Rule::T1, "hyperv", 26),
    seen(Rule::T2Entry, "pairs", 6),
    seen(Rule::T2Exit, "pairs", 5),
    seen(Rule::T4, "stock", 7),
    seen(Rule::T4, "pairs", 9),
    seen(Rule::T5, "no-tag", 5),
    seen(Rule::T6, "pairs", 9),
    masked(
        Rule::T6OtherCpu,
        "stock",
        "H9: L2 runs on a CPU only after vmcs02 was loaded there anew",
    ),
    seen(Rule::T8, "pairs", 7),
    masked(
        Rule::T9Before,
        "pairs",
        "H16: no request is left when L1 executes VMLAUNCH; it is for RSM and restored state",
    ),
    seen(Rule::T9After, "pairs", 11),
    seen(Rule::T10, "pairs", 8),
    seen(Rule::T11, "vmfunc", 7),
    masked(
        Rule::T12,
        "recycle",
        "H9: vmcs02 is new, so its first load flushes everything",
    ),
    seen(Rule::T13, "ept", 9),
    seen(Rule::E8, "hyperv", 19),
    seen(Rule::E10, "hyperv", 16),
    seen(Rule::E16, "exits", 5),
    seen(Rule::X3, "exits", 11),
    seen(Rule::X6Ids, "hyperv", 31),
    seen(Rule::X6NoVpid, "hyperv", 44),
    seen(Rule::X8, "restored", 10),
    seen(Rule::X9, "hyperv-no-ept", 34),
    seen(Rule::X11, "one-vmcs", 7),
    seen(Rule::V1, "pairs", 9),
    seen(Rule::V2, "pairs", 11),
    masked(
        Rule::V3,
        "pairs",
        "T8: VPID is no shadowed field, so whatever changes vmcs12's makes it dirty",
    ),
    seen(Rule::V4, "recycle", 18),
    seen(Rule::V4Take, "pairs", 9),
    seen(Rule::V5, "pairs", 11),
    masked(
        Rule::V5OtherCpu,
        "pairs-cpus",
        "H9: L2 runs on a CPU only after vmcs02 was loaded there anew",
    ),
    seen(Rule::V6, "pairs-cpus", 16),
    seen(Rule::V7, "no-ept-host", 14),
    seen(Rule::V13, "recycle", 17),
    seen(Rule::V14Flush, "hooks", 16),
    seen(Rule::V14Order, "hooks", 13),
    seen(Rule::V14Exits, "rest-hooks", 47),
    seen(Rule::V16, "no-ept", 5),
    seen(Rule::V16NoVpid02, "exits-no-vpid02", 9),
    seen(Rule::V18, "ept-pairs", 10),
    seen(Rule::V19, "hooks-pairs", 28),
    seen(Rule::V23, "exits", 6),
    seen(Rule::V25Kept, "own-roots", 15),
    seen(Rule::V25Other, "own-roots", 9),
    seen(Rule::V8, "rest", 49),
    seen(Rule::V9, "rest", 46),
    seen(Rule::V9UnderWay, "rest", 46),
    seen(Rule::V10, "rest", 32),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::{
        self,
        Reach, //
    };

    #[test]
    fn each_rule_is_taken_out() {
        for rule in Rule::ALL {
            assert!(
                REMOVALS.iter().any(|removal| removal.rule == *rule),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn removals_are_noticed() {
        for removal in REMOVALS {
            let config = removal.config().expect(removal.config);
            let steps = match removal.effect {
                Effect::Seen(steps) => Some(steps),
                Effect::Masked(_) => None,
            };
            let found = explore::machine(config, Some(removal.rule), Reach::Quick);
            assert_eq!(
                found.steps(),
                steps,
                "{:?} in {}",
                removal.rule,
                config.name
            );
        }
    }

    #[test]
    fn configurations_hold() {
        for config in ALL {
            let found = explore::machine(config, None, Reach::Quick);
            assert_eq!(
                found.violation.is_some(),
                config.known.is_some(),
                "{}",
                config.name
            );
        }
    }
}
