//! Adapters: one outside system each.

pub mod clock;
pub mod directory;
pub mod kubernetes;
