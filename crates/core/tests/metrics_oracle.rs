//! Every metric against scikit-learn, Spark ML and plain sums on the vectors under `data/metrics`.

#![allow(clippy::unwrap_used, clippy::panic)] // A test speaks by failing.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use podium_core::metrics::{
    DecisionRule, Metric, Predictions, ThresholdOperator, UndefinedReason, Value, confusion,
    evaluate,
};
use serde_json::Value as Json;

const CASES: usize = 31;
const RELATIVE_TOLERANCE: f64 = 1e-9;

fn data(file: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data/metrics", file]
        .iter()
        .collect();
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(file: &str) -> Json {
    serde_json::from_str(&data(file)).unwrap()
}

struct Case {
    name: String,
    expected: Json,
    labels: Vec<u8>,
    weights: Vec<f64>,
    scores: BTreeMap<&'static str, Vec<f64>>,
}

impl Case {
    fn load(name: &str) -> Self {
        let rows: Vec<Vec<f64>> = data(&format!("{name}.csv"))
            .lines()
            .skip(1)
            .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
            .collect();
        let column = |index: usize| rows.iter().map(|row| row[index]).collect();
        Self {
            name: name.to_owned(),
            expected: json(&format!("{name}.json")),
            labels: rows.iter().map(|row| row[0] as u8).collect(),
            weights: column(1),
            scores: BTreeMap::from([("champion", column(2)), ("challenger", column(3))]),
        }
    }

    fn predictions(&self, model: &str) -> Predictions<'_> {
        Predictions {
            labels: &self.labels,
            scores: &self.scores[model],
            weights: Some(&self.weights),
        }
    }

    fn rule(&self, operator: ThresholdOperator) -> DecisionRule {
        DecisionRule {
            threshold: self.expected["threshold"].as_f64().unwrap(),
            operator,
            ..DecisionRule::default()
        }
    }

    fn must(&self) -> &str {
        self.expected["engine_must"].as_str().unwrap_or("compute")
    }
}

fn cases() -> Vec<Case> {
    let index = json("index.json");
    let names = index["cases"].as_array().unwrap();
    assert_eq!(names.len(), CASES);
    names
        .iter()
        .map(|name| Case::load(name.as_str().unwrap()))
        .collect()
}

fn is_close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= RELATIVE_TOLERANCE * expected.abs()
}

/// Compares with `tool`'s number; where the tool gave none, or filled in 0 for nothing over nothing, the value must be undefined.
fn check(case: &Case, model: &str, tool: &str, field: &str, metric: Metric, found: Value) {
    let place = format!("{} {model} {tool}.{field} as {metric}", case.name);
    let expected = &case.expected[model][tool][field];
    let expected_number = correlation_of_sums(case, model, metric).or_else(|| expected.as_f64());
    match (found, expected_number) {
        (Value::Defined(found), Some(expected)) => assert!(
            is_close(found, expected),
            "{place}: {found}, expected {expected}"
        ),
        (Value::Defined(found), None) => assert!(
            case.must() == "undefined_rank_metrics" && tool == "spark",
            "{place}: {found}, expected {expected}"
        ),
        (Value::Undefined(reason), _) => {
            let withheld = withheld_by_rule(case, metric);
            let nothing_over_nothing = matches!(
                (metric, reason),
                (Metric::Precision, UndefinedReason::NoPredictedPositives)
                    | (Metric::F1, UndefinedReason::NothingPositive)
                    | (Metric::Mcc, UndefinedReason::ConstantPrediction)
            ) && expected_number == Some(0.0);
            assert!(
                withheld || nothing_over_nothing || expected_number.is_none(),
                "{place}: undefined ({reason}), expected {expected}"
            );
        }
    }
}

