//! Comparisons: finished with every metric, or refused in words that name the file.

use podium_api::EvaluationSpec;
use podium_operator::local::evaluator::LocalEvaluator;
use podium_operator::ports::{EvaluationState, Evaluator};
use serde_json::json;
use std::path::Path;

/// An evaluator in whose world `old.csv`, `new.csv` and `broken.csv` exist.
struct Case<E> {
    evaluator: E,
    /// The URI of a file by its name.
    uri: fn(&str) -> String,
}

impl<E: Evaluator> Case<E> {
    async fn compare(&self, challenger: &str) -> EvaluationState {
        let spec: EvaluationSpec = serde_json::from_value(json!({
            "policyRef": {"name": "fraud"},
            "model": "fraud",
            "champion": {"version": "1", "predictions": (self.uri)("old.csv")},
            "challenger": {"version": "2", "predictions": (self.uri)(challenger)},
            "columns": {"id": "id", "label": "y", "score": "score"},
            "test": {"primary": {"metric": "rocAuc"}},
            "rowsNoun": "rows"
        }))
        .unwrap();
        // Asking again asks how far it is.
        for _ in 0..600 {
            match self.evaluator.evaluate("fraud-1-2", &spec).await.unwrap() {
                EvaluationState::Pending => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await
                }
                ended => return ended,
            }
        }
        panic!("the comparison did not end in a minute");
    }
}

async fn a_comparison_ends_with_every_metric_and_is_repeatable(case: &Case<impl Evaluator>) {
    let EvaluationState::Finished(first) = case.compare("new.csv").await else {
        panic!("the comparison was refused");
    };
    let statistics = &first.statistics;
    assert_eq!((statistics.rows, statistics.challenger.len()), (900, 13));
    assert!(statistics.metrics[0].difference.unwrap() > 0.0);
    let evidence = &first.evidence;
    assert_eq!(
        (evidence.champion.rows, evidence.challenger.rows),
        (900, 900)
    );
    assert_ne!(evidence.champion.sha256, evidence.challenger.sha256);
    assert_eq!(evidence.fingerprint.len(), 64);
    assert_eq!(
        case.compare("new.csv").await,
        EvaluationState::Finished(first)
    );
}

async fn evidence_that_cannot_be_used_is_refused_by_name(case: &Case<impl Evaluator>) {
    for file in ["broken.csv", "missing.csv"] {
        match case.compare(file).await {
            EvaluationState::Refused(why) => assert!(why.contains(file), "{why}"),
            other => panic!("{file}: {other:?}"),
        }
    }
}

fn write_files(directory: &Path) {
    let noise = |row: u32, step: u32| f64::from(row * step % 97) / 97.0;
    let rows = |signal: f64, step: u32| {
        let lines = (0..900_u32).map(|row| {
            let label = u32::from(row % 3 == 0);
            format!(
                "{row},{label},{}\n",
                signal * f64::from(label) + (1.0 - signal) * noise(row, step)
            )
        });
        format!("id,y,score\n{}", lines.collect::<String>())
    };
    std::fs::write(directory.join("old.csv"), rows(0.1, 31)).unwrap();
    std::fs::write(directory.join("new.csv"), rows(0.4, 53)).unwrap();
    std::fs::write(directory.join("broken.csv"), "id,y,score\n1,1,high\n").unwrap();
}

fn local() -> (Case<LocalEvaluator>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path());
    let evaluator = LocalEvaluator::new(directory.path().to_path_buf());
    (
        Case {
            evaluator,
            uri: |name| format!("file://{name}"),
        },
        directory,
    )
}

suite! {
    local_evaluator => super::local();
    [
        a_comparison_ends_with_every_metric_and_is_repeatable,
        evidence_that_cannot_be_used_is_refused_by_name,
    ]
}
