//! What is said arrives, and nobody who writes something else is believed or does harm.

use super::*;
use podium_core::comparison::{Holdout, Statistics, judge, measure};
use podium_core::random::Stream;
use proptest::prelude::*;
use serde_json::{Value, json};

const GUARDED: [&str; 4] = ["f1", "logLoss", "rocAuc", "precision"];

/// A comparison with twenty guardrails, each on a slice of its own.
fn spec(test: &Value) -> EvaluationSpec {
    let slices = (0..20)
        .map(|n| json!({"name": format!("slice-{n}"), "column": "c", "equals": format!("{n}")}));
    let guardrails = (0..20).map(|n| {
        json!({"metric": GUARDED[n % 4], "slice": format!("slice-{n}"), "maxRegression": 0.01 + 0.001 * n as f64})
    });
    let mut all = json!({
        "primary": {"metric": "rocAuc"}, "resamples": 200, "minimumPositives": 5,
        "guardrails": guardrails.collect::<Vec<_>>(), "observe": ["averagePrecision", "mcc", "brier", "ks"],
    });
    let fields = all.as_object_mut().unwrap();
    fields.extend(test.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "policyRef": {"name": "fraud"}, "model": "fraud",
        "champion": {"version": "7", "predictions": "s3://evaluation/fraud/7/predictions.parquet"},
        "challenger": {"version": "8", "predictions": "s3://evaluation/fraud/8/predictions.parquet"},
        "holdout": {"uri": "s3://evaluation/fraud/holdout.parquet"},
        "columns": {"id": "id", "label": "y"}, "slices": slices.collect::<Vec<_>>(), "test": all,
        "rowsNoun": "transactions",
    }))
    .unwrap()
}

/// The tests that decide by each kind of interval.
fn tests() -> Vec<Value> {
    let by = |interval: &str| json!({"interval": interval, "reuse": {"spending": "None"}});
    let separate = json!({"method": "SeparateIntervals", "primary": null, "guardrails": [], "observe": [], "resamples": 10});
    vec![
        json!({}),
        by("Percentile"),
        by("Basic"),
        by("BCa"),
        separate,
    ]
}

/// Rows of two models, of which the challenger is so much better, or worse.
fn holdout(seed: u64, rows: usize, lead: f64) -> Holdout {
    let mut stream = Stream::new(seed, &[]);
    let mut holdout = Holdout {
        weights: Some(Vec::new()),
        ..Holdout::default()
    };
    let score = |value: f64| 1.0 / (1.0 + (-value).exp());
    for _ in 0..rows {
        let label = u8::from(stream.uniform() < 0.4);
        let risk = f64::from(label) + stream.normal();
        holdout.labels.push(label);
        holdout.champion.push(score(risk + stream.normal()));
        holdout
            .challenger
            .push(score(risk + lead * f64::from(label) + stream.normal()));
        holdout
            .weights
            .iter_mut()
            .for_each(|weights| weights.push(0.5 + stream.uniform()));
    }
    for n in 0..20 {
        let members = (0..rows).map(|row| row % 3 != n % 3).collect();
        holdout.slices.insert(format!("slice-{n}"), members);
    }
    holdout
}

fn file(uri: &str, seed: u64) -> FileStatus {
    let digest = hex(&sha256(&seed.to_be_bytes()));
    FileStatus {
        uri: uri.to_string(),
        etag: Some(format!("\"{}-12\"", &digest[..32])),
        sha256: digest,
        size: i64::try_from(seed % (1 << 40)).unwrap(),
        rows: 67_080,
    }
}

fn result(spec: &EvaluationSpec, seed: u64, statistics: Statistics) -> EvaluationResult {
    let holdout = spec
        .holdout
        .as_ref()
        .map(|asked| file(&asked.uri, seed + 2));
    EvaluationResult {
        evidence: EvidenceStatus {
            read_time: None,
            champion: file(&spec.champion.predictions, seed),
            challenger: file(&spec.challenger.predictions, seed + 1),
            holdout,
            fingerprint: hex(&sha256(b"fingerprint")),
            sketch: Sketch::of(seed..seed + 2_000).to_text(),
        },
        statistics,
        left_out: Vec::new(),
        report: None,
    }
}