/// scikit-learn's correlation loses its digits, underflows to 0 or overflows on weights of extreme size; the four sums do not.
fn correlation_of_sums(case: &Case, model: &str, metric: Metric) -> Option<f64> {
    let extreme = ["huge_weight_one", "huge_weights_all", "tiny_weights_all"];
    if metric != Metric::Mcc || !extreme.contains(&case.name.as_str()) {
        return None;
    }
    let sums = &case.expected[model]["threshold_ge"];
    let [tp, fp, miss, tn] = ["tp", "fp", "fn", "tn"].map(|field| sums[field].as_f64().unwrap());
    let total = tp + fp + miss + tn;
    let [tp, fp, miss, tn] = [tp, fp, miss, tn].map(|sum| sum / total);
    Some(
        (tp * tn - fp * miss) / ((tp + fp) * (tp + miss)).sqrt() / ((tn + fp) * (tn + miss)).sqrt(),
    )
}

fn withheld_by_rule(case: &Case, metric: Metric) -> bool {
    case.name == "zero_weights_all"
        || (case.must() == "undefined_rank_metrics"
            && (RANK_METRICS.contains(&metric) || metric == Metric::Mcc))
}

const RANK_METRICS: [Metric; 5] = [
    Metric::RocAuc,
    Metric::AveragePrecision,
    Metric::AreaUnderPr,
    Metric::Ks,
    Metric::Recall,
];

const SCIKIT_LEARN: [(&str, Metric); 11] = [
    ("roc_auc", Metric::RocAuc),
    ("average_precision", Metric::AveragePrecision),
    ("accuracy", Metric::Accuracy),
    ("precision", Metric::Precision),
    ("recall", Metric::Recall),
    ("f1", Metric::F1),
    ("f1_weighted", Metric::WeightedF1),
    ("mcc", Metric::Mcc),
    ("log_loss", Metric::LogLoss),
    ("brier", Metric::Brier),
    ("ks", Metric::Ks),
];

const SPARK: [(&str, Metric); 7] = [
    ("areaUnderROC", Metric::RocAuc),
    ("areaUnderPR", Metric::AreaUnderPr),
    ("accuracy", Metric::Accuracy),
    ("f1", Metric::WeightedF1),
    ("logLoss", Metric::LogLoss),
    ("precisionByLabel", Metric::Precision),
    ("recallByLabel", Metric::Recall),
];

const SUMS: [(&str, Metric); 5] = [
    ("accuracy", Metric::Accuracy),
    ("precision", Metric::Precision),
    ("recall", Metric::Recall),
    ("f1", Metric::F1),
    ("cost_fp1_fn10_per_weight", Metric::Cost),
];

