//! Runs the manifests of a directory on this machine, without a cluster.

pub mod manifests;
pub mod state;
