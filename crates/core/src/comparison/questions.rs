//! What a comparison asks: which metrics on which rows, and what each must show.

use super::holdout::Holdout;
use super::resampler::Measure;
use super::result::{Interval, Outcome, Role};
use super::settings::{Method, Settings};
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

    pub(super) fn decides(&self) -> bool {
        matches!(self.role, Role::Primary | Role::Guardrail)
    }

    /// The least improvement that the interval must exceed; below 0 for a guardrail.
    pub(super) fn bound(&self) -> f64 {
        match self.role {
            Role::Guardrail => -self.margin.unwrap_or(0.0),
            Role::Primary | Role::Observed | Role::Vote => self.margin.unwrap_or(0.0),
        }
    }

    /// `interval` of the difference turned so that larger is better.
    pub(super) fn improvement(&self, interval: Interval) -> Interval {
        if self.metric().higher_is_better() {
            interval
        } else {
            Interval {
                low: -interval.high,
                high: -interval.low,
            }
        }
    }

    /// What an interval of the difference shows.
    pub(super) fn outcome(&self, interval: Interval) -> Outcome {
        let Interval { low, high } = self.improvement(interval);
        match self.role {
            Role::Primary if low > self.bound() => Outcome::Better,
            Role::Primary if high < 0.0 => Outcome::Worse,
            Role::Guardrail if low > self.bound() => Outcome::NotWorse,
            Role::Guardrail if high < self.bound() => Outcome::Worse,
            Role::Observed | Role::Vote if low > 0.0 => Outcome::Better,
            Role::Observed | Role::Vote if high < 0.0 => Outcome::Worse,
            _ => Outcome::Inconclusive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(metric: Metric, role: Role, margin: f64, low: f64, high: f64) -> Outcome {
        let question = Question {
            measure: Measure {
                metric,
                slice: None,
            },
            slice: None,
            role,
            margin: Some(margin),
        };
        question.outcome(Interval { low, high })
    }

    #[test]
    fn intervals_and_margins_decide_by_the_table() {
        use Outcome::{Better, Inconclusive, NotWorse, Worse};
        let cases = [
            (Metric::RocAuc, Role::Primary, 0.0, 0.001, 0.02, Better),
            (Metric::RocAuc, Role::Primary, 0.0, 0.0, 0.02, Inconclusive),
            (
                Metric::RocAuc,
                Role::Primary,
                0.01,
                0.005,
                0.02,
                Inconclusive,
            ),
            (Metric::RocAuc, Role::Primary, 0.01, 0.011, 0.02, Better),
            (Metric::RocAuc, Role::Primary, 0.0, -0.02, -0.001, Worse),
            (Metric::LogLoss, Role::Primary, 0.0, -0.02, -0.001, Better),
            (Metric::LogLoss, Role::Primary, 0.0, 0.001, 0.02, Worse),
            (Metric::F1, Role::Guardrail, 0.01, -0.009, 0.0, NotWorse),
            (Metric::F1, Role::Guardrail, 0.01, -0.01, 0.0, Inconclusive),
            (Metric::F1, Role::Guardrail, 0.01, -0.03, -0.011, Worse),
            (Metric::Brier, Role::Guardrail, 0.01, 0.0, 0.009, NotWorse),
            (Metric::Brier, Role::Guardrail, 0.01, 0.011, 0.03, Worse),
        ];
        for (metric, role, margin, low, high, expected) in cases {
            let found = outcome(metric, role, margin, low, high);
            assert_eq!(
                found, expected,
                "{metric} {role:?} {margin} [{low}, {high}]"
            );
        }
    }
}
