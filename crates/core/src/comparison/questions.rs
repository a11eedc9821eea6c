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

/// The questions of `settings`, deciding ones first; every slice they name exists.
pub(super) fn questions(holdout: &Holdout, settings: &Settings) -> Vec<Question> {
    let on_all_rows = |metric, role, margin| Question {
        measure: Measure {
            metric,
            slice: None,
        },
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
    let mut questions = vec![on_all_rows(
        primary.metric,
        Role::Primary,
        Some(primary.min_improvement),
    )];
    questions.extend(settings.guardrails.iter().map(|guardrail| {
        Question {
            measure: Measure {
                metric: guardrail.metric,
                slice: guardrail
                    .slice
                    .as_ref()
                    .and_then(|name| holdout.slices.keys().position(|key| key == name)),
            },
            slice: guardrail.slice.clone(),
            role: Role::Guardrail,
            margin: Some(guardrail.max_regression),
        }
    }));
    for &metric in &settings.observed {
        let asked = Measure {
            metric,
            slice: None,
        };
        if questions.iter().all(|question| question.measure != asked) {
            questions.push(on_all_rows(metric, Role::Observed, None));
        }
    }
    questions
}

impl Question {
    pub(super) fn metric(&self) -> Metric {
        self.measure.metric
    }
}
