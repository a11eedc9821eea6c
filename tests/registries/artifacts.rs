//! What a trial and a scorer do in a pod: they read data and models where others left them, and leave what they make where others find it.

use super::object_store::{address, fails, podium, put, store, succeeds};
use super::witness;
use podium_testbed::mlflow::{MLFLOW, MlflowServer};
use podium_testbed::s3::S3Server;
use podium_workload::table::{FileSource, sha256_hex};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Rows whose label follows from the amount, more or less.
fn rows() -> String {
    let lines = (0..400_u32).map(|row| {
        let amount = row * 37 % 101;
        let label = u32::from(amount + row * 7 % 23 > 80);
        format!("{row},{amount},{label}\n")
    });
    format!("id,amount,y\n{}", lines.collect::<String>())
}

/// A directory with the data, and a model that `podium train` made of them on this machine.
fn trained(directory: &Path) -> String {
    let data = directory.join("rows.csv");
    fs::write(&data, rows()).unwrap();
    let mut command = train("http://127.0.0.1:1", data.to_str().unwrap());
    command.env("PODIUM_OUTPUT_URI", directory.join("out"));
    succeeds(&mut command);
    sha256_of(&directory.join("out/model.parquet"))
}

fn train(url: &str, data: &str) -> Command {
    let mut command = podium(url);
    command.args(["train", "--data", data, "--label", "y", "--exclude", "id"]);
    command.args(["--numTrees", "5", "--maxDepth", "4"]);
    command
}

fn sha256_of(file: &Path) -> String {
    sha256_hex(&fs::read(file).unwrap())
}

#[test]
fn a_trial_and_a_scorer_leave_on_an_object_store_what_they_leave_in_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let model = trained(directory.path());
    let server = S3Server::start(&path("s3")).unwrap();
    let store = store(&server.url());
    put(&store, "rows.csv", &rows());
    let object = |name: &str| address(name).display().to_string();

    let mut command = train(&server.url(), &object("rows.csv"));
    succeeds(command.env("PODIUM_OUTPUT_URI", object("trials/1")));
    let read = store.read_model(&address("trials/1")).unwrap();
    assert_eq!(read.sha256(), model);
    assert_eq!(read.path(), address("trials/1/model.parquet"));
    let predictions = store
        .read(&address("trials/1/predictions.parquet"))
        .unwrap();
    assert_eq!(
        predictions.sha256(),
        sha256_of(&path("out/predictions.parquet"))
    );

    let score = |model: &str, data: &str, out: &str| {
        let mut command = podium(&server.url());
        command.args(["score", "--data", data]);
        command.env("MODEL_VERSION", "7");
        command.env("MODEL_URI", model).env("OUTPUT_URI", out);
        command
    };
    let [of_files, data] =
        ["scores.parquet", "rows.csv"].map(|name| path(name).display().to_string());
    succeeds(&mut score(path("out").to_str().unwrap(), &data, &of_files));
    let of_objects = object("scores.parquet");
    let printed = succeeds(&mut score(
        &object("trials/1"),
        &object("rows.csv"),
        &of_objects,
    ));
    assert_eq!(printed, format!("{of_objects}: 400 scores\n"));
    let scores = store.read(&address("scores.parquet")).unwrap();
    assert_eq!(scores.sha256(), sha256_of(Path::new(&of_files)));

    for (out, said) in [
        (object("rows.csv"), "is an input and would be overwritten"),
        (
            object("trials/1/model.parquet"),
            "is an input and would be overwritten",
        ),
        (object("scores.json"), "the name must end with .parquet"),
        (
            "s3://nowhere/scores.csv".to_string(),
            "there is no bucket `nowhere`",
        ),
    ] {
        let text = fails(&mut score(&object("trials/1"), &object("rows.csv"), &out));
        assert!(text.contains(&format!("cannot write {out}: ")), "{text}");
        assert!(text.contains(said), "{text}");
    }
    let text = fails(&mut score(
        &object("trials/2"),
        &object("rows.csv"),
        &of_objects,
    ));
    assert!(
        text.contains("s3://podium/trials/2 must be a model of podium: it does not exist"),
        "{text}"
    );
}

#[test]
fn a_scorer_finds_a_model_by_each_name_that_mlflow_has_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    trained(directory.path());
    let server = MlflowServer::start(&path("mlflow"), MLFLOW, None).unwrap();
    let script = format!(
        "
from mlflow import MlflowClient
client = MlflowClient()
run = client.create_run(client.create_experiment('models')).info
client.log_artifact(run.run_id, '{}', 'model')
client.log_artifact(run.run_id, '{}', 'model/data')
client.create_registered_model('fraud')
client.create_model_version('fraud', f'{{run.artifact_uri}}/model', run.run_id)
print(run.run_id, run.artifact_uri)
",
        path("out/model.parquet").display(),
        path("rows.csv").display(),
    );
    let printed = witness(&server, &script);
    let (run, artifacts) = printed.split_once(' ').unwrap();
    assert!(artifacts.starts_with("mlflow-artifacts:/"), "{artifacts}");

    let score = |model: &str, out: &str| {
        let mut command = podium("http://127.0.0.1:1");
        command
            .args(["score", "--model", model, "--out"])
            .arg(path(out));
        command.arg("--data").arg(path("rows.csv"));
        command.env("MLFLOW_TRACKING_URI", server.url());
        command
    };
    succeeds(&mut score(path("out").to_str().unwrap(), "expected.csv"));
    let expected = sha256_of(&path("expected.csv"));
    let with_host = artifacts.replace(
        "mlflow-artifacts:/",
        "mlflow-artifacts://mlflow.example.com/",
    );
    for model in [
        format!("{artifacts}/model"),
        format!("{artifacts}/model/model.parquet"),
        format!("{with_host}/model"),
        format!("runs:/{run}/model"),
        "models:/fraud/1".to_string(),
    ] {
        succeeds(&mut score(&model, "scores.csv"));
        assert_eq!(sha256_of(&path("scores.csv")), expected, "{model}");
        fs::remove_file(path("scores.csv")).unwrap();
    }
    for (model, said) in [
        (format!("{artifacts}/absent"), "absent"),
        (
            format!("{artifacts}/model/data"),
            "must hold `model.parquet`",
        ),
        ("models:/fraud/9".to_string(), "MLflow at http://127.0.0.1:"),
        ("models:/fraud/latest".to_string(), "models:/NAME/VERSION"),
    ] {
        let text = fails(&mut score(&model, "scores.csv"));
        assert!(
            text.contains(&format!("{model} must be a model of podium")),
            "{text}"
        );
        assert!(text.contains(said), "{text}");
    }
}
