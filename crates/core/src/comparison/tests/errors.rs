//! What an allowed error changes.

use super::*;
use crate::looks::Spending;

/// Statistics of one primary metric, ROC AUC, on 1,000 rows of each class.
pub(in super::super) fn of_primary(difference: f64, margin: f64) -> Statistics {
    let settings = Settings {
        primary: Primary {
            metric: Metric::RocAuc,
            min_improvement: margin,
        },
        resamples: 64,
        ..Settings::default()
    };
    let mut statistics = measure(
        &simulated(400, 0.5, [1.0, 0.9], 1),
        &settings,
        42,
        &mut |_, _| {},
    )
    .unwrap();
    statistics.cross_check = None;
    let primary = &mut statistics.metrics[0];
    primary.difference = Some(difference);
    primary.standard_error = Some(0.01);
    primary.degrees_of_freedom = 999.0;
    statistics
}

#[test]
fn a_look_at_a_small_error_is_near_its_own_boundary_only() {
    let near = |difference: f64, error: f64| {
        judge(&of_primary(difference, 0.0), &[], error)
            .warnings
            .iter()
            .any(|warning| matches!(warning, Warning::NearBoundary { .. }))
    };
    let third = Spending::Harmonic.allowed_error(0.025, 3, 0);
    assert!(near(0.0196, 0.025) && !near(0.0196, 1e-6));
    assert!(near(0.0293, third) && !near(0.0100, third));
}

#[test]
fn other_kinds_are_asked_at_the_allowed_error_and_only_with_enough_draws() {
    let disagree = |p: f64, error: f64| {
        let mut statistics = of_primary(0.05, 0.0);
        statistics.resamples = 2_000;
        let p_values = &mut statistics.metrics[0].p_values;
        for kind in [
            IntervalKind::Percentile,
            IntervalKind::Basic,
            IntervalKind::BCa,
        ] {
            p_values.insert(kind, 1e-9);
        }
        p_values.insert(IntervalKind::BCa, p);
        judge(&statistics, &[], error)
            .warnings
            .iter()
            .any(|warning| {
                matches!(warning, Warning::IntervalDisagreement { kinds, .. } if *kinds == [IntervalKind::BCa])
            })
    };
    assert!(disagree(0.03, 0.025) && !disagree(0.02, 0.025));
    assert!(disagree(0.02, 0.0152));
    assert!(!disagree(0.02, 0.0017));
}

#[test]
fn the_cross_check_is_asked_at_the_allowed_error() {
    let mut statistics = of_primary(0.025, 0.0);
    statistics.cross_check = Some(CrossCheck {
        difference: 0.025,
        standard_error: 0.0105,
        z: 2.38,
        p_value: 0.0173,
        interval: Interval {
            low: 0.0044,
            high: 0.0456,
        },
    });
    let warned = |error: f64| {
        judge(&statistics, &[], error)
            .warnings
            .iter()
            .any(|warning| matches!(warning, Warning::CrossCheckDisagreement { .. }))
    };
    // Student's interval needs 2.5, DeLong's 2.38 standard errors.
    assert!(!warned(0.025) && warned(0.0075) && !warned(0.001));
}

/// A true improvement as large as the minimum detectable effect is found in 80% of normal samples with a known standard error.
#[test]
fn the_minimum_detectable_effect_is_found_four_times_in_five() {
    let mut stream = Stream::new(1, &[]);
    let samples = 4_000;
    for (margin, freedom, error) in [
        (0.0, 999.0, 0.025),
        (0.01, 999.0, 0.025),
        (0.03, 60.0, 0.025),
        (0.01, 999.0, Spending::Harmonic.allowed_error(0.025, 4, 0)),
    ] {
        let mut statistics = of_primary(0.0, margin);
        statistics.metrics[0].degrees_of_freedom = freedom;
        let effect = judge(&statistics, &[], error)
            .minimum_detectable_effect
            .unwrap();
        let found = (0..samples)
            .filter(|_| {
                statistics.metrics[0].difference = Some(effect + 0.01 * stream.normal());
                judge(&statistics, &[], error).verdict == Verdict::Superior
            })
            .count();
        let share = found as f64 / f64::from(samples);
        // Four standard errors.
        assert!(
            (share - 0.8).abs() < 0.025,
            "{margin} {freedom} {error}: {share}"
        );
    }
}
