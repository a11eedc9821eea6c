//! Receivers of notifications: where messages may go, how they are signed and sent.

pub mod post;
pub mod signature;
pub mod target;
pub mod turns;