fn measured(spec: &EvaluationSpec, seed: u64, rows: usize, lead: f64) -> EvaluationResult {
    let settings = comparison_settings(&spec.test);
    let rows = holdout(seed, rows, lead);
    let statistics = measure(&rows, &settings, seed, &mut |_, _| {}).unwrap();
    result(spec, seed, statistics)
}

fn sent(question: &str, spec: &EvaluationSpec, outcome: &Outcome) -> Outcome {
    let message = encode(question, outcome);
    assert!(message.len() < KEPT_BYTES, "{} bytes", message.len());
    decode(question, spec, Some(&message)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_compared_arrives_with_all_that_decides(
        seed in 0..1_u64 << 40, rows in 30..400_usize, lead in -1.0..1.5, kind in 0..5_usize, report in 0..3_usize,
    ) {
        let spec = spec(&tests()[kind]);
        let mut made = measured(&spec, seed, rows, lead);
        made.report = reports()[report].clone();
        let outcome = Outcome::Compared(Box::new(made.clone()));
        let Outcome::Compared(arrived) = sent("question", &spec, &outcome) else {
            panic!("it was compared");
        };
        prop_assert_eq!(&arrived.evidence, &made.evidence);
        match (&made.report, &arrived.report) {
            (Some(ReportState::NotWritten(why)), Some(ReportState::NotWritten(said))) => {
                prop_assert!(why.starts_with(said), "{}", said);
            }
            (made, arrived) => prop_assert_eq!(made, arrived),
        }
        let expected = without_parts(&made.statistics, &arrived.left_out);
        prop_assert_eq!(&arrived.statistics, &expected);
        for error in [0.025, 0.0152, 0.001, 0.0] {
            let [whole, rest] = [&made.statistics, &arrived.statistics].map(|it| judge(it, &[], error));
            prop_assert_eq!(&whole.verdict, &rest.verdict);
            prop_assert_eq!(whole.least_improvement(), rest.least_improvement());
            prop_assert_eq!(whole.minimum_detectable_effect, rest.minimum_detectable_effect);
            for (whole, rest) in whole.metrics.iter().zip(&rest.metrics) {
                if whole.role.decides() {
                    prop_assert_eq!((whole.outcome, whole.p_value), (rest.outcome, rest.p_value));
                }
            }
        }
    }

    #[test]
    fn nothing_that_anybody_writes_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let spec = spec(&json!({}));
        // Also where all digests are right.
        let _ = decode("question", &spec, Some(&sealed("question", &deflated(&bytes))));
        let _ = decode("question", &spec, Some(&sealed("question", &bytes)));
        let _ = decode("question", &spec, Some(&String::from_utf8_lossy(&bytes)));
    }
}

/// A comparison without a report, with one, and with one that could not be written for a reason that does not compress.
fn reports() -> [Option<ReportState>; 3] {
    let why: String = (0..40_u64)
        .map(|n| hex(&sha256(&n.to_be_bytes())))
        .collect();
    [
        None,
        Some(ReportState::of("s3://b/fraud/fraud-7-8.html", Ok(()))),
        Some(ReportState::NotWritten(why)),
    ]
}

fn small(report: Option<ReportState>) -> (EvaluationSpec, Outcome) {
    let few = json!({"guardrails": [{"metric": "f1", "maxRegression": 0.01}], "observe": ["averagePrecision"]});
    let spec = spec(&few);
    let mut made = measured(&spec, 3, 300, 0.5);
    made.report = report;
    (spec, Outcome::Compared(Box::new(made)))
}

#[test]
fn a_small_comparison_arrives_whole() {
    let denied = ReportState::NotWritten("access denied".to_string());
    let [none, written, _] = reports();
    for report in [none, written, Some(denied)] {
        let (spec, outcome) = small(report);
        assert_eq!(sent("question", &spec, &outcome), outcome);
    }
}

