//! Compares a challenger with the champion on one holdout and gives a verdict.
//!
//! Formulas and settings follow published work: Poisson bootstrap (Chamandy et al. 2012), DeLong's variance (DeLong et al. 1988) with
//! weights and clusters, Efron's BCa interval (1987), intersection-union tests (Berger 1982), Kish's effective sample size (1965).
//!
//! [`measure`] turns rows into [`Statistics`]; [`judge`] turns those into a [`Comparison`], given the error that is allowed.

mod boundary;
mod counts;
mod cross_check;
mod effective;
mod holdout;
mod intervals;
mod judge;
mod lanes;
mod measure;
mod measurement;
mod obstacle;
mod paired;
mod questions;
mod resampler;
mod result;
mod rows;
mod sentence;
mod separate;
mod settings;
mod statistics;
mod student;
#[cfg(test)]
mod tests;
mod warnings;

pub use holdout::{Holdout, Refusal};
pub use judge::judge;
pub use measure::measure;
pub use measurement::{Measurement, MeasurementComparison};
pub use questions::{Asked, asked};
pub use result::{
    Comparison, MetricComparison, MetricOutcome, NotComparableReason, Verdict, Warning,
};
pub use sentence::{Naming, sentence};
pub use settings::{
    Guardrail, IntervalKind, Method, Primary, SeparateIntervals, Settings, WeightRole,
};
pub use statistics::{Class, CrossCheck, Interval, MetricStatistics, Role, Statistics};

/// Compares two models on `holdout`, which nobody else uses: [`measure`], then [`judge`] at the error that the confidence of the
/// settings leaves, without measurements. Equal arguments give equal bits, on any number of threads.
///
/// # Errors
/// Rows or settings that cannot be used, each with its row number or field.
pub fn compare(holdout: &Holdout, settings: &Settings, seed: u64) -> Result<Comparison, Refusal> {
    let statistics = measure(holdout, settings, seed, &mut |_, _| {})?;
    Ok(judge(&statistics, &[], settings.one_sided_error()))
}
