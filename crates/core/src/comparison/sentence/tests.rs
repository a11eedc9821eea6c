//! Sentences word for word.

use super::super::tests::{self, errors};
use super::super::{Guardrail, Measurement, Settings, compare, judge};
use super::*;
use crate::looks::Spending;
use crate::metrics::Metric;

/// The sentence on simulated rows whose interesting numbers are set by hand.
fn text(change: impl Fn(&mut Comparison)) -> String {
    text_of_look(None, change)
}

/// The same of a look at its holdout.
fn text_of_look(look: Option<u32>, change: impl Fn(&mut Comparison)) -> String {
    let settings = Settings {
        resamples: 64,
        guardrails: vec![Guardrail {
            metric: Metric::WeightedF1,
            slice: None,
            max_regression: 0.01,
        }],
        ..Settings::default()
    };
    let mut comparison =
        compare(&tests::simulated(2_000, 0.2, [1.0, 0.8], 1), &settings, 1).unwrap();
    comparison.statistics.rows = 67_080;
    comparison.verdict = Verdict::Superior;
    comparison.minimum_detectable_effect = Some(0.0111);
    set(
        &mut comparison.metrics[0],
        0.0112,
        (0.0034, 0.019),
        MetricOutcome::Better,
    );
    set(
        &mut comparison.metrics[1],
        0.000_21,
        (-0.001, 0.0014),
        MetricOutcome::NotWorse,
    );
    change(&mut comparison);
    sentence(
        &comparison,
        &Naming {
            champion: "v1",
            challenger: "v2",
            rows: "transactions",
            look,
        },
    )
}

fn set(
    metric: &mut MetricComparison,
    difference: f64,
    interval: (f64, f64),
    outcome: MetricOutcome,
) {
    metric.difference = Some(difference);
    metric.low = Some(interval.0);
    metric.high = Some(interval.1);
    metric.outcome = outcome;
}

#[test]
fn every_verdict_is_one_plain_sentence() {
    assert_eq!(
        text(|_| {}),
        "v2 raises ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions; weighted F1 is not worse than allowed."
    );
    assert_eq!(
        text(|comparison| {
            comparison.metrics[0].metric = Metric::LogLoss;
            set(
                &mut comparison.metrics[0],
                -0.02,
                (-0.03, -0.01),
                MetricOutcome::Better,
            );
            comparison.metrics.truncate(1);
        }),
        "v2 lowers log loss by 0.0200 (95% interval 0.0100 to 0.0300) on 67,080 transactions."
    );
    assert_eq!(
        text(|comparison| {
            comparison.verdict = Verdict::Inconclusive;
            set(
                &mut comparison.metrics[0],
                0.0012,
                (-0.0045, 0.0069),
                MetricOutcome::Inconclusive,
            );
        }),
        "v2 was not shown to raise ROC AUC: the difference is 0.0012 (95% interval -0.0045 to 0.0069) on 67,080 transactions, \
         where a true rise of 0.0111 would be found four times in five."
    );
    assert_eq!(
        text(|comparison| {
            comparison.verdict = Verdict::Inconclusive;
            set(
                &mut comparison.metrics[1],
                -0.004,
                (-0.015, 0.007),
                MetricOutcome::Inconclusive,
            );
            comparison.metrics[1].slice = Some("night".to_owned());
        }),
        "v2 raises ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions; weighted F1 in slice `night` may be worse \
         than allowed: the difference is -0.0040 (95% interval -0.0150 to 0.0070), and a fall of less than 0.0100 is allowed."
    );
    assert_eq!(
        text(|comparison| {
            comparison.verdict = Verdict::Inferior;
            set(
                &mut comparison.metrics[0],
                -0.0112,
                (-0.019, -0.0034),
                MetricOutcome::Worse,
            );
        }),
        "v2 lowers ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions."
    );
    assert_eq!(
        text(|comparison| {
            comparison.verdict = Verdict::NotComparable {
                reason: NotComparableReason::InsufficientData {
                    class: Class::Positive,
                    slice: None,
                    effective: 49.98,
                    needed: 50.0,
                },
            };
        }),
        "v2 could not be compared with v1: 67,080 transactions hold 49.9 effective positive rows, and 50 are needed."
    );
    // The number of all rows says nothing of a slice.
    assert_eq!(
        text(|comparison| {
            comparison.verdict = Verdict::NotComparable {
                reason: NotComparableReason::InsufficientData {
                    class: Class::Negative,
                    slice: Some("night".to_owned()),
                    effective: 2.0,
                    needed: 50.0,
                },
            };
        }),
        "v2 could not be compared with v1: slice `night` holds 2 effective negative rows, and 50 are needed."
    );
}

