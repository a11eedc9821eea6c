//! Statistics and what follows from them.

use super::errors::of_primary;
use super::*;
use proptest::prelude::*;

fn guarded() -> Settings {
    Settings {
        guardrails: vec![Guardrail {
            metric: Metric::WeightedF1,
            slice: None,
            max_regression: 0.02,
        }],
        observed: vec![Metric::LogLoss],
        resamples: 300,
        ..Settings::default()
    }
}

fn measured(holdout: &Holdout, settings: &Settings) -> Statistics {
    measure(holdout, settings, 42, &mut |_, _| {}).unwrap()
}

fn measurement(challenger: f64) -> Measurement {
    Measurement {
        name: "latency_p99_ms".to_owned(),
        champion: 12.1,
        challenger,
        max_increase_percent: 10.0,
    }
}

#[test]
fn json_keeps_statistics_and_comparisons_to_the_last_bit() {
    let plain = simulated(600, 0.3, [1.0, 0.7], 1);
    let mut clustered = simulated(600, 0.3, [1.0, 0.7], 2);
    clustered.clusters = Some((0..600).map(|row| row / 3).collect());
    let few = simulated(300, 0.02, [1.0, 0.7], 3);
    let mut one_positive = simulated(300, 0.0, [1.0, 0.7], 4);
    one_positive.labels[7] = 1;
    let lenient = Settings {
        minimum_positives: 0.0,
        minimum_clusters: 1,
        ..guarded()
    };
    let votes = Settings {
        method: Method::SeparateIntervals(SeparateIntervals::default()),
        ..Settings::default()
    };
    for (holdout, settings) in [
        (&plain, &guarded()),
        (&clustered, &lenient),
        (&few, &guarded()),
        (&one_positive, &lenient),
        (&plain, &votes),
    ] {
        let statistics = measured(holdout, settings);
        let text = serde_json::to_string(&statistics).unwrap();
        assert_eq!(
            serde_json::from_str::<Statistics>(&text).unwrap(),
            statistics
        );
        // An API server writes whole numbers without decimals.
        let stored = text.replace(".0,", ",").replace(".0}", "}");
        assert_eq!(
            serde_json::from_str::<Statistics>(&stored).unwrap(),
            statistics
        );
        for error in [0.025, 0.0, f64::NAN] {
            let measurements = [measurement(12.0), measurement(f64::NAN)];
            let comparison = judge(&statistics, &measurements, error);
            let text = serde_json::to_string(&comparison).unwrap();
            assert_eq!(
                serde_json::from_str::<Comparison>(&text).unwrap(),
                comparison
            );
        }
    }
}

#[test]
fn a_comparison_is_a_measurement_judged_at_the_error_of_its_confidence() {
    let (holdout, settings) = (simulated(2_000, 0.2, [1.0, 0.8], 5), guarded());
    let statistics = measured(&holdout, &settings);
    let comparison = judge(&statistics, &[], settings.one_sided_error());
    assert_eq!(comparison, compare(&holdout, &settings, 42).unwrap());
    assert_eq!(comparison.statistics, statistics);
    for (judged, metric) in comparison.metrics.iter().zip(&statistics.metrics) {
        let nominal = metric.intervals[&IntervalKind::NormalT];
        assert_eq!(
            (judged.low, judged.high),
            (Some(nominal.low), Some(nominal.high))
        );
        assert_eq!(
            judged.p_value,
            metric.p_values.get(&IntervalKind::NormalT).copied()
        );
    }
}

