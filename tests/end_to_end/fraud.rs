//! The example that people meet first.

use crate::project::{Finished, Project, skipped};
use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use podium_workload::forest::Settings;
use podium_workload::model_file::Model;
use podium_workload::simulate::{Request, transactions};
use podium_workload::table::LocalFiles;
use podium_workload::train::{self, Validation};
use podium_workload::training_data::{Columns, Weighting};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// One undisturbed run, which several tests look at.
pub fn undisturbed() -> &'static (Project, Finished) {
    static RUN: OnceLock<(Project, Finished)> = OnceLock::new();
    RUN.get_or_init(|| {
        let project = Project::copy_of("examples/fraud");
        let finished = project.run();
        (project, finished)
    })
}

/// What a run decided, without what differs from run to run: times, uids.
pub fn decided(project: &Project) -> Value {
    let trials: Vec<Value> = project
        .objects("trials")
        .into_iter()
        .map(|trial| {
            serde_json::json!([
                trial["metadata"]["name"],
                trial["spec"],
                trial["status"]["phase"],
                trial["status"]["objective"],
                trial["status"]["metrics"],
            ])
        })
        .collect();
    let evaluations: Vec<Value> = project
        .objects("evaluations")
        .into_iter()
        .map(|evaluation| {
            // The seed follows from the policy's uid.
            let comparison = &evaluation["status"]["comparison"];
            serde_json::json!([
                evaluation["status"]["verdict"],
                comparison["champion"],
                comparison["challenger"]
            ])
        })
        .collect();
    let champion = fs::read_to_string(
        project
            .path()
            .join("registry/fraud-detection/aliases/champion"),
    )
    .unwrap();
    serde_json::json!([trials, evaluations, champion])
}

