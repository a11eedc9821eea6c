//! What runs inside pods and local processes: training, scoring, comparing, simulated data.

pub mod forest;
pub mod table;