/// A comparison of the given look, with the error that is allowed to it.
fn text_of_spent_look(look: u32, change: impl Fn(&mut Comparison)) -> String {
    text_of_look(Some(look), |comparison| {
        comparison.allowed_error = Spending::Harmonic.allowed_error(0.025, look, 0);
        change(comparison);
    })
}

#[test]
fn a_look_says_which_it_was_and_what_it_cost() {
    assert_eq!(
        text_of_spent_look(1, |_| {}),
        "v2 raises ROC AUC by 0.0112 (96.96% interval 0.0034 to 0.0190; look 1 at this holdout, with an error of 1.52%) on 67,080 \
         transactions; weighted F1 is not worse than allowed."
    );
    assert_eq!(
        text_of_spent_look(3, |comparison| {
            comparison.verdict = Verdict::Inconclusive;
            set(
                &mut comparison.metrics[0],
                0.0012,
                (-0.0045, 0.0069),
                MetricOutcome::Inconclusive,
            );
        }),
        "v2 was not shown to raise ROC AUC: the difference is 0.0012 (99.662% interval -0.0045 to 0.0069; look 3 at this holdout, with \
         an error of 0.169%) on 67,080 transactions, where a true rise of 0.0111 would be found four times in five."
    );
    assert_eq!(
        text_of_look(Some(21), |comparison| {
            comparison.verdict = Verdict::Inconclusive;
            comparison.allowed_error = 0.0;
            comparison.minimum_detectable_effect = None;
            comparison.metrics[0].outcome = MetricOutcome::Inconclusive;
            (comparison.metrics[0].low, comparison.metrics[0].high) = (None, None);
        }),
        "v2 was not shown to raise ROC AUC: the difference is 0.0112 (no finite interval; look 21 at this holdout, with an error of 0%) \
         on 67,080 transactions."
    );
}

#[test]
fn a_margin_is_part_of_what_would_be_found() {
    assert_eq!(
        text(|comparison| {
            comparison.verdict = Verdict::Inconclusive;
            comparison.metrics[0].margin = Some(0.005);
            set(
                &mut comparison.metrics[0],
                0.0012,
                (-0.0045, 0.0069),
                MetricOutcome::Inconclusive,
            );
        }),
        "v2 was not shown to raise ROC AUC by more than 0.0050: the difference is 0.0012 (95% interval -0.0045 to 0.0069) on 67,080 \
         transactions, where a true rise of 0.0111 would be found four times in five."
    );
}

#[test]
fn identical_scores_are_reported() {
    let alike = |comparison: &mut Comparison| {
        comparison.verdict = Verdict::Inconclusive;
        comparison.metrics[0].outcome = MetricOutcome::Inconclusive;
        comparison.warnings = vec![Warning::IdenticalScores];
    };
    assert_eq!(
        text(alike),
        "v2 was not shown to raise ROC AUC: both models score all 67,080 transactions alike."
    );
    assert_eq!(
        text_of_spent_look(1, alike),
        "v2 was not shown to raise ROC AUC: both models score all 67,080 transactions alike (look 1 at this holdout, with an error of \
         1.52%)."
    );
}

#[test]
fn measurements_are_named_like_guardrails() {
    let measured = |challenger: f64| {
        Measurement {
            name: "latency_p99_ms".to_owned(),
            champion: 12.1,
            challenger,
            max_increase_percent: 10.0,
        }
        .compared()
    };
    assert_eq!(
        text(|comparison| comparison.measurements = vec![measured(12.9)]),
        "v2 raises ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions; weighted F1 and latency_p99_ms are not \
         worse than allowed."
    );
    assert_eq!(
        text(|comparison| {
            comparison.verdict = Verdict::Inferior;
            comparison.measurements = vec![measured(12.9), measured(14.0)];
        }),
        "v2 raises ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions; latency_p99_ms rose from 12.1 to 14.0, and \
         a rise of 10% is allowed."
    );
    let comparison = judge(
        &errors::of_primary(0.02, 0.0),
        &[Measurement {
            name: "size_bytes".to_owned(),
            champion: 0.0,
            challenger: 1.0,
            max_increase_percent: 10.0,
        }],
        0.025,
    );
    let naming = Naming {
        champion: "v1",
        challenger: "v2",
        rows: "rows",
        look: Some(1),
    };
    assert_eq!(
        sentence(&comparison, &naming),
        "v2 could not be compared with v1: for size_bytes, the champion's number must be finite and above 0; got 0."
    );
}
