//! Comparisons: finished with every metric, or refused in words that name the file; and looks whether their files are still what was read.

use podium_api::evaluation::{EvaluationStatus, EvidenceStatus};
use podium_api::{Evaluation, EvaluationSpec};
use podium_core::evaluation::EvidenceFile;
use podium_operator::local::evaluator::LocalEvaluator;
use podium_operator::ports::{ConfirmationState, EvaluationRun, EvaluationState, Evaluator};
use serde_json::json;
use std::path::Path;

/// An evaluator in whose world `old.csv`, `new.csv` and `broken.csv` exist.
struct Case<E> {
    evaluator: E,
    /// The URI of a file by its name.
    uri: fn(&str) -> String,
    /// Writes other bytes to a file by its name, or deletes it for none.
    replace: Replace,
}

/// See [`Case::replace`].
type Replace = Box<dyn Fn(&str, Option<&str>)>;

fn first_run(evaluation: &Evaluation) -> EvaluationRun<'_> {
    EvaluationRun {
        evaluation,
        number: 1,
        pod_template: None,
        reports: None,
        may_begin: true,
    }
}

impl<E: Evaluator> Case<E> {
    fn comparison(&self, challenger: &str) -> Evaluation {
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
        Evaluation::new("fraud-1-2", spec)
    }

    async fn compare(&self, challenger: &str) -> EvaluationState {
        let evaluation = self.comparison(challenger);
        // Asking again asks how far it is.
        for _ in 0..600 {
            match self
                .evaluator
                .evaluate(&first_run(&evaluation))
                .await
                .unwrap()
            {
                EvaluationState::Begun | EvaluationState::Pending(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await
                }
                ended => return ended,
            }
        }
        panic!("the comparison did not end in a minute");
    }

    /// What a look finds at the files of a comparison that read these.
    async fn confirm(&self, evidence: Option<EvidenceStatus>) -> ConfirmationState {
        let mut evaluation = self.comparison("new.csv");
        evaluation.status = Some(EvaluationStatus {
            evidence,
            ..EvaluationStatus::default()
        });
        for _ in 0..600 {
            match self
                .evaluator
                .confirm(&first_run(&evaluation))
                .await
                .unwrap()
            {
                ConfirmationState::Pending => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await
                }
                ended => return ended,
            }
        }
        panic!("the look did not end in a minute");
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

async fn a_look_finds_files_that_changed_or_went_away(case: &Case<impl Evaluator>) {
    let EvaluationState::Finished(read) = case.compare("new.csv").await else {
        panic!("the comparison was refused");
    };
    let look = || case.confirm(Some(read.evidence.clone()));
    let unchanged = look().await;
    assert!(
        matches!(unchanged, ConfirmationState::Unchanged { .. }),
        "{unchanged:?}"
    );
    (case.replace)("new.csv", Some("id,y,score\n1,1,0.5\n"));
    let changed = ConfirmationState::Changed(EvidenceFile::Challenger);
    assert_eq!(look().await, changed);
    (case.replace)("old.csv", None);
    let gone = ConfirmationState::Changed(EvidenceFile::Champion);
    assert_eq!(look().await, gone);
    let unknown = case.confirm(None).await;
    assert!(
        matches!(unknown, ConfirmationState::Unknown(_)),
        "{unknown:?}"
    );
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
    let base = directory.path().to_path_buf();
    let case = Case {
        evaluator: LocalEvaluator::new(base.clone()),
        uri: |name| format!("file://{name}"),
        replace: Box::new(move |name, bytes| {
            let file = base.join(name);
            match bytes {
                Some(bytes) => std::fs::write(file, bytes).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
        }),
    };
    (case, directory)
}

suite! {
    local_evaluator => super::local();
    [
        a_comparison_ends_with_every_metric_and_is_repeatable,
        evidence_that_cannot_be_used_is_refused_by_name,
        a_look_finds_files_that_changed_or_went_away,
    ]
}
