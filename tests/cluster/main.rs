//! On a real API server with a real kubelet: the operator as a process under the chart's own rights, trials as pods.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../bed/mod.rs"]
mod bed;
#[path = "../contracts/cluster_laws.rs"]
mod cluster_laws;
#[path = "../fixtures/admission.rs"]
mod fixtures;
#[path = "../fixtures/ledger_of_model.rs"]
mod ledger_of_model;
#[path = "../fixtures/mlflow_accounts.rs"]
mod mlflow_accounts;
#[path = "../fixtures/mlflow_registry.rs"]
mod mlflow_registry;
#[path = "../contracts/runner_laws.rs"]
mod runner_laws;

mod admission;
mod announcements;
mod approvers;
mod attackers;
mod canaries;
mod clocks;
mod contracts;
mod credentials;
mod evaluation_faults;
mod evaluations;
mod evidence;
mod foreign;
mod inputs;
mod kinds;
mod looks;
mod of_chart;
mod operations;
mod outcomes;
mod people;
mod policies;
mod protected_runs;
mod publications;
mod reach;
mod registrations;
mod reports;
mod retraining;
mod runs;
mod searches;
mod secrets;
mod states;
mod story;
mod tracking;
mod unreachable;
mod waiting;
