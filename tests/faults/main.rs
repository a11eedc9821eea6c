//! Searches while the cluster, the way to it or other people disturb them. Some of it disturbs the whole cluster: one test at a time.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../bed/mod.rs"]
mod bed;

mod anew;
mod answers;
mod control_plane;
mod foreign_writes;
mod isolation;
mod leadership;
mod node;
