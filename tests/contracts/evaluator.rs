//! Comparisons: finished with every metric, or refused in words that name the file.

use podium_api::EvaluationSpec;
use podium_operator::local::evaluator::LocalEvaluator;
use podium_operator::ports::{Compared, Evaluator};
use serde_json::json;
use std::path::Path;

/// An evaluator in whose world `old.csv`, `new.csv` and `broken.csv` exist.
struct Case<E> {
    evaluator: E,
    /// The URI of a file by its name.
    uri: fn(&str) -> String,
}

impl<E: Evaluator> Case<E> {
    async fn compare(&self, challenger: &str) -> Compared {
        let spec: EvaluationSpec = serde_json::from_value(json!({
            "policyRef": {"name": "fraud"},
            "model": "fraud",
            "champion": {"version": "1", "predictions": (self.uri)("old.csv"), "digest": "sha256:0"},
            "challenger": {"version": "2", "predictions": (self.uri)(challenger), "digest": "sha256:1"},
            "columns": {"id": "id", "label": "y", "score": "score"},
            "test": {"primary": {"metric": "rocAuc"}},
            "rowsNoun": "rows",
            "seed": 1
        }))
        .unwrap();
        // Asking again asks how far it is.
        for _ in 0..600 {
            match self.evaluator.evaluate("fraud-1-2", &spec).await.unwrap() {
                Compared::Pending => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await
                }
                ended => return ended,
            }
        }
        panic!("the comparison did not end in a minute");
    }
}

async fn a_comparison_ends_with_every_metric_and_is_repeatable(case: &Case<impl Evaluator>) {
    let Compared::Finished(first) = case.compare("new.csv").await else {
        panic!("the comparison was refused");
    };
    assert_eq!((first.rows, first.challenger.len()), (900, 13));
    assert!(first.metrics[0].low.unwrap() > 0.0);
    assert_eq!(case.compare("new.csv").await, Compared::Finished(first));
}

async fn evidence_that_cannot_be_used_is_refused_by_name(case: &Case<impl Evaluator>) {
    for file in ["broken.csv", "missing.csv"] {
        match case.compare(file).await {
            Compared::Refused(why) => assert!(why.contains(file), "{why}"),
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
