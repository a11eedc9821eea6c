//! Three forests of very different merit and the rows that they are compared on: simulated, trained and stored in a moment, so that a
//! comparison decides what everybody expects.

use super::manifests::champion_policy;
use super::object_store::{NAME, ObjectStore};
use super::{Bed, run};
use serde_json::{Value, json};

/// Versions with the trees and the depth of their forests: a plain one, a much better one, and one that is much worse than both.
const FORESTS: [(&str, &str, &str); 3] = [("1", "3", "1"), ("2", "30", "8"), ("3", "1", "1")];

/// Files of rows with what they hold: those of the holdout are there without their labels too, for scorers.
const ROWS: [(&str, &[&str]); 3] = [
    ("train.parquet", &["--first-day=40"]),
    ("holdout.parquet", &["--first-day=50"]),
    (
        "unlabelled.parquet",
        &["--first-day=50", "--exclude=tx_fraud,tx_fraud_scenario"],
    ),
];

/// Columns that tell what is to be guessed, or nothing.
const NO_FEATURES: &str =
    "transaction_id,customer_id,terminal_id,tx_time_seconds,tx_time_days,tx_fraud_scenario";

/// The image of the program under test, which a test bed has.
pub const IMAGE: &str = concat!("podium:", env!("CARGO_PKG_VERSION"));

/// Stores the rows and the models; with `scored` the predictions of each model too.
pub fn store_all(bed: &Bed, store: &ObjectStore, scored: bool) {
    let folder = bed.directory().join("forests");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    for (name, more) in ROWS {
        let out = file(name);
        let simulate = ["simulate", "transactions", "--seed=1", "--out", &out];
        let size = ["--customers=1000", "--terminals=2000"];
        podium(&[&simulate[..], &size, more].concat());
        store.put(name, &folder.join(name));
    }
    for (version, trees, depth) in FORESTS {
        podium(&[
            "train",
            "--data",
            &file("train.parquet"),
            "--label=tx_fraud",
            "--weight=balanced",
            "--exclude",
            NO_FEATURES,
            "--refit",
            "--seed=1",
            "--numTrees",
            trees,
            "--maxDepth",
            depth,
            "--output",
            &file(version),
        ]);
        let model = folder.join(version).join("model.parquet");
        store.put(&format!("models/{version}/model.parquet"), &model);
        if scored {
            let predictions = format!("v{version}.parquet");
            podium(&[
                "score",
                "--model",
                &file(version),
                "--model-version",
                version,
                "--data",
                &file("unlabelled.parquet"),
                "--out",
                &file(&predictions),
            ]);
            store.put(
                &format!("predictions/{predictions}"),
                &folder.join(&predictions),
            );
        }
    }
}

fn podium(arguments: &[&str]) {
    if let Err(error) = run(env!("CARGO_BIN_EXE_podium"), arguments, None) {
        panic!("podium {}: {error}", arguments.join(" "));
    }
}

/// Where the registry says that the files of a version lie.
pub fn source(store: &ObjectStore, version: &str) -> String {
    store.uri(&format!("models/{version}"))
}

/// A policy that compares versions of `model` by their predictions below this folder of the store.
pub fn comparing(store: &ObjectStore, name: &str, model: &str, folder: &str) -> Value {
    let mut policy = champion_policy(name, model);
    policy["spec"]["evidence"] = json!({
        "store": store.as_seen_by_policies(NAME),
        "holdout": {"name": "week", "uri": store.uri("holdout.parquet"), "rowsNoun": "transactions"},
        "predictions": {
            "uri": store.uri(&format!("{folder}/v$(version).parquet")),
            "columns": {"id": "transaction_id", "label": "tx_fraud", "cluster": "customer_id"},
        },
        // Many are compared beside each other, on a machine of few processors.
        "evaluator": {"podTemplate": {"spec": {"containers": [
            {"name": "evaluator", "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
        ]}}},
    });
    policy
}

/// The same, with a Job that makes the predictions of a version that has none.
pub fn scoring(store: &ObjectStore, name: &str, model: &str, folder: &str) -> Value {
    let mut policy = comparing(store, name, model, folder);
    let data = format!("--data={}", store.uri("unlabelled.parquet"));
    let arguments = json!(["score", "--model=$(MODEL_URI)", data, "--out=$(OUTPUT_URI)"]);
    policy["spec"]["evidence"]["scorer"] = json!({"job": run_podium(&arguments)});
    policy
}

/// A Job that runs the program under test, with the way to the object store.
pub fn run_podium(arguments: &Value) -> Value {
    json!({"template": {"spec": {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": true},
        "containers": [{
            "name": "podium",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": arguments,
            "envFrom": [{"secretRef": {"name": NAME}}, {"configMapRef": {"name": NAME}}],
        }],
    }}})
}
