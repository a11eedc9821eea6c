//! The comparison against published values, its invariances, its verdicts and its sentences.

pub(super) mod errors;
mod judging;
mod oracle;
mod student;
mod weights;

use super::*;
use crate::metrics::{DecisionRule, Metric};
use crate::random::Stream;

/// Rows with a latent risk that the champion sees through noise of size `champion_noise` and the challenger of size `challenger_noise`.
pub(super) fn simulated(rows: usize, positive_share: f64, noise: [f64; 2], seed: u64) -> Holdout {
    let mut stream = Stream::new(seed, &[]);
    let mut holdout = Holdout {
        unit_keys: Some((0..rows as u64).map(crate::random::mix).collect()),
        ..Holdout::default()
    };
    let logistic = |value: f64| 1.0 / (1.0 + (-value).exp());
    for _ in 0..rows {
        let label = u8::from(stream.uniform() < positive_share);
        let risk = 2.0 * f64::from(label) - 1.0 + stream.normal();
        holdout.labels.push(label);
        holdout
            .champion
            .push(logistic(risk + noise[0] * stream.normal()));
        holdout
            .challenger
            .push(logistic(risk + noise[1] * stream.normal()));
    }
    holdout
}

fn verdict(holdout: &Holdout, settings: &Settings) -> Comparison {
    compare(holdout, settings, 42).unwrap()
}

fn all_metrics() -> Settings {
    Settings {
        observed: Metric::ALL.to_vec(),
        resamples: 256,
        ..Settings::default()
    }
}

/// Bits of everything a comparison says.
fn text(comparison: &Comparison) -> String {
    serde_json::to_string(comparison).unwrap()
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let mut holdout = simulated(3_000, 0.1, [1.0, 0.8], 3);
    holdout.slices.insert(
        "even".to_owned(),
        (0..3_000).map(|row| row % 2 == 0).collect(),
    );
    let settings = Settings {
        guardrails: vec![Guardrail {
            metric: Metric::WeightedF1,
            slice: Some("even".to_owned()),
            max_regression: 0.01,
        }],
        ..all_metrics()
    };
    let on = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| text(&verdict(&holdout, &settings)))
    };
    assert_eq!(on(1), on(2));
    assert_eq!(on(1), on(8));
}

#[test]
fn the_order_of_rows_does_not_change_a_bit_of_the_intervals() {
    let mut holdout = simulated(2_000, 0.1, [1.0, 0.8], 4);
    // One decimal: many ties.
    for score in holdout.champion.iter_mut().chain(&mut holdout.challenger) {
        *score = (*score * 10.0).round() / 10.0;
    }
    let turned = Holdout {
        labels: holdout.labels.iter().rev().copied().collect(),
        champion: holdout.champion.iter().rev().copied().collect(),
        challenger: holdout.challenger.iter().rev().copied().collect(),
        unit_keys: holdout
            .unit_keys
            .as_ref()
            .map(|keys| keys.iter().rev().copied().collect()),
        ..Holdout::default()
    };
    let [first, second] = [&holdout, &turned].map(|holdout| verdict(holdout, &all_metrics()));
    assert_eq!(first.verdict, second.verdict);
    let [first, second] = [first, second].map(|comparison| comparison.statistics);
    for (first, second) in first.metrics.iter().zip(&second.metrics) {
        assert_eq!(
            first.standard_error, second.standard_error,
            "{}",
            first.metric
        );
        assert_eq!(
            first.intervals[&IntervalKind::Percentile],
            second.intervals[&IntervalKind::Percentile],
            "{}",
            first.metric
        );
    }
}

#[test]
fn a_better_model_is_superior_in_one_direction_and_inferior_in_the_other() {
    let settings = Settings {
        guardrails: vec![Guardrail {
            metric: Metric::LogLoss,
            slice: None,
            max_regression: 0.01,
        }],
        ..Settings::default()
    };
    let better = verdict(&simulated(5_000, 0.1, [1.5, 0.3], 5), &settings);
    assert_eq!(better.verdict, Verdict::Superior);
    assert_eq!(better.metrics[0].outcome, MetricOutcome::Better);
    assert_eq!(better.metrics[1].outcome, MetricOutcome::NotWorse);
    let worse = verdict(&simulated(5_000, 0.1, [0.3, 1.5], 5), &settings);
    assert_eq!(worse.verdict, Verdict::Inferior);
    assert_eq!(worse.metrics[1].outcome, MetricOutcome::Worse);
}