#[test]
fn every_deciding_metric_is_judged_at_the_allowed_error() {
    let settings = guarded();
    let statistics = measured(&simulated(3_000, 0.2, [1.0, 0.8], 6), &settings);
    let p_of = |metric: usize| statistics.metrics[metric].p_values[&IntervalKind::NormalT];
    for metric in [0, 1] {
        let at = |error: f64| {
            judge(&statistics, &[], error).metrics[metric]
                .outcome
                .is_shown()
        };
        assert!(at(p_of(metric) * 1.000_001) && !at(p_of(metric) * 0.999_999));
    }
    let largest = p_of(0).max(p_of(1));
    assert!(largest < 0.4, "{largest}");
    let verdict = |error: f64| judge(&statistics, &[], error).verdict;
    assert_eq!(verdict(largest * 1.000_001), Verdict::Superior);
    assert_eq!(verdict(largest * 0.999_999), Verdict::Inconclusive);
    let half = judge(&statistics, &[], 0.0125);
    assert_eq!(half.allowed_error, 0.0125);
    assert!((half.confidence() - 0.975).abs() < 1e-12);
}

#[test]
fn other_kinds_decide_by_their_nominal_ends_and_by_their_p_value_at_a_smaller_error() {
    for kind in [
        IntervalKind::Percentile,
        IntervalKind::Basic,
        IntervalKind::BCa,
    ] {
        let settings = Settings {
            interval: kind,
            ..guarded()
        };
        let statistics = measured(&simulated(3_000, 0.2, [1.0, 0.8], 6), &settings);
        let nominal = judge(&statistics, &[], settings.one_sided_error());
        let interval = statistics.metrics[0].intervals[&kind];
        assert_eq!(nominal.metrics[0].low, Some(interval.low));
        assert_eq!(nominal.metrics[0].outcome, MetricOutcome::Better);
        assert_eq!(nominal.confidence(), 0.95);
        let p = statistics.metrics[0].p_values[&kind];
        let smaller = judge(&statistics, &[], 0.9 * p);
        assert_eq!(smaller.metrics[0].outcome, MetricOutcome::Inconclusive);
        assert_eq!(smaller.metrics[0].low, Some(interval.low));
    }
}

#[test]
fn a_measurement_is_a_guardrail_without_an_interval() {
    let settings = guarded();
    let statistics = measured(&simulated(3_000, 0.2, [1.0, 0.5], 6), &settings);
    let judged = |measurements: &[Measurement]| judge(&statistics, measurements, 0.025);
    assert_eq!(judged(&[measurement(13.3)]).verdict, Verdict::Superior);
    let exceeded = judged(&[measurement(13.0), measurement(14.0)]);
    assert_eq!(exceeded.verdict, Verdict::Inferior);
    assert_eq!(
        exceeded
            .measurements
            .iter()
            .map(|measurement| measurement.outcome)
            .collect::<Vec<_>>(),
        [MetricOutcome::NotWorse, MetricOutcome::Worse]
    );
    let undefined = judged(&[measurement(14.0), measurement(f64::INFINITY)]);
    let Verdict::NotComparable {
        reason: NotComparableReason::UndefinedMeasurement { name, reason },
    } = undefined.verdict
    else {
        panic!("{:?}", undefined.verdict);
    };
    assert_eq!(name, "latency_p99_ms");
    assert_eq!(
        reason,
        "the challenger's number must be finite and above 0; got inf"
    );
    // What the rows cannot answer is said first.
    let mut refused = statistics.clone();
    refused.obstacle = Some(NotComparableReason::TooFewClusters {
        clusters: 1,
        needed: 40,
    });
    let Verdict::NotComparable { reason } =
        judge(&refused, &[measurement(f64::NAN)], 0.025).verdict
    else {
        panic!();
    };
    assert_eq!(Some(reason), refused.obstacle);
}

#[test]
fn measurements_decide_beside_votes() {
    let settings = Settings {
        method: Method::SeparateIntervals(SeparateIntervals::default()),
        ..Settings::default()
    };
    let statistics = measured(&simulated(20_000, 0.5, [20.0, 0.0], 14), &settings);
    assert_eq!(judge(&statistics, &[], 1e-9).verdict, Verdict::Superior);
    let exceeded = judge(&statistics, &[measurement(14.0)], 0.025);
    assert_eq!(exceeded.verdict, Verdict::Inferior);
}

