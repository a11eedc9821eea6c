use proptest::prelude::*;

use super::*;

fn combined(message: &str) -> Result<Vec<CombinedMetric>, String> {
    parse_termination_message(message, KEPT_BYTES)
        .and_then(|report| report.combine())
        .map_err(|error| error.to_string())
}

fn one(message: &str) -> (String, f64, f64, u32) {
    let metrics = combined(message).unwrap();
    assert_eq!(metrics.len(), 1, "{metrics:?}");
    (
        metrics[0].name.clone(),
        metrics[0].value,
        metrics[0].weight,
        metrics[0].parts,
    )
}

#[test]
fn whole_metrics_pass_through() {
    assert_eq!(
        one(r#"{"metrics": {"auc": 0.93}}"#),
        ("auc".into(), 0.93, 1.0, 1)
    );
    assert_eq!(
        one(r#"{"metrics": {"auc": 1}, "weights": {"auc": 67240}}"#),
        ("auc".into(), 1.0, 67240.0, 1)
    );
    assert_eq!(
        one(r#"{"metrics": {"my_fold_rate": 0.5}, "weights": null}"#),
        ("my_fold_rate".into(), 0.5, 1.0, 1)
    );
}

#[test]
fn parts_are_combined_by_weight() {
    let own = r#"{"metrics": {"auc_fold_1": 0.9, "auc_fold_2": 0.5}, "weights": {"auc_fold_1": 3, "auc_fold_2": 1}}"#;
    assert_eq!(one(own), ("auc".into(), 0.8, 4.0, 2));
    let shared = r#"{"metrics": {"auc_shard_0": 0.9, "auc_shard_10": 0.5}, "weights": {"shard_0": 3, "shard_10": 1}}"#;
    assert_eq!(one(shared), ("auc".into(), 0.8, 4.0, 2));
    assert_eq!(
        one(r#"{"metrics": {"auc": [0.9, 0.5]}, "weights": {"auc": [3, 1]}}"#),
        ("auc".into(), 0.8, 4.0, 2)
    );
    assert_eq!(
        one(r#"{"metrics": {"auc": [0.75, 0.25]}}"#),
        ("auc".into(), 0.5, 2.0, 2)
    );
    assert_eq!(
        one(r#"{"metrics": {"auc": [0.75, 0.25]}, "weights": {"auc": [0, 5]}}"#),
        ("auc".into(), 0.25, 5.0, 2)
    );
}

#[test]
fn a_whole_beside_its_parts_keeps_its_value() {
    let message = r#"{"metrics": {"auc": 0.93, "auc_fold_1": 0.9, "auc_fold_2": 0.5}, "weights": {"fold_1": 3, "fold_2": 1}}"#;
    assert_eq!(one(message), ("auc".into(), 0.93, 4.0, 2));
}

#[test]
fn numbers_that_json_lacks_name_their_metric() {
    for (written, read) in [
        ("NaN", "NaN"),
        ("Infinity", "inf"),
        ("-Infinity", "-inf"),
        ("\"NaN\"", "NaN"),
    ] {
        let message =
            format!(r#"{{"metrics": {{"a NaN \" name": 1, "loss": {written}, "auc": 0.9}}}}"#);
        assert_eq!(
            combined(&message),
            Err(format!(
                "the metric `loss` must be a finite number, not {read}"
            ))
        );
    }
    let part = r#"{"metrics": {"loss_fold_1": 0.1, "loss_fold_2": NaN}}"#;
    assert_eq!(
        combined(part).unwrap_err(),
        "the metric `loss_fold_2` must be a finite number, not NaN"
    );
    let array = r#"{"metrics": {"loss": [0.1, Infinity]}}"#;
    assert_eq!(
        combined(array).unwrap_err(),
        "the metric `loss` must be a finite number, not inf"
    );
    let weight = r#"{"metrics": {"loss": 0.1}, "weights": {"loss": NaN}}"#;
    assert_eq!(
        combined(weight).unwrap_err(),
        "the weight `loss` must be a finite number, at least 0, not NaN"
    );
}

#[test]
fn a_message_that_was_cut_is_told_apart_from_a_broken_one() {
    let long = format!(r#"{{"metrics": {{"auc": 0.9, "{}"#, "x".repeat(5000));
    let cut = combined(&long[..4096]).unwrap_err();
    assert!(
        cut.starts_with("the termination message must be shorter than 4096 bytes")
            && cut.contains("it was cut"),
        "{cut}"
    );
    let broken = combined(&long[..4095]).unwrap_err();
    assert!(
        broken.starts_with("the termination message must be one JSON object:"),
        "{broken}"
    );
    let filler = " ".repeat(4096 - r#"{"metrics": {"x": 1}}"#.len());
    let full = format!(r#"{{"metrics": {{"x": {filler}1}}}}"#);
    assert_eq!(full.len(), 4096);
    assert!(
        combined(&full).is_ok(),
        "a whole message of 4096 bytes is fine"
    );
}

#[test]
fn what_must_hold_is_said_in_words() {
    for (message, told) in [
        (
            "",
            "the termination message must be a JSON object with `metrics`; it is empty",
        ),
        (
            "[1]",
            "the termination message must be a JSON object with `metrics`",
        ),
        (
            r#"{"auc": 1}"#,
            r#"the termination message must have `metrics`, as in {"metrics": {"auc": 0.93}}"#,
        ),
        (
            r#"{"metrics": {}}"#,
            "`metrics` must be a JSON object from names to numbers, with at least one",
        ),
        (
            r#"{"metrics": [1]}"#,
            "`metrics` must be a JSON object from names to numbers, with at least one",
        ),
        (
            r#"{"metrics": {"auc": null}}"#,
            "the metric `auc` must be a number, not null",
        ),
        (
            r#"{"metrics": {"auc": "high"}}"#,
            "the metric `auc` must be a number, not \"high\"",
        ),
        (
            r#"{"metrics": {"auc": []}}"#,
            "the metric `auc` must have at least one part",
        ),
        (r#"{"metrics": {"": 1}}"#, "each metric must have a name"),
        (
            r#"{"metrics": {"auc": 1}, "wieghts": {}}"#,
            "the termination message may have `metrics` and `weights`, but not `wieghts`",
        ),
        (
            r#"{"metrics": {"auc": 1, "loss": 2, "auc": 0.5}}"#,
            "the termination message must name each thing once; the metric `auc` stands in it twice",
        ),
        (
            r#"{"metrics": {"auc": 1, "a\u0075c": 1}}"#,
            "the termination message must name each thing once; the metric `auc` stands in it twice",
        ),
        (
            r#"{"metrics": {"auc": 1}, "weights": {"auc": 3, "auc": 3}}"#,
            "the termination message must name each thing once; the weight `auc` stands in it twice",
        ),
        (
            r#"{"metrics": {"auc": 1}, "metrics": {"loss": 1}}"#,
            "the termination message must name each thing once; `metrics` stands in it twice",
        ),
        (
            r#"{"metrics": {"auc": 1}, "weights": 3}"#,
            "`weights` must be a JSON object from names to numbers",
        ),
        (
            r#"{"metrics": {"auc": 1}, "weights": {"acu": 3}}"#,
            "the weight `acu` must have the name of a metric or of a part",
        ),
        (
            r#"{"metrics": {"auc": 1}, "weights": {"auc": -3}}"#,
            "the weight `auc` must be a finite number, at least 0, not -3",
        ),
        (
            r#"{"metrics": {"auc": 1}, "weights": {"auc": 0}}"#,
            "the weights of the metric `auc` must add up to a finite number above 0",
        ),
        (
            r#"{"metrics": {"auc": [1, 2]}, "weights": {"auc": 3}}"#,
            "the metric `auc` must have as many weights as values; it has 1 and 2",
        ),
        (
            r#"{"metrics": {"auc_fold_1": 1, "auc_fold_2": 1}, "weights": {"auc_fold_1": 3}}"#,
            "every part of the metric `auc` must have a weight, or none; 1 of 2 have one",
        ),
    ] {
        assert_eq!(combined(message).unwrap_err(), told, "{message}");
    }
}

proptest! {
    #[test]
    fn a_mean_lies_between_its_parts(parts in prop::collection::vec((-1e6_f64..1e6, 0.0_f64..1e9), 1..9)) {
        let (values, weights): (Vec<f64>, Vec<f64>) = parts.into_iter().unzip();
        let report = Report { metrics: [("m".into(), values.clone())].into(), weights: [("m".into(), weights.clone())].into() };
        prop_assume!(weights.iter().sum::<f64>() > 0.0);
        let metric = report.combine().unwrap().remove(0);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(low - 1e-6 <= metric.value && metric.value <= high + 1e-6);
    }

    #[test]
    fn any_text_is_read_or_refused(message in "\\PC{0,60}|[{}\\[\\]\":,a-zA-Z0-9\\\\ -]{0,60}") {
        let _ = combined(&message);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_message() {
    let report = parse_termination_message("\u{feff}{\"metrics\": {\"auc\": 0.5}}", 4096);
    assert_eq!(report.unwrap().metrics.len(), 1);
}

#[test]
fn what_the_record_has_no_place_for_is_refused_by_name() {
    let refusal = |message: &str| {
        let report = parse_termination_message(message, 1 << 20).unwrap();
        report.combine().unwrap_err().to_string()
    };
    let many: Vec<String> = (0..=MOST_METRICS).map(|n| format!("\"m{n}\":1")).collect();
    let cases = [
        (
            r#"{"metrics":{"loss":3.4e38}}"#.to_string(),
            "the metric `loss` must lie between -1e18 and 1e18, not be 3.4e38",
        ),
        (
            r#"{"metrics":{"loss":1},"weights":{"loss":1e19}}"#.to_string(),
            "the weights of the metric `loss` must come to at most 1e18",
        ),
        (
            format!(r#"{{"metrics":{{"{}":1}}}}"#, "m".repeat(251)),
            "must have a name of at most 250 characters, not 251",
        ),
        (
            format!(r#"{{"metrics":{{{}}}}}"#, many.join(",")),
            "at most 200 metrics, not 201",
        ),
    ];
    for (message, said) in cases {
        let refusal = refusal(&message);
        assert!(refusal.contains(said), "{refusal}");
    }
}
