//! What a report holds, that nothing in it is markup but the page's own, and that it is written whole or not at all.

use super::{AskedBy, Evidence, File, Report, ReportError, document, page, write};
use podium_core::comparison::{
    Comparison, Guardrail, Holdout, Measurement, Settings, judge, measure,
};
use podium_core::metrics::Metric;
use podium_workload::evaluate::{Expected, Request, Slice, Source};
use podium_workload::table::LocalFiles;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A comparison in which everything that comes from users is called like this.
struct Case {
    name: String,
    request: Request,
    evidence: Evidence,
    comparison: Comparison,
}

impl Case {
    fn called(name: &str) -> Self {
        let settings = Settings {
            resamples: 200,
            guardrails: vec![Guardrail {
                metric: Metric::F1,
                slice: Some(name.to_string()),
                max_regression: 0.05,
            }],
            observed: vec![Metric::LogLoss],
            ..Settings::default()
        };
        let score = |row: u32, step: u32, signal: f64| {
            let label = f64::from(u32::from(row.is_multiple_of(3)));
            signal * label + (1.0 - signal) * f64::from(row * step % 97) / 97.0
        };
        let rows = 0..600_u32;
        let holdout = Holdout {
            labels: rows
                .clone()
                .map(|row| u8::from(row.is_multiple_of(3)))
                .collect(),
            champion: rows.clone().map(|row| score(row, 31, 0.1)).collect(),
            challenger: rows.clone().map(|row| score(row, 53, 0.4)).collect(),
            slices: [(name.to_string(), rows.map(|row| row % 5 != 0).collect())].into(),
            ..Holdout::default()
        };
        let statistics = measure(&holdout, &settings, 7, &mut |_, _| {}).unwrap();
        let size = Measurement {
            name: name.to_string(),
            champion: 10.0,
            challenger: 10.5,
            max_increase_percent: 10.0,
        };
        let file = |of: &str| File {
            uri: format!("s3://evaluation/{of}/{name}"),
            sha256: "ab".repeat(32),
            size: 12_345,
            rows: 600,
        };
        Self {
            name: name.to_string(),
            request: Request {
                source: Source::TwoFiles {
                    champion: PathBuf::from("1"),
                    challenger: PathBuf::from("2"),
                    score: name.to_string(),
                },
                holdout: None,
                champion: Expected::default(),
                challenger: Expected::default(),
                id: Some(name.to_string()),
                label: name.to_string(),
                weight: None,
                cluster: None,
                slices: vec![Slice {
                    name: name.to_string(),
                    column: name.to_string(),
                    equals: name.to_string(),
                }],
                confirm_fraction: Some(0.5),
                settings,
                seed: None,
            },
            evidence: Evidence {
                champion: file("1"),
                challenger: file("2"),
                holdout: None,
                fingerprint: "cd".repeat(32),
            },
            comparison: judge(&statistics, &[size], 0.025),
        }
    }

    fn report(&self) -> Report<'_> {
        Report {
            asked_by: Some(AskedBy {
                policy: &self.name,
                evaluation: &self.name,
                model: &self.name,
            }),
            champion: &self.name,
            challenger: &self.name,
            rows: &self.name,
            request: &self.request,
            evidence: &self.evidence,
            comparison: &self.comparison,
            sentence: &self.name,
        }
    }
}

#[test]
fn the_document_holds_what_was_asked_read_and_found() {
    let case = Case::called("night");
    let text = document(&case.report()).unwrap();
    let mut found: Value = serde_json::from_str(&text).unwrap();
    let comparison = found["comparison"].take();
    assert_eq!(comparison, serde_json::to_value(&case.comparison).unwrap());
    let note = found["note"].take();
    assert!(
        note.as_str()
            .unwrap()
            .contains("The policy takes its verdict")
    );
    let file = |of: &str| {
        json!({
            "uri": format!("s3://evaluation/{of}/night"), "sha256": "ab".repeat(32), "size": 12345, "rows": 600,
        })
    };
    assert_eq!(
        found,
        json!({
            "podium": env!("CARGO_PKG_VERSION"), "policy": "night", "evaluation": "night", "model": "night",
            "champion": "night", "challenger": "night", "verdict": "Superior", "sentence": "night",
            "note": null, "comparison": null, "confirmFraction": 0.5,
            "columns": {
                "id": "night", "label": "night", "championScore": "night", "challengerScore": "night",
            },
            "slices": [{"name": "night", "column": "night", "equals": "night"}],
            "evidence": {
                "champion": file("1"), "challenger": file("2"), "fingerprint": "cd".repeat(32),
            },
        })
    );
    let by_hand = Report {
        asked_by: None,
        ..case.report()
    };
    let text = document(&by_hand).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    for absent in ["policy", "evaluation", "model", "note"] {
        assert_eq!(found.get(absent), None, "{absent}");
    }
    assert!(!page(&by_hand).contains("ChampionPolicy"));
}

