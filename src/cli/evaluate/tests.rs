//! Tests of `podium evaluate`: what its arguments ask for, what it refuses, and its exit code.

use super::*;
use crate::cli::Cli;
use clap::Parser;
use podium_core::comparison::NotComparableReason;
use podium_core::metrics::Costs;
use podium_workload::evaluate::{HoldoutFile, Request};
use std::path::PathBuf;

const FILES: [&str; 8] = [
    "--champion",
    "old.csv",
    "--challenger",
    "new.csv",
    "--id",
    "id",
    "--label",
    "y",
];

fn parsed(more: &[&str]) -> Result<Arguments, String> {
    let arguments = [&["podium", "evaluate"], &FILES[..], more].concat();
    match Cli::try_parse_from(arguments) {
        Ok(Cli {
            command: crate::cli::Command::Evaluate(arguments),
        }) => Ok(*arguments),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn request(more: &[&str]) -> Request {
    parsed(more).unwrap().request().unwrap()
}

#[test]
fn arguments_become_the_request() {
    let plain = request(&[]);
    assert_eq!((plain.seed, plain.confirm_fraction), (None, None));
    assert_eq!(plain.holdout, None);
    let digest = "AB".repeat(32);
    let request = request(&[
        "--holdout",
        "holdout.csv",
        "--holdout-sha256",
        &digest,
        "--confirm-fraction",
        "0.5",
        "--seed",
        "7",
        "--cost-false-positive",
        "2.5",
        "--cost-false-negative",
        "0",
        "--threshold",
        "-1.5",
    ]);
    assert_eq!(
        request.holdout,
        Some(HoldoutFile {
            path: PathBuf::from("holdout.csv"),
            sha256: Some("ab".repeat(32)),
        })
    );
    assert_eq!(
        (request.seed, request.confirm_fraction),
        (Some(7), Some(0.5))
    );
    let decision = request.settings.decision;
    assert_eq!(decision.threshold, -1.5);
    assert_eq!(
        decision.costs,
        Costs {
            false_positive: 2.5,
            false_negative: 0.0
        }
    );
}

#[test]
fn numbers_that_cannot_be_used_are_refused_with_the_name_of_the_flag() {
    let cases: [(&str, &[&str]); 10] = [
        ("--threshold", &["NaN", "inf", "-inf", "high"]),
        ("--min-improvement", &["NaN", "inf", "-0.01"]),
        ("--minimum-positives", &["NaN", "inf", "-1"]),
        ("--cost-false-positive", &["NaN", "inf", "-1"]),
        ("--cost-false-negative", &["NaN", "inf", "-1"]),
        ("--confidence", &["NaN", "0", "1", "-0.5"]),
        ("--allowed-error", &["NaN", "0", "0.6", "-0.1"]),
        ("--confirm-fraction", &["NaN", "0", "1.5", "-0.5"]),
        ("--resamples", &["1", "0"]),
        (
            "--guardrail",
            &["f1:NaN", "f1:inf", "f1:0", "f1:-0.01", "f1:low", "f1"],
        ),
    ];
    for (flag, values) in cases {
        for value in values {
            let refusal = parsed(&[&format!("{flag}={value}")]).unwrap_err();
            let start = format!("error: invalid value '{value}' for '{flag} ");
            assert!(refusal.starts_with(&start), "{refusal}");
        }
    }
    let negative = parsed(&["--min-improvement", "-0.01"]).unwrap_err();
    assert!(negative.contains("got `-0.01`"), "{negative}");
    let refusal = parsed(&["--threshold", "NaN"]).unwrap_err();
    assert!(
        refusal.contains("must be a finite number; got `NaN`"),
        "{refusal}"
    );
}

#[test]
fn flags_that_are_not_read_together_are_refused_together() {
    let refusal = |more: &[&str]| parsed(more).unwrap_err();
    let digest = "0".repeat(64);
    assert!(refusal(&["--holdout-sha256", &digest]).contains("--holdout"));
    let short = refusal(&["--holdout", "h.csv", "--holdout-sha256", "0abc"]);
    assert!(short.contains("64 hexadecimal digits"), "{short}");
    for unread in [
        ["--guardrail", "f1:0.1"],
        ["--primary", "f1"],
        ["--min-improvement", "0.1"],
        ["--interval", "bca"],
        ["--observe", "f1"],
        ["--resamples", "10"],
        ["--allowed-error", "0.01"],
    ] {
        let refusal = refusal(&[&["--separate-intervals"], &unread[..]].concat());
        assert!(refusal.contains(unread[0]), "{refusal}");
    }
    parsed(&["--separate-intervals"]).unwrap();
}

#[test]
fn a_report_is_a_page_beside_its_document() {
    let of = |page: &str| parsed(&["--report", page]).map(|arguments| arguments.report);
    for page in ["a.html", "s3://bucket/a.html", "file://a.html"] {
        assert_eq!(of(page), Ok(Some(page.to_string())));
    }
    let refusal = of("a.json").unwrap_err();
    assert!(refusal.contains("must end with .html"), "{refusal}");
    let in_pod = |flag: &str| {
        Cli::try_parse_from(["podium", "evaluate", flag, "--report", "a.html"]).is_ok()
    };
    assert!(in_pod("--from-environment"));
    assert!(!in_pod("--check-from-environment"));
}

#[test]
fn scripts_can_require_a_superior_challenger() {
    assert!(parsed(&["--require-superior"]).unwrap().require_superior);
    let not_comparable = Verdict::NotComparable {
        reason: NotComparableReason::TooFewClusters {
            clusters: 1,
            needed: 40,
        },
    };
    let others = [Verdict::Inferior, Verdict::Inconclusive, not_comparable];
    for verdict in &others {
        assert_eq!(exit_code(verdict, true), ExitCode::from(HELD));
        assert_eq!(exit_code(verdict, false), ExitCode::SUCCESS);
    }
    assert_eq!(exit_code(&Verdict::Superior, true), ExitCode::SUCCESS);
}

#[test]
fn the_report_holds_what_a_script_needs() {
    let directory = tempfile::tempdir().unwrap();
    let rows = |signal: u32| {
        let row = |row: u32| {
            let label = u32::from(row.is_multiple_of(3));
            format!("{row},{label},0.{}\n", (row * 37 % 50) + signal * label)
        };
        format!("id,y,score\n{}", (0..600).map(row).collect::<String>())
    };
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("old.csv"), rows(10)).unwrap();
    std::fs::write(path("new.csv"), rows(40)).unwrap();
    let arguments = [
        "podium",
        "evaluate",
        "--champion",
        &path("old.csv"),
        "--challenger",
        &path("new.csv"),
        "--id",
        "id",
        "--label",
        "y",
    ];
    let Cli { command } = Cli::try_parse_from(arguments).unwrap();
    let crate::cli::Command::Evaluate(arguments) = command else {
        panic!("{command:?}");
    };
    let request = arguments.request().unwrap();
    let Evaluated {
        evidence,
        comparison,
    } = with_a_bar(|show| {
        let files = EvidenceFiles::default();
        evaluate::evaluate(&files, &request, None, show)
    })
    .unwrap();
    let report = serde_json::to_value(Report {
        verdict: comparison.verdict.name(),
        sentence: "The challenger is better.",
        evidence: &evidence,
        comparison: &comparison,
    })
    .unwrap();
    assert_eq!(report["verdict"], "Superior");
    assert_eq!(report["comparison"]["metrics"][0]["metric"], "rocAuc");
    assert_eq!(report["comparison"]["statistics"]["rows"], 600);
    assert_eq!(report["evidence"]["seed"], evidence.seed);
    assert_eq!(report["evidence"]["fingerprint"], evidence.fingerprint);
    assert_eq!(report["evidence"]["challenger"]["path"], path("new.csv"));
    assert_eq!(report["evidence"]["challenger"]["rows"], 600);
    let keys: Vec<&String> = report["evidence"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["challenger", "champion", "fingerprint", "seed"]);
}

#[test]
fn a_pod_asks_by_its_environment_alone() {
    for flag in ["--from-environment", "--check-from-environment"] {
        let parsed = Cli::try_parse_from(["podium", "evaluate", flag]);
        assert!(parsed.is_ok(), "{parsed:?}");
        let both = parsed_with_files(flag);
        assert!(both.contains("cannot be used with"), "{both}");
    }
}

fn parsed_with_files(flag: &str) -> String {
    parsed(&[flag]).unwrap_err()
}
