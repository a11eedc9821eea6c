//! The deciding half of Podium.

pub mod champion;
pub mod comparison;
pub mod evaluation;
pub mod expression;
pub mod leadership;
pub mod looks;
pub mod metrics;
pub(crate) mod normal;
pub mod objective;
pub mod problem;
pub mod random;
pub mod report;
pub mod retraining;
pub mod search;
pub mod significant;
pub mod space;
pub mod time;
pub mod tuning;
pub mod value;
