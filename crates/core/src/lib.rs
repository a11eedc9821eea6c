//! The deciding half of Podium.

pub mod comparison;
pub mod expression;
pub mod metrics;
pub mod objective;
pub mod problem;
pub mod random;
pub mod report;
pub mod search;
pub mod space;
pub mod value;
