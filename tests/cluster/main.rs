//! On a real API server with a real kubelet: the operator as a process under the chart's own rights, trials as pods.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../bed/mod.rs"]
mod bed;
#[path = "../fixtures/admission.rs"]
mod fixtures;

mod admission;
mod searches;