#[test]
fn a_model_compared_with_itself_is_inconclusive() {
    let mut holdout = simulated(4_000, 0.1, [1.0, 1.0], 6);
    holdout.challenger.clone_from(&holdout.champion);
    let comparison = verdict(&holdout, &Settings::default());
    assert_eq!(comparison.verdict, Verdict::Inconclusive);
    assert_eq!(comparison.metrics[0].difference, Some(0.0));
    assert_eq!(comparison.statistics.resamples, 2000);
}

#[test]
fn twenty_positives_decide_nothing() {
    let mut holdout = simulated(4_000, 0.0, [1.0, 0.1], 7);
    holdout.labels[..20].fill(1);
    let comparison = verdict(&holdout, &Settings::default());
    let reason = NotComparableReason::InsufficientData {
        class: Class::Positive,
        slice: None,
        effective: 20.0,
        needed: 50.0,
    };
    assert_eq!(comparison.verdict, Verdict::NotComparable { reason });
    assert_eq!(comparison.statistics.resamples, 0);
    assert!(
        comparison.statistics.challenger[&Metric::RocAuc]
            .defined()
            .is_some()
    );

    holdout.labels.fill(0);
    let none = verdict(&holdout, &Settings::default());
    assert!(matches!(none.verdict, Verdict::NotComparable { .. }));
    assert_eq!(none.metrics[0].outcome, MetricOutcome::Undefined);
}

#[test]
fn few_clusters_and_few_rows_of_a_slice_decide_nothing() {
    let mut holdout = simulated(4_000, 0.2, [1.0, 0.1], 8);
    holdout.clusters = Some((0..4_000).map(|row| row % 30).collect());
    let settings = Settings {
        minimum_positives: 20.0,
        ..Settings::default()
    };
    let few = verdict(&holdout, &settings).verdict;
    let reason = |clusters| NotComparableReason::TooFewClusters {
        clusters,
        needed: 40,
    };
    assert_eq!(few, Verdict::NotComparable { reason: reason(30) });
    // One cluster leaves one effective row, but that is not the cause.
    holdout.clusters = Some(vec![7; 4_000]);
    let one = verdict(&holdout, &Settings::default()).verdict;
    assert_eq!(one, Verdict::NotComparable { reason: reason(1) });

    holdout.clusters = None;
    holdout
        .slices
        .insert("tiny".to_owned(), (0..4_000).map(|row| row < 40).collect());
    let guarded = Settings {
        guardrails: vec![Guardrail {
            metric: Metric::RocAuc,
            slice: Some("tiny".to_owned()),
            max_regression: 0.1,
        }],
        ..settings
    };
    assert!(matches!(
        verdict(&holdout, &guarded).verdict,
        Verdict::NotComparable {
            reason: NotComparableReason::InsufficientData { slice: Some(_), .. }
        }
    ));
}

#[test]
fn resamples_double_near_the_boundary_only() {
    let found: Vec<u32> = (0..12)
        .map(|seed| {
            verdict(
                &simulated(1_500, 0.2, [1.0, 0.9], seed),
                &Settings {
                    resamples: 500,
                    ..Settings::default()
                },
            )
        })
        .map(|comparison| comparison.statistics.resamples)
        .collect();
    assert!(found.contains(&500), "{found:?}");
    assert!(found.iter().any(|&resamples| resamples > 500), "{found:?}");
    let doubled =
        |resamples: &u32| (0..7).any(|times| *resamples == 500 << times) || *resamples == 50_000;
    assert!(found.iter().all(doubled), "{found:?}");
}

#[test]
fn delong_agrees_with_the_bootstrap_and_leakage_is_flagged() {
    let comparison = verdict(&simulated(6_000, 0.2, [1.0, 0.8], 12), &Settings::default());
    assert_eq!(comparison.warnings, vec![]);
    let mut leaked = simulated(3_000, 0.2, [1.0, 0.8], 13);
    leaked.challenger = leaked
        .labels
        .iter()
        .map(|&label| f64::from(label))
        .collect();
    let comparison = verdict(&leaked, &Settings::default());
    assert!(comparison.warnings.contains(&Warning::SuspectedLeakage {
        challenger: true,
        roc_auc: 1.0
    }));
}

