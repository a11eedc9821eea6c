//! All states of a small world.

use super::model::{Bounds, Scenario};
use super::scenarios;
use stateright::{Checker, HasDiscoveries, Model};
use std::io::Write;

/// Explores a scenario until something is wrong; what is wrong and what led there.
pub fn explore(scenario: Scenario) -> (usize, Option<(&'static str, String)>) {
    let checker = scenario
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::Any)
        .spawn_bfs()
        .join();
    let found = checker.discoveries().into_values().next().map(|path| {
        let violation = path.last_state().audit.violation.unwrap_or_default();
        let steps: Vec<String> = path
            .into_actions()
            .iter()
            .map(|step| format!("{step:?}"))
            .collect();
        (violation, steps.join(" "))
    });
    (checker.unique_state_count(), found)
}

/// Says how much was explored, whether or not the test fails: what the macros print is captured, and this is not.
fn tell(test: &str, scenario: &str, bounds: Bounds, states: usize) {
    let Bounds { events, faults } = bounds;
    let line = format!(
        "{test}: {states} states of `{scenario}`, events at most {events}, faults at most {faults}\n"
    );
    // Whether anybody reads it changes nothing.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Explores all of these; the number of states.
fn nothing_happens_that_must_not(
    test: &str,
    scenarios: impl IntoIterator<Item = Scenario>,
) -> usize {
    let mut states = 0;
    for scenario in scenarios {
        let (name, bounds) = (scenario.name, scenario.bounds);
        let (explored, found) = explore(scenario);
        tell(test, name, bounds, explored);
        assert_eq!(found, None, "{name}");
        states += explored;
    }
    states
}

#[test]
fn one_operator() {
    let events = Bounds {
        events: 2,
        faults: 0,
    };
    let faults = Bounds {
        events: 1,
        faults: 1,
    };
    let all = [events, faults].map(scenarios::all).into_iter().flatten();
    let states = nothing_happens_that_must_not("one_operator", all);
    assert!(states > 20_000, "only {states} states were explored");
}

/// Evidence that ages, files that change and Jobs that die between the comparison and the move.
#[test]
fn files_that_only_jobs_read() {
    let events = Bounds {
        events: 3,
        faults: 0,
    };
    let faults = Bounds {
        events: 2,
        faults: 1,
    };
    let judged = [events, faults].map(scenarios::judged_by_jobs);
    let from_the_start = scenarios::compared_by_jobs(Bounds {
        events: 1,
        faults: 1,
    });
    let all = judged.into_iter().flatten().chain([from_the_start]);
    let states = nothing_happens_that_must_not("files_that_only_jobs_read", all);
    assert!(states > 5_000, "only {states} states were explored");
}

#[test]
fn two_operators() {
    let bounds = Bounds {
        events: 1,
        faults: 2,
    };
    let all = scenarios::two_operators(bounds);
    let states = nothing_happens_that_must_not("two_operators", all);
    assert!(states > 80_000, "only {states} states were explored");
}
