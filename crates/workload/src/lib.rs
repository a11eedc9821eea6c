//! The workload that ships with Podium: a weighted random forest, its scores, their comparison, and data to try it on.

pub mod atomic_file;
pub mod evaluate;
pub mod forest;
pub mod model_file;
pub mod predictions_file;
pub mod score;
pub mod simulate;
pub mod table;
pub mod train;
pub mod training_data;
