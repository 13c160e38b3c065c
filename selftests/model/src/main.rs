// SPDX-License-Identifier: GPL-2.0

//! Explores all configurations, then those without a rule, then the protocol for L2s at rest, and
//! prints what was found. Status 1: something is not as expected.
//!
//! - `--full`: all states. Otherwise as deep as each configuration says.
//! - `--config NAME`: this one alone, with the trace of a violation.
//! - `--out RULE`: that, without this rule.

use std::process::ExitCode;

use nvmx_model::{
    config::{
        Config,
        ALL, //
    },
    explore::{
        self,
        Found,
        Reach, //
    },
    removals::{
        Effect,
        REMOVALS, //
    },
    rules::Rule,
    words::Omission,
};

struct Args {
    reach: Reach,
    config: Option<&'static Config>,
    out: Option<Rule>,
}

const USAGE: &str = "usage: nvmx-model [--full] [--config NAME [--out RULE]]";

fn args() -> Result<Args, String> {
    let mut parsed = Args {
        reach: Reach::Quick,
        config: None,
        out: None,
    };
    let mut args = std::env::args().skip(1);

    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--full" => parsed.reach = Reach::Full,
            "--config" => {
                let name = args.next().ok_or(USAGE)?;
                parsed.config = ALL.iter().find(|config| config.name == name);
                parsed.config.ok_or_else(|| {
                    let names: Vec<_> = ALL.iter().map(|config| config.name).collect();
                    format!(
                        "no configuration {name}: it must be one of {}",
                        names.join(" ")
                    )
                })?;
            }
            "--out" => {
                let name = args.next().ok_or(USAGE)?;
                parsed.out = Rule::ALL
                    .iter()
                    .copied()
                    .find(|rule| format!("{rule:?}") == name);
                parsed.out.ok_or_else(|| {
                    let names: Vec<_> = Rule::ALL.iter().map(|rule| format!("{rule:?}")).collect();
                    format!("no rule {name}: it must be one of {}", names.join(" "))
                })?;
            }
            _ => return Err(USAGE.into()),
        }
    }
    if parsed.out.is_some() && parsed.config.is_none() {
        return Err(USAGE.into());
    }
    Ok(parsed)
}

/// How many things were not as expected.
fn explore_all(reach: Reach) -> usize {
    configurations(reach) + removals(reach) + protocol()
}

fn configurations(reach: Reach) -> usize {
    let mut unexpected = 0;

    println!("configuration     states  steps        time  result");
    for config in ALL {
        let found = explore::machine(config, None, reach);
        let result = match (&found.violation, config.known) {
            (None, None) => "no violation".into(),
            (Some(_), Some(known)) => format!("known violation, {known}"),
            (Some((violation, _)), None) => {
                unexpected += 1;
                format!("VIOLATION: {violation:?}")
            }
            (None, Some(known)) => {
                unexpected += 1;
                format!("NO VIOLATION ANY MORE: {known}")
            }
        };
        let bound = if found.complete { "all" } else { "..." };
        println!(
            "{:<14} {:>9}  {:>3} {bound}  {:>8.1} s  {result}",
            config.name,
            found.states,
            found.depth,
            found.time.as_secs_f64()
        );
        println!("    {}", config.about);
    }
    unexpected
}

fn removals(reach: Reach) -> usize {
    let mut unexpected = 0;

    println!("\nrule taken out  configuration  shortest trace");
    for removal in REMOVALS {
        let Some(config) = removal.config() else {
            println!("{:?}: NO SUCH CONFIGURATION", removal.rule);
            unexpected += 1;
            continue;
        };
        let found = explore::machine(config, Some(removal.rule), reach);
        let (result, expected) = match (removal.effect, found.steps()) {
            (Effect::Seen(expected), Some(steps)) => (format!("{steps} steps"), expected == steps),
            (Effect::Masked(why), None) => (format!("none, masked by {why}"), true),
            (Effect::Seen(_), None) => ("NONE".into(), false),
            (Effect::Masked(_), Some(steps)) => (format!("{steps} steps, NOT MASKED"), false),
        };
        unexpected += usize::from(!expected);
        let mark = if expected { "" } else { "  UNEXPECTED" };
        println!(
            "{:<15} {:<14} {result}{mark}",
            format!("{:?}", removal.rule),
            config.name
        );
        println!("    {}", removal.rule.text());
    }
    unexpected
}

fn protocol() -> usize {
    let found = explore::words(None);
    let mut unexpected = usize::from(found.violated.is_some() || !found.keeps);
    let keeps = if found.keeps {
        "translations are kept"
    } else {
        "TRANSLATIONS ARE NEVER KEPT"
    };

    println!(
        "\nprotocol for L2s at rest: {} states, {}, {keeps}",
        found.states,
        outcome(found.violated)
    );
    for &omission in Omission::ALL {
        let steps = explore::words(Some(omission)).violated;
        let expected = steps == Some(omission.steps());
        let mark = if expected { "" } else { "  UNEXPECTED" };
        println!("    {}: {}{mark}", omission.text(), outcome(steps));
        unexpected += usize::from(!expected);
    }
    unexpected
}

fn outcome(steps: Option<usize>) -> String {
    steps.map_or("no violation".into(), |steps| {
        format!("violated after {steps} steps")
    })
}

fn print(found: &Found) {
    println!("{} states, {} steps deep", found.states, found.depth);
    if let Some((violation, actions)) = &found.violation {
        for (step, action) in (1..).zip(actions) {
            println!("{step:>4}  {action:?}");
        }
        println!("{violation:?}");
    }
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let unexpected = match args.config {
        Some(config) => {
            let found = explore::machine(config, args.out, args.reach);
            print(&found);
            usize::from(found.violation.is_some())
        }
        None => explore_all(args.reach),
    };

    if args.config.is_none() {
        println!("\n{unexpected} unexpected");
    }
    ExitCode::from(u8::from(unexpected != 0))
}
