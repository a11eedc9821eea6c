//! All states of a small world.

use super::model::{Bounds, Scenario};
use super::scenarios::{all, two_operators};
use stateright::{Checker, HasDiscoveries, Model};

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

#[test]
fn nothing_happens_that_must_not() {
    let bounds = Bounds {
        events: 2,
        faults: 0,
    };
    let faults = Bounds {
        events: 1,
        faults: 1,
    };
    let operators = Bounds {
        events: 1,
        faults: 2,
    };
    let mut states = 0;
    let scenarios = all(bounds).into_iter().chain(all(faults));
    for scenario in scenarios.chain(two_operators(operators)) {
        let (name, bounds) = (scenario.name, scenario.bounds);
        let (explored, found) = explore(scenario);
        println!("{name}: {explored} states with {bounds:?}");
        assert_eq!(found, None, "{name}");
        states += explored;
    }
    println!("{states} states in all");
    assert!(states > 100_000, "only {states} states were explored");
}
