// SPDX-License-Identifier: GPL-2.0

//! Explores a configuration, or one without a rule.

use std::time::{
    Duration,
    Instant, //
};

use stateright::{
    Checker,
    Model, //
};

use crate::{
    config::Config,
    machine::{
        Action,
        Machine,
        Violation, //
    },
    rules::Rule,
    words::{
        Omission,
        Protocol, //
    },
};

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As deep as the configuration says, for a test that is run often.
    Quick,
    /// All states.
    Full,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    pub states: usize,
    pub depth: usize,
    /// Nothing was left out.
    pub complete: bool,
    pub time: Duration,
    pub violation: Option<(Violation, Vec<Action>)>,
}

impl Found {
    /// How many steps the shortest trace has.
    pub fn steps(&self) -> Option<usize> {
        self.violation.as_ref().map(|(_, actions)| actions.len())
    }
}

/// One thread explores breadth first, so a trace that is found is a shortest one.
pub fn machine(config: &Config, out: Option<Rule>, reach: Reach) -> Found {
    let start = Instant::now();
    let mut machine = Machine::new(*config);
    machine.rules.out = out;

    let mut builder = machine.checker().threads(1);
    if reach == Reach::Quick && config.quick != 0 {
        builder = builder.target_max_depth(config.quick);
    }
    let checker = builder.spawn_bfs().join();
    let violation = checker.discoveries().into_values().next().and_then(|path| {
        let violation = machine.violation(path.last_state())?;
        Some((violation, path.into_actions()))
    });
    let depth = checker.max_depth();

    Found {
        states: checker.unique_state_count(),
        depth,
        complete: reach == Reach::Full || config.quick == 0 || depth < config.quick,
        time: start.elapsed(),
        violation,
    }
}

/// What was found of the protocol for L2s at rest.
#[derive(Clone, Copy, Debug)]
pub struct FoundOfWords {
    pub states: usize,
    /// How many steps the shortest trace to a violation has.
    pub violated: Option<usize>,
    /// An L2 sometimes keeps its translations, as it should.
    pub keeps: bool,
}

/// The protocol for L2s at rest, perhaps less a part.
pub fn words(omission: Option<Omission>) -> FoundOfWords {
    let checker = Protocol {
        calls: 2,
        switches: 3,
        omission,
    }
    .checker()
    .threads(1)
    .spawn_bfs()
    .join();

    FoundOfWords {
        states: checker.unique_state_count(),
        violated: checker
            .discovery(Protocol::STALE)
            .map(|path| path.into_actions().len()),
        keeps: checker.discovery(Protocol::KEPT).is_some(),
    }
}
