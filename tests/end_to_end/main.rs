//! The program as people start it: whole runs, faults, and bad input.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

mod bad_files;
mod bad_manifests;
mod bad_trials;
mod commands;
mod data;
mod evidence;
mod faults;
mod fields;
mod fraud;
mod isolation;
#[path = "../fixtures/leaves.rs"]
mod leaves;
mod leftovers;
mod many_trials;
#[path = "../fixtures/merge_patch.rs"]
mod merge_patch;
mod objects;
mod policies;
mod printing;
mod project;
mod reports;
mod retraining;
mod search_settings;
mod searches;
mod stories;
mod templates;