#[test]
fn every_sound_case_gives_the_tools_numbers_for_both_models() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case.must() != "refuse") {
        if case.name == "given_counts" {
            continue;
        }
        for model in ["champion", "challenger"] {
            let found = evaluate(
                &case.predictions(model),
                &case.rule(ThresholdOperator::AtLeast),
            )
            .unwrap();
            assert_eq!(found.len(), Metric::ALL.len());
            for (field, metric) in SCIKIT_LEARN {
                check(case, model, "sklearn", field, metric, found[&metric]);
            }
            for (field, metric) in SPARK {
                let clipped = case.scores[model]
                    .iter()
                    .any(|score| !(1e-15..=1.0 - 1e-15).contains(score));
                if metric == Metric::LogLoss && clipped {
                    continue;
                }
                let field = spark_field(&case.expected[model]["spark"], field);
                check(case, model, "spark", &field, metric, found[&metric]);
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 2 * (CASES - 6));
}

/// The exact curve where Spark was also asked for it, since its default merges points.
fn spark_field(spark: &Json, field: &str) -> String {
    [
        format!("{field}_numBins0"),
        format!("{field}_numBins1000"),
        field.to_owned(),
    ]
    .into_iter()
    .find(|name| spark.get(name).is_some())
    .unwrap_or_else(|| panic!("no field like {field} in {spark}"))
}

#[test]
fn threshold_sums_match_for_both_operators() {
    for case in cases().iter().filter(|case| case.must() != "refuse") {
        if case.name == "given_counts" {
            continue;
        }
        for (model, (tool, operator)) in ["champion", "challenger"].iter().flat_map(|model| {
            [
                ("threshold_ge", ThresholdOperator::AtLeast),
                ("threshold_gt", ThresholdOperator::Above),
            ]
            .map(|pair| (*model, pair))
        }) {
            let rule = case.rule(operator);
            let sums = confusion(&case.predictions(model), &rule).unwrap();
            let expected = &case.expected[model][tool];
            for (field, sum) in [
                ("tp", sums.true_positive),
                ("fp", sums.false_positive),
                ("fn", sums.false_negative),
                ("tn", sums.true_negative),
            ] {
                let expected = expected[field].as_f64().unwrap();
                assert!(
                    is_close(sum, expected),
                    "{} {model} {tool}.{field}: {sum}, expected {expected}",
                    case.name
                );
            }
            let found = evaluate(&case.predictions(model), &rule).unwrap();
            for (field, metric) in SUMS {
                check(case, model, tool, field, metric, found[&metric]);
            }
        }
    }
}

#[test]
fn a_class_without_weight_leaves_ranking_undefined() {
    let mut seen = 0;
    for case in cases()
        .iter()
        .filter(|case| case.must() == "undefined_rank_metrics")
    {
        seen += 1;
        for model in ["champion", "challenger"] {
            let found = evaluate(&case.predictions(model), &DecisionRule::default()).unwrap();
            for metric in RANK_METRICS {
                assert_eq!(
                    found[&metric].defined(),
                    None,
                    "{} {model} {metric}",
                    case.name
                );
            }
        }
    }
    assert_eq!(seen, 5);
}

#[test]
fn bad_rows_are_refused_by_number() {
    let expected = BTreeMap::from([
        ("nan_score", "`champion` must be a finite number; got NaN"),
        ("inf_score", "`champion` must be a finite number; got inf"),
        (
            "nan_weight",
            "`weight` must be a finite number of at least 0; got NaN",
        ),
        (
            "negative_weight",
            "`weight` must be a finite number of at least 0; got -1",
        ),
        ("bad_label", "`label` must be 0 or 1; got 2"),
    ]);
    let mut refused = 0;
    for case in cases().iter().filter(|case| case.must() == "refuse") {
        let error = evaluate(&case.predictions("champion"), &DecisionRule::default()).unwrap_err();
        let row = error.row.unwrap();
        let line = data(&format!("{}.csv", case.name))
            .lines()
            .nth(row)
            .unwrap()
            .to_owned();
        assert!(
            ["nan", "inf", ",-1", "2,"]
                .iter()
                .any(|mark| line.contains(mark)),
            "{}: row {row} is {line}",
            case.name
        );
        let message = expected[case.name.as_str()].replace("`champion`", "`score`");
        assert_eq!(error.to_string(), format!("row {row}: {message}"));
        refused += 1;
    }
    assert_eq!(refused, 5);
}

/// scikit-learn subtracts products of the whole weight, so that digits are lost beside a weight of 1e15. The expected values are of exact
/// fractions: `(TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))` with 60 digits.
#[test]
fn one_weight_of_a_million_billions_leaves_the_correlation_exact() {
    let huge = 1e15;
    // The weights of the true positive, true negative, false positive and false negative row.
    for (weights, exact) in [
        ([huge, 3.0, 0.5, 0.25], 0.889_499_179_993_321),
        ([3.0, huge, 0.25, 0.5], 0.889_499_179_993_321),
        ([1.0, 2.0, huge, 0.5], -0.258_198_889_747_159_7),
        ([1.0, 2.0, 0.5, huge], -0.258_198_889_747_159_7),
    ] {
        let predictions = Predictions {
            labels: &[1, 0, 0, 1],
            scores: &[0.9, 0.1, 0.9, 0.1],
            weights: Some(&weights),
        };
        let found = evaluate(&predictions, &DecisionRule::default()).unwrap();
        let found = found[&Metric::Mcc].defined().unwrap();
        assert!((found - exact).abs() < 1e-15, "{weights:?}: {found}");
    }
}
