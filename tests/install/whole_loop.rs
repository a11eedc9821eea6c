//! The whole loop of `examples/fraud-champion`, as the README starts it, and what of it is for other clusters.

use crate::bed::kubectl;
use crate::bed::mlflow::Mlflow;
use std::io::Write;

/// Whether the servers that the example names are there: it names those of a test bed.
pub fn can_be_tried() -> bool {
    let there = std::env::var_os("MLFLOW_IN_PODS").is_some();
    if !there {
        let must = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!must, "MLFLOW_IN_PODS must say where pods reach an MLflow");
        let why = "MLFLOW_IN_PODS names no MLflow, so the whole loop was not tried";
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    }
    there
}

/// The addresses that the example names are those that the test bed tells.
pub fn names_the_test_bed() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/fraud-champion/1-registry.yaml"
    );
    let manifest = std::fs::read_to_string(path).unwrap();
    for variable in ["MLFLOW_IN_PODS", "S3_IN_PODS"] {
        let address = std::env::var(variable).unwrap();
        assert!(manifest.contains(&address), "{variable} is {address}");
    }
}

/// MLflow's own client sees both champions, the ended runs of the search, and where the winner came from.
pub fn moved_the_alias() {
    let mlflow = Mlflow::of_testbed();
    let seen = || {
        mlflow.python(
            "experiment = client.get_experiment_by_name('mlflow-experiment-opt')
runs = client.search_runs([experiment.experiment_id])
print({run.info.status for run in runs})
trials = [run for run in runs if 'auc' in run.data.metrics and 'numTrees' in run.data.params]
print(len(trials) >= 15)
print(sorted(client.get_registered_model('fraud-detection').aliases.items()))
print(client.get_model_version('fraud-detection', '2').source)",
        )
    };
    crate::eventually(60, "every run of the search has ended", || {
        seen().starts_with("{'FINISHED'}\n")
    });
    let expected = "{'FINISHED'}\nTrue\n[('challenger', '2'), ('champion', '2'), ('previous-champion', '1')]\ns3://podium/fraud/models/";
    let seen = seen();
    assert!(seen.starts_with(expected), "{seen}");
}

/// What deployments follow says the same.
pub fn published_the_champion() {
    let published = ["get", "configmap", "fraud-champion", "-o=jsonpath={.data}"];
    let published = kubectl(&published, None).unwrap();
    assert!(
        published.contains("s3://podium/fraud/models/"),
        "{published}"
    );
}

/// Applied with names of another cluster, nothing of the test bed is left in the manifests.
pub fn takes_names_of_other_clusters() {
    let manifests = kubectl(&["kustomize", "examples/fraud-champion"], None).unwrap();
    for of_testbed in ["10.123.", "s3://podium/", "of-a-test-bed", "image: podium:"] {
        let mut lines = manifests.lines();
        let left = lines.find(|line| line.contains(of_testbed));
        assert_eq!(left, None, "{of_testbed}");
    }
    for own in [
        "https://mlflow.example.com",
        "https://s3.example.com",
        "s3://my-bucket/",
    ] {
        assert!(manifests.contains(own), "{own}\n{manifests}");
    }
}