#[test]
fn progress_reaches_what_is_drawn_and_changes_no_bit() {
    let holdout = simulated(1_500, 0.2, [1.0, 0.9], 2);
    let settings = Settings {
        resamples: 500,
        ..Settings::default()
    };
    let on = |threads: usize| {
        let mut seen = Vec::new();
        let statistics = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| {
                measure(&holdout, &settings, 3, &mut |drawn, wanted| {
                    seen.push((drawn, wanted));
                })
            })
            .unwrap();
        (statistics, seen)
    };
    let (statistics, seen) = on(1);
    assert!(seen.len() >= 4, "{seen:?}");
    assert!(seen.is_sorted() && seen.iter().all(|(drawn, wanted)| drawn <= wanted));
    assert_eq!(
        seen.last(),
        Some(&(statistics.resamples, statistics.resamples))
    );
    assert_eq!(on(5).0, statistics);
}

#[test]
fn identical_scores_are_reported() {
    let mut holdout = simulated(2_000, 0.2, [1.0, 0.8], 5);
    holdout.weights = Some((0..2_000).map(|row| f64::from(row % 4 > 0)).collect());
    for (row, champion) in holdout.champion.iter().enumerate() {
        if row % 4 > 0 {
            holdout.challenger[row] = *champion;
        }
    }
    let alike = verdict(&holdout, &guarded());
    assert!(alike.warnings.contains(&Warning::IdenticalScores));
    assert_eq!(alike.minimum_detectable_effect, None);
    holdout.challenger[1] += 0.001;
    let differing = verdict(&holdout, &guarded());
    assert!(!differing.warnings.contains(&Warning::IdenticalScores));
}

/// Few positives: the basic interval and the percentiles lie apart, so that a stop rule that looks at the wrong one leaves verdicts
/// to the seed.
#[test]
fn a_verdict_by_the_basic_interval_does_not_depend_on_the_seed_unseen() {
    let settings = Settings {
        interval: IntervalKind::Basic,
        resamples: 400,
        minimum_positives: 20.0,
        ..Settings::default()
    };
    let (mut turned, mut unseen, mut doubled) = (0, 0, 0);
    for holdout in (0..60).map(|seed| simulated(300, 0.1, [1.0, 0.6], seed)) {
        let found: Vec<Comparison> = (0..4)
            .map(|seed| compare(&holdout, &settings, seed).unwrap())
            .collect();
        let warned = |one: &Comparison| {
            one.warnings
                .iter()
                .any(|warning| matches!(warning, Warning::NearBoundary { .. }))
        };
        doubled += usize::from(found.iter().any(|one| one.statistics.resamples > 400));
        if found.iter().any(|one| one.verdict != found[0].verdict) {
            turned += 1;
            unseen += usize::from(!found.iter().any(warned));
        }
    }
    assert!(doubled > 5 && unseen == 0, "{turned} {unseen} {doubled}");
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1.0..1.0,
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE),
    ]
}

proptest! {
    #[test]
    fn judging_is_defined_for_every_number(
        error in any_number(),
        difference in any_number(),
        standard_error in any_number(),
        freedom in any_number(),
        numbers in [any_number(), any_number(), any_number()],
    ) {
        let mut statistics = of_primary(difference, 0.0);
        statistics.metrics[0].standard_error = Some(standard_error);
        statistics.metrics[0].degrees_of_freedom = freedom;
        let [champion, challenger, max_increase_percent] = numbers;
        let measurement = Measurement {
            name: "size".to_owned(),
            champion,
            challenger,
            max_increase_percent,
        };
        let comparison = judge(&statistics, std::slice::from_ref(&measurement), error);
        prop_assert!((0.0..=0.5).contains(&comparison.allowed_error));
        if comparison.allowed_error == 0.0 {
            prop_assert!(comparison.verdict != Verdict::Superior);
        }
        let ends = [comparison.metrics[0].low, comparison.metrics[0].high];
        prop_assert!(ends.iter().flatten().all(|end| end.is_finite()));
        let naming = Naming { champion: "v1", challenger: "v2", rows: "rows", look: Some(2) };
        prop_assert!(sentence(&comparison, &naming).ends_with('.'));
    }
}
