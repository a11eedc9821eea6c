//! The settings of a comparison.

use super::Problems;
use crate::champion_policy::{IntervalKind, Method, MetricName, SliceSpec, TestSpec, WeightRole};
use podium_core::comparison as core;
use podium_core::metrics::Metric;
use podium_core::problem::SpecProblem;

/// The settings of a comparison.
#[must_use]
pub fn comparison_settings(test: &TestSpec) -> core::Settings {
    let default = core::Settings::default();
    let resamples = test.resamples.map(super::count);
    let mut decision = default.decision;
    decision.threshold = test.threshold;
    core::Settings {
        method: match test.method {
            Method::PairedBootstrap => core::Method::PairedBootstrap,
            Method::SeparateIntervals => {
                let separate = core::SeparateIntervals::default();
                core::Method::SeparateIntervals(core::SeparateIntervals {
                    resamples: resamples.unwrap_or(separate.resamples),
                    fraction: test.fraction.unwrap_or(separate.fraction),
                    metrics: separate.metrics,
                })
            }
        },
        resamples: resamples.unwrap_or(default.resamples),
        confidence: test.confidence,
        interval: match test.interval {
            IntervalKind::NormalT => core::IntervalKind::NormalT,
            IntervalKind::Percentile => core::IntervalKind::Percentile,
            IntervalKind::Basic => core::IntervalKind::Basic,
            IntervalKind::BCa => core::IntervalKind::BCa,
        },
        weights: match test.weights {
            WeightRole::Importance => core::WeightRole::Importance,
            WeightRole::Frequency => core::WeightRole::Frequency,
            WeightRole::Class => core::WeightRole::Class,
            WeightRole::Balanced => core::WeightRole::Balanced,
        },
        decision,
        minimum_positives: f64::from(test.minimum_positives),
        primary: core::Primary {
            metric: metric(test.primary.metric),
            min_improvement: test.primary.min_improvement,
        },
        guardrails: test
            .guardrails
            .iter()
            .map(|guardrail| core::Guardrail {
                metric: metric(guardrail.metric),
                slice: guardrail.slice.clone(),
                max_regression: guardrail.max_regression,
            })
            .collect(),
        ..default
    }
}

/// What the schema cannot say of the settings.
pub(super) fn check(test: &TestSpec, slices: &[SliceSpec]) -> Result<(), Vec<SpecProblem>> {
    let mut problems = Problems::default();
    let separate = test.method == Method::SeparateIntervals;
    if !separate && test.fraction.is_some() {
        problems.add(
            "test.fraction",
            "may only be set when `method` is SeparateIntervals",
        );
    }
    if !separate && test.resamples.is_some_and(|resamples| resamples < 200) {
        problems.add(
            "test.resamples",
            "must be at least 200 when `method` is PairedBootstrap",
        );
    }
    for (position, guardrail) in test.guardrails.iter().enumerate() {
        let unknown = guardrail
            .slice
            .as_ref()
            .filter(|name| !slices.iter().any(|s| &s.name == *name));
        if let Some(name) = unknown {
            let message = format!("must name one of `evidence.slices`, not `{name}`");
            problems.add(&format!("test.guardrails[{position}].slice"), message);
        }
    }
    if problems.0.is_empty() {
        Ok(())
    } else {
        Err(problems.0)
    }
}

fn metric(name: MetricName) -> Metric {
    match name {
        MetricName::RocAuc => Metric::RocAuc,
        MetricName::AveragePrecision => Metric::AveragePrecision,
        MetricName::AreaUnderPr => Metric::AreaUnderPr,
        MetricName::Accuracy => Metric::Accuracy,
        MetricName::F1 => Metric::F1,
        MetricName::WeightedF1 => Metric::WeightedF1,
        MetricName::Precision => Metric::Precision,
        MetricName::Recall => Metric::Recall,
        MetricName::Mcc => Metric::Mcc,
        MetricName::LogLoss => Metric::LogLoss,
        MetricName::Brier => Metric::Brier,
        MetricName::Ks => Metric::Ks,
        MetricName::Cost => Metric::Cost,
    }
}
