//! What weights and clusters mean.

use super::*;

#[test]
fn clusters_of_repeated_rows_widen_the_interval() {
    let base = simulated(1_000, 0.2, [1.0, 0.9], 9);
    let repeat =
        |values: &[f64]| -> Vec<f64> { values.iter().flat_map(|&value| [value; 10]).collect() };
    let mut repeated = Holdout {
        labels: base.labels.iter().flat_map(|&label| [label; 10]).collect(),
        champion: repeat(&base.champion),
        challenger: repeat(&base.challenger),
        ..Holdout::default()
    };
    let error = |holdout: &Holdout| {
        let comparison = verdict(holdout, &Settings::default());
        (
            comparison.metrics[0].standard_error.unwrap(),
            comparison.statistics.cross_check.unwrap().standard_error,
        )
    };
    let of_base = error(&base);
    let naive = error(&repeated);
    repeated.clusters = Some((0..10_000).map(|row| row / 10).collect());
    let clustered = error(&repeated);
    for (base, naive, clustered) in [
        (of_base.0, naive.0, clustered.0),
        (of_base.1, naive.1, clustered.1),
    ] {
        assert!(
            (naive / base - 0.1_f64.sqrt()).abs() < 0.03,
            "{naive} {base}"
        );
        assert!((clustered / base - 1.0).abs() < 0.08, "{clustered} {base}");
    }
}

#[test]
fn frequencies_are_rows_and_class_weights_leave_the_ranking_alone() {
    let base = simulated(1_500, 0.3, [1.0, 0.8], 10);
    let twice =
        |values: &[f64]| -> Vec<f64> { values.iter().flat_map(|&value| [value; 2]).collect() };
    let doubled = Holdout {
        labels: base.labels.iter().flat_map(|&label| [label; 2]).collect(),
        champion: twice(&base.champion),
        challenger: twice(&base.challenger),
        ..Holdout::default()
    };
    let weighted = |weights: Vec<f64>, role: WeightRole| {
        let holdout = Holdout {
            weights: Some(weights),
            ..base.clone()
        };
        verdict(
            &holdout,
            &Settings {
                weights: role,
                ..all_metrics()
            },
        )
    };
    let (rows, counted) = (
        verdict(&doubled, &all_metrics()),
        weighted(vec![2.0; 1_500], WeightRole::Frequency),
    );
    assert!(
        (rows.statistics.effective_positives - counted.statistics.effective_positives).abs() < 1e-9
    );
    for (rows, counted) in rows.metrics.iter().zip(&counted.metrics) {
        let ratio = counted.standard_error.unwrap() / rows.standard_error.unwrap();
        assert!((ratio - 1.0).abs() < 0.15, "{}: {ratio}", rows.metric);
        let [rows, counted] = [rows, counted].map(|metric| metric.champion.defined().unwrap());
        assert!((rows - counted).abs() < 1e-9);
    }
    let delong =
        |comparison: &Comparison| comparison.statistics.cross_check.unwrap().standard_error;
    assert!((delong(&rows) / delong(&counted) - 1.0).abs() < 1e-9);

    let by_class: Vec<f64> = base
        .labels
        .iter()
        .map(|&label| if label == 1 { 5.0 } else { 1.0 })
        .collect();
    let (classes, plain) = (
        weighted(by_class, WeightRole::Class),
        verdict(&base, &all_metrics()),
    );
    assert!(
        (classes.metrics[0].standard_error.unwrap() - plain.metrics[0].standard_error.unwrap())
            .abs()
            < 1e-7
    );
    assert_ne!(
        classes.statistics.challenger[&Metric::Accuracy],
        plain.statistics.challenger[&Metric::Accuracy]
    );
}

#[test]
fn balanced_accuracy_is_the_mean_of_both_recalls() {
    let holdout = simulated(3_000, 0.1, [1.0, 0.8], 11);
    let balanced = verdict(
        &holdout,
        &Settings {
            weights: WeightRole::Balanced,
            ..all_metrics()
        },
    );
    let plain = verdict(&holdout, &all_metrics());
    let recall = plain.statistics.challenger[&Metric::Recall]
        .defined()
        .unwrap();
    let confusion = crate::metrics::confusion(
        &crate::metrics::Predictions {
            labels: &holdout.labels,
            scores: &holdout.challenger,
            weights: None,
        },
        &DecisionRule::default(),
    )
    .unwrap();
    let specificity =
        confusion.true_negative / (confusion.true_negative + confusion.false_positive);
    let found = balanced.statistics.challenger[&Metric::Accuracy]
        .defined()
        .unwrap();
    assert!((found - 0.5 * (recall + specificity)).abs() < 1e-9);
    for (metric, plain) in balanced.statistics.metrics.iter().zip(&plain.metrics) {
        let spread = metric.standard_error.unwrap();
        let middle = &metric.intervals[&IntervalKind::Percentile];
        let difference = metric.difference.unwrap();
        assert!(
            middle.low < difference && difference < middle.high && spread > 0.0,
            "{}",
            plain.metric
        );
    }
}

#[test]
fn the_losses_of_a_slice_ask_for_probabilities_in_the_slice_only() {
    let mut holdout = simulated(3_000, 0.2, [1.0, 0.8], 8);
    holdout
        .slices
        .insert("day".to_owned(), (0..3_000).map(|row| row != 7).collect());
    let settings = Settings {
        guardrails: [Metric::LogLoss, Metric::Brier]
            .map(|metric| Guardrail {
                metric,
                slice: Some("day".to_owned()),
                max_regression: 0.01,
            })
            .to_vec(),
        resamples: 256,
        ..Settings::default()
    };
    let have_errors = |holdout: &Holdout| {
        let metrics = verdict(holdout, &settings).statistics.metrics;
        let losses = metrics.iter().skip(1);
        losses
            .map(|of| of.standard_error.is_some_and(|error| error > 0.0))
            .collect::<Vec<_>>()
    };
    // The only row outside of the slice, then one of the slice.
    holdout.challenger[7] = 1.5;
    assert_eq!(have_errors(&holdout), [true, true]);
    holdout.challenger[8] = 1.5;
    assert_eq!(have_errors(&holdout), [false, false]);
}
