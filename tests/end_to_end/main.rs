//! The program as people start it: whole runs, faults, and bad input.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

mod bad_files;
mod bad_manifests;
mod bad_trials;
mod commands;
mod evidence;
mod faults;
mod fraud;
mod isolation;
mod many_trials;
mod policies;
mod printing;
mod project;