#[test]
fn why_a_report_was_not_written_is_one_line_and_bounded() {
    let why = format!("\u{1b}[2Jdenied\n{}", "é".repeat(5_000));
    let (spec, outcome) = small(Some(ReportState::NotWritten(why)));
    let Outcome::Compared(arrived) = sent("question", &spec, &outcome) else {
        panic!("it was compared");
    };
    let Some(ReportState::NotWritten(said)) = &arrived.report else {
        panic!("{:?}", arrived.report);
    };
    assert!(said.starts_with(" [2Jdenied é"), "{said}");
    assert!(said.len() <= REPORT_WORDS);
}

#[test]
fn what_is_missing_refused_or_changed_arrives_as_a_file_of_the_question() {
    let spec = spec(&json!({}));
    let files = EvidenceFile::ALL.to_vec();
    for outcome in [
        Outcome::Missing(files),
        Outcome::Refused("row 7: the label must be 0 or 1".to_string()),
        Outcome::Unreadable("access denied".to_string()),
        Outcome::Unchanged,
        Outcome::Changed(EvidenceFile::Holdout),
    ] {
        assert_eq!(sent("question", &spec, &outcome), outcome);
    }
    let without_holdout = EvaluationSpec {
        holdout: None,
        ..spec
    };
    let of_nothing = encode("question", &Outcome::Changed(EvidenceFile::Holdout));
    let found = decode("question", &without_holdout, Some(&of_nothing));
    assert_eq!(found, Err(MessageError::Unreadable));
}

#[test]
fn a_message_that_is_cut_or_changed_is_found_out() {
    let spec = spec(&json!({}));
    let message = encode("question", &Outcome::Refused("why".to_string()));
    for end in 0..message.len() {
        let found = decode("question", &spec, Some(&message[..end]));
        assert!(found.is_err(), "{end}: {found:?}");
    }
    for place in FORM.len()..message.len() {
        let mut changed = message.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let found = decode("question", &spec, Some(&changed));
        assert_eq!(found, Err(MessageError::Cut), "{place}");
    }
    let said = |message: Option<&str>| decode("question", &spec, message).unwrap_err();
    assert_eq!(said(None), MessageError::Absent);
    assert_eq!(said(Some(" \n")), MessageError::Absent);
    assert_eq!(said(Some("panicked at line 7")), MessageError::Unreadable);
    let other = decode("another question", &spec, Some(&message));
    assert_eq!(other, Err(MessageError::OtherQuestion));
}

#[test]
fn a_few_bytes_do_not_become_very_many() {
    let spec = spec(&json!({}));
    let bomb = sealed("question", &deflated(&vec![0; 50_000_000]));
    let found = decode("question", &spec, Some(&bomb));
    assert_eq!(found, Err(MessageError::Unreadable));
}

#[test]
fn a_reason_is_one_line_of_text_and_bounded() {
    let spec = spec(&json!({}));
    let why = format!("\u{1b}[2Jgone\n{}", "é".repeat(5_000));
    let Outcome::Refused(arrived) = sent("question", &spec, &Outcome::Refused(why)) else {
        panic!("it was refused");
    };
    assert!(arrived.starts_with(" [2Jgone é"), "{arrived}");
    assert!(arrived.len() <= WORDS);
}

/// Digests, sizes, a sketch and statistics of another comparison are none of this one.
#[test]
fn a_comparison_of_other_settings_does_not_pass() {
    let asked = spec(&json!({}));
    let other = spec(&json!({"guardrails": [{"metric": "f1", "maxRegression": 0.01}]}));
    let made = Outcome::Compared(Box::new(measured(&other, 5, 300, 0.5)));
    let message = encode("question", &made);
    let found = decode("question", &asked, Some(&message));
    assert_eq!(found, Err(MessageError::Unreadable));
}