#[test]
fn separate_intervals_find_only_what_cannot_be_missed() {
    let settings = Settings {
        method: Method::SeparateIntervals(SeparateIntervals::default()),
        ..Settings::default()
    };
    let small = verdict(&simulated(20_000, 0.1, [1.0, 0.7], 14), &settings);
    assert_eq!(small.verdict, Verdict::Inconclusive);
    assert_eq!(
        verdict(
            &simulated(20_000, 0.1, [1.0, 0.7], 14),
            &Settings::default()
        )
        .verdict,
        Verdict::Superior
    );
    let large = verdict(&simulated(20_000, 0.5, [20.0, 0.0], 14), &settings);
    assert_eq!(large.verdict, Verdict::Superior);
    assert!(large.warnings.contains(&Warning::WeakMethod));
    let naming = Naming {
        champion: "v1",
        challenger: "v2",
        rows: "rows",
        look: None,
    };
    let expected = "v2 is better than v1 on 3 and worse on 0 of 3 metrics, by separate intervals on 20,000 rows.";
    assert_eq!(sentence(&large, &naming), expected);
    assert_eq!(large.metrics.len(), 3);
}

#[test]
fn bad_rows_and_settings_are_refused_with_their_place() {
    let message = |change: fn(&mut Holdout, &mut Settings)| {
        let (mut holdout, mut settings) =
            (simulated(100, 0.5, [1.0, 1.0], 15), Settings::default());
        change(&mut holdout, &mut settings);
        compare(&holdout, &settings, 1).unwrap_err().to_string()
    };
    assert_eq!(
        message(|holdout, _| holdout.labels[3] = 2),
        "row 4: `label` must be 0 or 1; got 2"
    );
    assert_eq!(
        message(|holdout, _| holdout.challenger[0] = f64::NAN),
        "row 1: `challenger score` must be a finite number; got NaN"
    );
    assert_eq!(
        message(|holdout, _| holdout.weights = Some(vec![-1.0; 100])),
        "row 1: `weight` must be a finite number of at least 0; got -1; row 2: `weight` must be a finite number of at least 0; got -1; \
         row 3: `weight` must be a finite number of at least 0; got -1; row 4: `weight` must be a finite number of at least 0; got -1; \
         row 5: `weight` must be a finite number of at least 0; got -1; and 95 more"
    );
    assert_eq!(
        message(|holdout, _| holdout.champion.truncate(99)),
        "`champion` must have one value per label; there are 99 values and 100 labels"
    );
    assert_eq!(
        message(|_, settings| settings.confidence = 1.0),
        "`confidence` must lie between 0 and 1; got 1"
    );
    assert_eq!(
        message(|holdout, settings| {
            holdout.weights = Some(vec![0.5; 100]);
            settings.weights = WeightRole::Frequency;
        })
        .split(';')
        .next(),
        Some("row 1: `weight` must be a whole number, since weights are frequencies")
    );
}

#[test]
fn a_deciding_metric_that_is_often_undefined_decides_nothing() {
    let guarded = |predicted_positive: usize| {
        let mut holdout = simulated(2_000, 0.2, [1.0, 0.8], 16);
        for score in [&mut holdout.champion, &mut holdout.challenger] {
            score.iter_mut().for_each(|score| *score *= 0.4);
            score[..predicted_positive].fill(0.9);
        }
        let settings = Settings {
            guardrails: vec![Guardrail {
                metric: Metric::Precision,
                slice: None,
                max_regression: 0.5,
            }],
            ..Settings::default()
        };
        verdict(&holdout, &settings).verdict
    };
    // No row is predicted positive in one of twenty resamples, or in one of a hundred million.
    let rare = guarded(3);
    let Verdict::NotComparable {
        reason:
            NotComparableReason::UnstableResamples {
                metric,
                undefined,
                resamples,
                ..
            },
    } = rare
    else {
        panic!("{rare:?}");
    };
    assert_eq!((metric, resamples), (Metric::Precision, 2000));
    assert!((60..140).contains(&undefined), "{undefined}");
    assert!(!matches!(guarded(18), Verdict::NotComparable { .. }));
}

#[test]
fn an_observed_metric_that_is_undefined_once_is_still_reported() {
    let mut holdout = simulated(2_000, 0.2, [1.0, 0.8], 17);
    holdout.champion.iter_mut().for_each(|score| *score *= 0.4);
    holdout.champion[..3].fill(0.9);
    let settings = Settings {
        observed: vec![Metric::Precision],
        ..Settings::default()
    };
    let comparison = verdict(&holdout, &settings);
    assert!(!matches!(comparison.verdict, Verdict::NotComparable { .. }));
    assert!(comparison.metrics[1].low.is_some());
}
