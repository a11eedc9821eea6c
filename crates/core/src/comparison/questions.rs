//! What a comparison asks: which metrics on which rows, and what each must show.

use super::holdout::Holdout;
use super::resampler::Measure;
use super::settings::{Method, Settings};
use super::statistics::Role;
use crate::metrics::Metric;

/// One metric on one scope and what it is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    pub(super) measure: Measure,
    pub(super) slice: Option<String>,
    pub(super) role: Role,
    /// Improvement to exceed (primary) or regression to exclude (guardrail).
    pub(super) margin: Option<f64>,
}

/// A metric that settings ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The metric.
    pub metric: Metric,
    /// The slice; all rows when absent.
    pub slice: Option<String>,
    /// What it is for.
    pub role: Role,
    /// Improvement to exceed (primary) or regression to exclude (guardrail).
    pub margin: Option<f64>,
}

/// The metrics that `settings` ask for, deciding ones first: those of the statistics that are measured by them, in their order.
#[must_use]
pub fn asked(settings: &Settings) -> Vec<Asked> {
    let on_all_rows = |metric, role, margin| Asked {
        metric,
        slice: None,
        role,
        margin,
    };
    if let Method::SeparateIntervals(separate) = &settings.method {
        return separate
            .metrics
            .iter()
            .map(|&metric| on_all_rows(metric, Role::Vote, None))
            .collect();
    }
    let primary = &settings.primary;
    let mut asked = vec![on_all_rows(
        primary.metric,
        Role::Primary,
        Some(primary.min_improvement),
    )];
    asked.extend(settings.guardrails.iter().map(|guardrail| Asked {
        metric: guardrail.metric,
        slice: guardrail.slice.clone(),
        role: Role::Guardrail,
        margin: Some(guardrail.max_regression),
    }));
    for &metric in &settings.observed {
        let is_new = |asked: &Asked| asked.metric != metric || asked.slice.is_some();
        if asked.iter().all(is_new) {
            asked.push(on_all_rows(metric, Role::Observed, None));
        }
    }
    asked
}

/// The questions of `settings`, deciding ones first; every slice they name exists.
pub(super) fn questions(holdout: &Holdout, settings: &Settings) -> Vec<Question> {
    let question = |asked: Asked| Question {
        measure: Measure {
            metric: asked.metric,
            slice: asked
                .slice
                .as_ref()
                .and_then(|name| holdout.slices.keys().position(|key| key == name)),
        },
        slice: asked.slice,
        role: asked.role,
        margin: asked.margin,
    };
    asked(settings).into_iter().map(question).collect()
}

impl Question {
    pub(super) fn metric(&self) -> Metric {
        self.measure.metric
    }
}
