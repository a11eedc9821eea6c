//! What follows from standard errors need not be sent along with them.

use super::{all_metrics, simulated};
use crate::comparison::{Guardrail, IntervalKind, Settings, asked, measure};
use crate::metrics::Metric;

#[test]
fn students_interval_and_p_value_follow_from_the_rest_bit_for_bit() {
    let mut holdout = simulated(2_000, 0.2, [1.0, 0.9], 5);
    let even = (0..2_000).map(|row| row % 2 == 0).collect();
    holdout.slices.insert("even".to_owned(), even);
    let guardrail = |metric, slice: Option<&str>, max_regression| Guardrail {
        metric,
        slice: slice.map(str::to_owned),
        max_regression,
    };
    let settings = Settings {
        guardrails: vec![
            guardrail(Metric::F1, Some("even"), 0.01),
            guardrail(Metric::LogLoss, None, 0.02),
            guardrail(Metric::RocAuc, None, 0.03),
        ],
        confidence: 0.9,
        ..all_metrics()
    };
    let statistics = measure(&holdout, &settings, 7, &mut |_, _| {}).unwrap();
    for metric in &statistics.metrics {
        assert!(metric.intervals.contains_key(&IntervalKind::NormalT));
        let mut sent = metric.clone();
        sent.intervals.remove(&IntervalKind::NormalT);
        sent.p_values.remove(&IntervalKind::NormalT);
        sent.difference = sent
            .challenger
            .defined()
            .zip(sent.champion.defined())
            .map(|(challenger, champion)| challenger - champion);
        sent.add_student(settings.one_sided_error());
        assert_eq!(&sent, metric, "{}", metric.metric);
    }
}

#[test]
fn the_metrics_of_statistics_are_those_that_their_settings_ask_for() {
    let mut holdout = simulated(2_000, 0.2, [1.0, 0.9], 5);
    let even = (0..2_000).map(|row| row % 2 == 0).collect();
    holdout.slices.insert("even".to_owned(), even);
    let settings = Settings {
        guardrails: vec![Guardrail {
            metric: Metric::RocAuc,
            slice: Some("even".to_owned()),
            max_regression: 0.01,
        }],
        ..all_metrics()
    };
    let statistics = measure(&holdout, &settings, 7, &mut |_, _| {}).unwrap();
    let asked = asked(&settings);
    // The primary metric is not observed a second time.
    assert_eq!(asked.len(), 1 + 1 + Metric::ALL.len() - 1);
    assert_eq!(asked.len(), statistics.metrics.len());
    for (asked, found) in asked.iter().zip(&statistics.metrics) {
        assert_eq!(
            (asked.metric, &asked.slice, asked.role, asked.margin),
            (found.metric, &found.slice, found.role, found.margin)
        );
    }
}
