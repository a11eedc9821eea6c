//! The shell of Podium: what the core decided is carried out here, in a cluster or on this machine.

pub mod adapters;
pub mod admission;
pub mod cli;
pub mod controllers;
pub mod engine;
pub mod local;
pub mod metrics;
pub mod ports;
mod regular_file;
pub mod report;
pub mod runs;
mod signals;
pub mod yaml;
