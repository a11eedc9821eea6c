//! Searches while the cluster, the way to it or other people disturb them. The tests of `outages` disturb the whole cluster.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../bed/mod.rs"]
mod bed;

mod anew;
mod answers;
mod disruptions;
mod foreign_writes;
mod isolation;
mod leadership;
mod outages;
mod watches;
mod webhooks;
