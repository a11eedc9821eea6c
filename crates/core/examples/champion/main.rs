//! Explores the champion's state machine: `champion check [EVENTS [FAULTS]]` prints what was explored and what was found,
//! `champion explore [SCENARIO]` shows it in a browser at 127.0.0.1:3000.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A tool for developers, not a product.

mod comparisons;
mod jobs;
mod model;
mod operators;
mod oracle;
mod people;
mod scenarios;
mod wishes;
mod world;

use model::Bounds;
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |position: usize, default: u8| {
        arguments
            .get(position)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    match arguments.first().map(String::as_str) {
        Some("explore") => explore(arguments.get(1).map(String::as_str)),
        Some("check") => check(Bounds {
            events: number(1, 2),
            faults: number(2, 1),
        }),
        _ => {
            eprintln!("usage: champion check [EVENTS [FAULTS]] | champion explore [SCENARIO]");
            std::process::exit(2);
        }
    }
}

fn check(bounds: Bounds) {
    println!(
        "at most {} events and {} faults",
        bounds.events, bounds.faults
    );
    let mut wrong = false;
    for scenario in scenarios::everywhere(bounds) {
        let (name, began) = (scenario.name, Instant::now());
        let checker = scenario
            .checker()
            .threads(1)
            .finish_when(HasDiscoveries::Any)
            .spawn_bfs()
            .join();
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{name}: {} states in {seconds:.1} s",
            checker.unique_state_count()
        );
        for (_, path) in checker.discoveries() {
            wrong = true;
            let last = path.last_state().audit.violation.unwrap_or_default();
            println!("  {last}, after:");
            for transition in path.into_actions() {
                println!("    {transition:?}");
            }
        }
    }
    assert!(!wrong, "something happened that must not");
}

fn explore(name: Option<&str>) {
    let name = name.unwrap_or("automatic");
    let bounds = Bounds {
        events: 2,
        faults: 1,
    };
    let scenario = scenarios::everywhere(bounds)
        .into_iter()
        .find(|scenario| scenario.name == name);
    let scenario = scenario.unwrap_or_else(|| panic!("there is no scenario `{name}`"));
    println!("http://127.0.0.1:3000 shows `{name}`");
    let _ = scenario.checker().serve("127.0.0.1:3000");
}
