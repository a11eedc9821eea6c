//! An MLflow server: its model registry, and the ledger that stands in one of its runs.

mod address;
mod answer;
pub mod artifacts;
pub mod credentials;
mod experiments;
pub mod hosts;
mod ledger;
mod looks;
mod model_list;
mod preflight;
pub mod registry;
mod runs;
pub mod server;
pub mod tracking;
