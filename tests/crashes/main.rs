//! The operator dies at every write of a search, before, while and after the API server carries it out. What comes out is what came
//! out of a search that nobody disturbed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../bed/mod.rs"]
mod bed;
#[path = "../fixtures/ledger_of_model.rs"]
mod ledger_of_model;
#[path = "../fixtures/mlflow_registry.rs"]
mod mlflow_registry;
mod outcome;
mod plans;
mod points;
mod promotions;
mod workloads;
