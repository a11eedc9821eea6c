//! The champion's state machine: explored in all states of a small world, and followed through long random histories.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code
)] // A test speaks by failing.

#[path = "../../examples/champion/comparisons.rs"]
mod comparisons;
#[path = "../../examples/champion/jobs.rs"]
mod jobs;
#[path = "../../examples/champion/model.rs"]
mod model;
#[path = "../../examples/champion/operators.rs"]
mod operators;
#[path = "../../examples/champion/oracle.rs"]
mod oracle;
#[path = "../../examples/champion/people.rs"]
mod people;
#[path = "../../examples/champion/scenarios.rs"]
mod scenarios;
#[path = "../../examples/champion/wishes.rs"]
mod wishes;
#[path = "../../examples/champion/world.rs"]
mod world;

mod evidence_mutants;
mod evidence_rules;
mod exploration;
mod histories;
mod ledger_rules;
mod mutants;
mod operator_mutants;
mod people_rules;
mod rules;
mod waiting_rules;