#[test]
fn the_page_shows_metrics_slices_measurements_and_what_was_read() {
    let case = Case::called("night");
    let page = page(&case.report());
    for part in [
        "<title>night: night against night</title>",
        "<p class=\"verdict good\"><strong>Superior</strong> night</p>",
        "<p>One-sided error: 2.5%.",
        "at 95%; the dashed mark",
        "<td>must not be worse than allowed</td>",
        // One for shares, one for the log loss.
        "<text x=\"250.0\" y=\"49.0\" text-anchor=\"end\">F1 (night)</text>",
        "<text x=\"250.0\" y=\"19.0\" text-anchor=\"end\">log loss</text>",
        "<th scope=\"row\">night</th><td>10.00</td><td>10.50</td><td>10.00%</td><td>not worse than allowed</td>",
        "<th scope=\"row\">night</th><td>night</td><td>night</td>",
        "<th scope=\"row\">ROC AUC</th><td>DeLong</td>",
        "<td>s3://evaluation/1/night</td><td>600</td><td>12345</td>",
        "<th scope=\"row\">seed</th><td>7</td>",
        "<th scope=\"row\">share of the rows that was compared</th><td>50%</td>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(page.matches("<svg ").count(), 2);
}

#[test]
fn names_of_users_are_no_markup_and_nothing_is_loaded() {
    let bad = "</title><script src=//x>\"'&<img onerror=y>\u{202e}";
    let case = Case::called(bad);
    let page = page(&case.report());
    assert!(page.contains("&lt;script src=//x&gt;"));
    assert!(!page.contains('\u{202e}'));
    for markup in [
        "<script", "<img", "<link", "<iframe", "href=", "url(", "@import",
    ] {
        assert!(!page.contains(markup), "{markup}: {page}");
    }
    assert!(page.contains("default-src 'none'"));
    // As many tags as with a name that holds none.
    let plain = super::page(&Case::called("night").report());
    let of = |page: &str| page.matches('<').count();
    assert_eq!(of(&page), of(&plain));
    let text = document(&case.report()).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["slices"][0]["name"], bad);
}

#[test]
fn the_same_comparison_made_again_is_the_same_report() {
    let (first, again) = (Case::called("night"), Case::called("night"));
    assert_eq!(page(&first.report()), page(&again.report()));
    let texts = [&first, &again].map(|case| document(&case.report()).unwrap());
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn a_report_is_written_beside_its_document_and_over_no_input() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let case = Case::called("night");
    let written =
        |name: &str, inputs: &[&Path]| write(&LocalFiles, &path(name), inputs, &case.report());
    for _ in 0..2 {
        written("reports/fraud/a.html", &[]).unwrap();
    }
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!(read("reports/fraud/a.html"), page(&case.report()));
    assert_eq!(
        read("reports/fraud/a.json"),
        document(&case.report()).unwrap()
    );

    for name in ["reports/a.json", "reports/a"] {
        let refusal = written(name, &[]).unwrap_err();
        assert!(matches!(refusal, ReportError::NoPage), "{refusal}");
    }
    std::fs::create_dir(path("parts")).unwrap();
    let within = written("parts/a.html", &[&path("parts")]).unwrap_err();
    assert!(within.to_string().contains("which is an input"), "{within}");
    assert_eq!(std::fs::read_dir(path("parts")).unwrap().count(), 0);

    let endless = Case::called(&"é".repeat(1 << 20));
    let refusal = write(&LocalFiles, &path("long.html"), &[], &endless.report()).unwrap_err();
    assert!(matches!(refusal, ReportError::TooLong(_)), "{refusal}");
    assert!(!path("long.html").exists());
}