#[test]
fn it_tunes_compares_and_moves_the_champion() {
    let (project, finished) = undisturbed();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let trials = project.objects("trials");
    assert_eq!(trials.len(), 16, "15 trials and the refit");
    assert!(
        trials
            .iter()
            .all(|trial| trial["status"]["phase"] == "Succeeded")
    );
    let job = project.only("tuningjobs");
    assert_eq!(job["status"]["phase"], "Succeeded");
    assert_eq!(job["status"]["progress"], "15/15");
    let best = job["status"]["best"]["trial"].as_str().unwrap();
    let objective = |trial: &Value| {
        trial["status"]["objective"]
            .as_f64()
            .unwrap_or(f64::NEG_INFINITY)
    };
    let highest = trials
        .iter()
        .map(objective)
        .fold(f64::NEG_INFINITY, f64::max);
    let of_best = trials
        .iter()
        .find(|trial| trial["metadata"]["name"] == best)
        .unwrap();
    assert_eq!(objective(of_best), highest);
    let evaluation = project.only("evaluations");
    assert_eq!(evaluation["status"]["verdict"], "Superior");
    let alias = |name: &str| {
        fs::read_to_string(
            project
                .path()
                .join("registry/fraud-detection/aliases")
                .join(name),
        )
        .unwrap()
    };
    assert_eq!(
        (alias("champion").trim(), alias("previous-champion").trim()),
        ("2", "1")
    );
    let sentence = project.only("championpolicies")["status"]["lastEvaluation"]["sentence"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(finished.out.contains(&sentence), "{}", finished.out);
    assert!(
        sentence.starts_with("v2 raises ROC AUC by 0.0"),
        "{sentence}"
    );
    assert!(
        sentence
            .ends_with(" on 67,461 transactions; weighted F1 is not worse than allowed. Promoted."),
        "{sentence}"
    );
    assert!(finished.out.contains("  numTrees "), "{}", finished.out);
    assert!(finished.out.contains("[-"), "{}", finished.out);
    assert_eq!(project.processes(), Vec::<String>::new());
}

#[test]
fn the_second_start_finds_nothing_to_do() {
    let (project, first) = undisturbed();
    let before = project.everything();
    let second = project.run();
    assert_eq!(second.code, Some(0), "{}{}", second.out, second.err);
    for ((file, before), (_, after)) in before.iter().zip(project.everything()) {
        assert_eq!(before, &after, "{} was changed", file.display());
    }
    let last = |finished: &Finished| {
        finished
            .out
            .lines()
            .rev()
            .take(2)
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(last(first), last(&second));
    let promoted = project.run_with(&["--require-promotion"]);
    assert_eq!(promoted.code, Some(0));
}

#[test]
fn the_same_seed_decides_the_same_again() {
    let again = Project::copy_of("examples/fraud");
    assert_eq!(again.run().code, Some(0));
    assert_eq!(decided(&again), decided(&undisturbed().0));
}

#[test]
fn a_champion_that_is_better_stays_and_the_exit_code_says_so() {
    let (finished_project, _) = undisturbed();
    let project = Project::copy_of("examples/fraud");
    // The winner of the first run is the champion of this one, so its twin has nothing to improve.
    let files = "registry/fraud-detection/versions/1/files/model.parquet";
    let winner = finished_project
        .path()
        .join("registry/fraud-detection/versions/2/files/model.parquet");
    fs::copy(winner, project.path().join(files)).unwrap();
    let held = project.run_with(&["--require-promotion"]);
    assert_eq!(held.code, Some(3), "{}{}", held.out, held.err);
    assert!(
        held.out.contains("v2 was not shown to raise ROC AUC"),
        "{}",
        held.out
    );
    assert!(held.out.contains(" Held.\n"), "{}", held.out);
    let alias = fs::read_to_string(
        project
            .path()
            .join("registry/fraud-detection/aliases/champion"),
    )
    .unwrap();
    assert_eq!(alias.trim(), "1");
    assert_eq!(project.run().code, Some(0));
}

#[test]
fn data_from_elsewhere_with_the_same_columns_are_taken() {
    let elsewhere = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fraud");
    if !elsewhere.is_dir() {
        skipped(&format!(
            "{} is not here, so the example was not run on data from elsewhere",
            elsewhere.display()
        ));
        return;
    }
    let project = Project::copy_of("examples/fraud");
    for file in ["train.parquet", "holdout.parquet"] {
        fs::write(
            project.path().join("data").join(file),
            fs::read(elsewhere.join(file)).unwrap(),
        )
        .unwrap();
    }
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    assert!(
        finished.out.contains("on 67,080 transactions"),
        "{}",
        finished.out
    );
    assert_eq!(project.objects("trials").len(), 16);
}

const FEATURES_NOT: [&str; 6] = [
    "transaction_id",
    "customer_id",
    "terminal_id",
    "tx_time_seconds",
    "tx_time_days",
    "tx_fraud_scenario",
];

fn simulated(directory: &Path, first_day: u32) -> std::path::PathBuf {
    let path = directory.join(format!("{first_day}.parquet"));
    let request = Request {
        first_day,
        ..Request::default()
    };
    transactions(&request, &path, &mut |_, _| {}).unwrap();
    path
}

#[test]
fn the_committed_data_are_what_the_simulator_makes() {
    let project = Project::new();
    for (name, first_day) in [("train", 60), ("holdout", 74)] {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("examples/fraud/data/{name}.parquet"));
        assert!(committed.metadata().unwrap().len() < 3_000_000);
        let made = simulated(project.path(), first_day);
        assert!(rows(&committed) == rows(&made), "{name}");
    }
}

/// All rows of a Parquet file.
fn rows(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReader::try_new(file, 1 << 16).unwrap();
    reader.map(Result::unwrap).collect()
}

#[test]
fn the_bundled_champion_is_a_forest_with_plain_defaults() {
    let project = Project::new();
    let request = train::Request {
        data: simulated(project.path(), 7),
        columns: Columns {
            label: "tx_fraud".into(),
            weight: Weighting::Balanced,
            features: vec![],
            exclude: FEATURES_NOT.map(str::to_string).to_vec(),
        },
        validation: Validation::Refit,
        split_seed: 42,
        settings: Settings::default(),
        output: Some(project.path().join("model")),
    };
    train::train(&LocalFiles, &request, &mut |_, _| {}).unwrap();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/fraud/registry/fraud-detection/versions/1/files");
    assert_eq!(
        Model::read(&bundled).unwrap(),
        Model::read(&project.path().join("model")).unwrap()
    );
}
