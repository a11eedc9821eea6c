//! Adapters: one outside system each, and the index of objects that two of them keep.

pub mod clock;
pub mod directory;
pub mod kubernetes;
pub mod object_index;
