//! An MLflow server: its model registry, and the ledger that stands in one of its runs.

mod answer;
pub mod hosts;
mod ledger;
mod looks;
mod preflight;
pub mod registry;
pub mod server;
