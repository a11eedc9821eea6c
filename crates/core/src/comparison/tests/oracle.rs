//! Metrics and intervals under counts that are given, and DeLong's test, as other tools compute them.

use std::path::Path;

use super::super::counts::Stored;
use super::super::effective::Effective;
use super::super::intervals::Spread;
use super::super::resampler::{Measure, Resampler};
use super::super::rows::Rows;
use super::super::*;
use crate::metrics::{DecisionRule, Metric};

struct Oracle {
    holdout: Holdout,
    counts: Vec<u8>,
    resamples: usize,
    expected: serde_json::Value,
}

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/metrics");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn read_holdout(name: &str) -> Holdout {
    let mut holdout = Holdout::default();
    let mut weights = Vec::new();
    for line in read(&format!("{name}.csv")).lines().skip(1) {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        holdout.labels.push(cells[0] as u8);
        weights.push(cells[1]);
        holdout.champion.push(cells[2]);
        holdout.challenger.push(cells[3]);
    }
    holdout.weights = Some(weights);
    holdout
}

fn oracle() -> Oracle {
    let holdout = read_holdout("given_counts");
    let lines = read("given_counts.counts.csv");
    let counts: Vec<Vec<u8>> = lines
        .lines()
        .filter_map(|line| {
            line.split(',')
                .map(|cell| cell.trim().parse().ok())
                .collect()
        })
        .collect();
    assert_eq!(counts.len(), holdout.labels.len());
    Oracle {
        resamples: counts[0].len(),
        counts: counts.concat(),
        expected: serde_json::from_str(&read("given_counts.json")).unwrap(),
        holdout,
    }
}

const ORACLE_METRICS: [(&str, Metric); 9] = [
    ("roc_auc", Metric::RocAuc),
    ("average_precision", Metric::AveragePrecision),
    ("accuracy", Metric::Accuracy),
    ("f1", Metric::F1),
    ("f1_weighted", Metric::WeightedF1),
    ("mcc", Metric::Mcc),
    ("brier", Metric::Brier),
    ("log_loss", Metric::LogLoss),
    ("ks", Metric::Ks),
];

#[test]
fn given_counts_yield_the_metrics_and_intervals_of_scikit_learn_and_scipy() {
    let oracle = oracle();
    let settings = Settings {
        observed: Metric::ALL.to_vec(),
        ..Settings::default()
    };
    let rows = Rows::check(&oracle.holdout, &settings).unwrap();
    let measures = ORACLE_METRICS
        .map(|(_, metric)| Measure {
            metric,
            slice: None,
        })
        .to_vec();
    let stored = Stored {
        counts: &oracle.counts,
        resamples: oracle.resamples,
    };
    let resamples =
        Resampler::new(&rows, measures, DecisionRule::default()).run(&stored, 0..oracle.resamples);
    let effective = Effective::of(&rows, None);
    let freedom = oracle.expected["n_eff"]["nu"].as_f64().unwrap();
    assert!((effective.degrees_of_freedom() - freedom).abs() < 1e-9);

    let close = |found: f64, expected: &serde_json::Value, what: &str| {
        let expected = expected.as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-6,
            "{what}: {found} instead of {expected}"
        );
    };
    for ((name, metric), values) in ORACLE_METRICS.iter().zip(&resamples.values) {
        for (model, found) in [
            ("champion", &values.champion),
            ("challenger", &values.challenger),
        ] {
            for (resample, &found) in found.iter().enumerate() {
                let expected = &oracle.expected["per_resample"][model][name][resample];
                close(
                    found,
                    expected,
                    &format!("{model} {metric} in resample {resample}"),
                );
            }
        }
        let expected = &oracle.expected["intervals_95"][name];
        let estimate = expected["difference"].as_f64().unwrap();
        let spread = Spread::of(estimate, values.differences(), freedom, 0.0).unwrap();
        close(spread.standard_error, &expected["se_boot"], name);
        let p_values = spread.p_values(0.0, true);
        close(
            p_values[&IntervalKind::Percentile],
            &expected["p_one_sided_better"],
            name,
        );
        let intervals = spread.intervals(0.025);
        for (kind, field) in [
            (IntervalKind::NormalT, "normal_t"),
            (IntervalKind::Percentile, "percentile"),
            (IntervalKind::Basic, "basic"),
            (IntervalKind::BCa, "bias_corrected"),
        ] {
            close(
                intervals[&kind].low,
                &expected[field][0],
                &format!("{name} {field} low"),
            );
            close(
                intervals[&kind].high,
                &expected[field][1],
                &format!("{name} {field} high"),
            );
        }
    }
}

#[test]
fn delong_without_weights_is_that_of_r() {
    let index: serde_json::Value = serde_json::from_str(&read("index.json")).unwrap();
    let mut compared = 0;
    for name in index["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|name| name.as_str())
    {
        let case: serde_json::Value = serde_json::from_str(&read(&format!("{name}.json"))).unwrap();
        let expected = &case["r_pROC_weights_ignored"];
        let (Some(z), Some(p)) = (
            expected["delong_z_challenger_minus_champion"].as_f64(),
            expected["delong_p_two_sided"].as_f64(),
        ) else {
            continue;
        };
        let holdout = Holdout {
            weights: None,
            ..read_holdout(name)
        };
        let rows = Rows::check(&holdout, &Settings::default()).unwrap();
        let found = cross_check::delong(&rows, 0.025).unwrap();
        assert!(
            (found.z - z).abs() < 1e-8,
            "{name}: {} instead of {z}",
            found.z
        );
        assert!(
            (found.p_value - p).abs() < 1e-8,
            "{name}: {} instead of {p}",
            found.p_value
        );
        compared += 1;
    }
    assert!(compared >= 10, "{compared} cases of R were compared");
}
