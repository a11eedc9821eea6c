//! The operator dies at every write of a search, of what is logged of it, of a registration, of a promotion, of its announcement, of a
//! comparison and of a request for a search, before, while and after it is carried out. What comes out is what came out when nobody
//! disturbed it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

mod announcements;
#[path = "../bed/mod.rs"]
mod bed;
mod evaluations;
#[path = "../fixtures/ledger_of_model.rs"]
mod ledger_of_model;
#[path = "../fixtures/mlflow_registry.rs"]
mod mlflow_registry;
mod outcome;
mod plans;
mod points;
mod promotions;
mod registrations;
mod retraining;
mod tracking;
mod workloads;
