//! A model registry and an object store in directories of this machine, for `podium run`.

pub mod file_digests;
mod ledger;
pub mod registry;
pub mod store;
mod version_files;
