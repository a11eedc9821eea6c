//! Runs the manifests of a directory on this machine, without a cluster.

pub mod agenda;
pub mod evaluation_report;
pub mod evaluator;
mod foundations;
pub mod intake;
pub mod manifests;
pub mod object_cache;
mod owners;
pub mod ports;
pub mod removal;
pub mod requests;
pub mod scope;
pub mod session;
pub mod state;
mod state_file;
mod stored;
mod watch;

pub use crate::admission;
use std::path::{Path, PathBuf};

/// Where a local run keeps what it knows.
#[must_use]
pub fn state_root(directory: &Path) -> PathBuf {
    directory.join(".podium")
}
