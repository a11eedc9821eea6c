//! Runs: started once per attempt, observed until their end, ended on demand.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use podium_core::tuning::trial::{EndedRun, Exit, Run};
use podium_operator::ports::{RunRequest, TrialRunner};
use podium_operator::trials::process::ProcessRunner;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

fn template(script: &str) -> PodTemplateSpec {
    let container = json!({"name": "train", "image": "busybox", "command": ["sh", "-c", script]});
    serde_json::from_value(json!({"spec": {"containers": [container]}})).unwrap()
}

fn request(template: &PodTemplateSpec) -> RunRequest<'_> {
    RunRequest {
        name: "forest-1".to_string(),
        attempt: 1,
        job: no_other_fields(),
        template,
        container: None,
        variables: BTreeMap::from([("depth".to_string(), "7".to_string())]),
        deadline_seconds: Some(60),
        owner: None,
        labels: BTreeMap::new(),
    }
}

/// A Job of which only the template matters.
fn no_other_fields() -> &'static Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    &NONE
}

async fn end_of(runner: &impl TrialRunner, attempt: u32) -> EndedRun {
    for _ in 0..600 {
        if let Run::Ended(ended) = runner.observe("forest-1", attempt).await.unwrap() {
            return ended;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the run did not end in a minute");
}

async fn a_run_ends_with_its_code_message_and_log(runner: &impl TrialRunner) {
    assert_eq!(runner.observe("forest-1", 1).await.unwrap(), Run::Absent);
    let template = template(
        "echo depth $depth; printf done > ${PODIUM_TERMINATION_MESSAGE_PATH:-/dev/termination-log}; exit 3",
    );
    runner.start(&request(&template)).await.unwrap();
    let ended = end_of(runner, 1).await;
    assert_eq!(ended.exit, Exit::Code(3));
    assert_eq!(ended.termination_message.as_deref(), Some("done"));
    assert!(ended.log_tail.contains("depth 7"), "{}", ended.log_tail);
    assert!(ended.started.0 > 0 && ended.ended.0 >= ended.started.0);
}

async fn starting_an_attempt_twice_starts_it_once(runner: &impl TrialRunner) {
    let template = template("echo again; sleep 0.3");
    for _ in 0..3 {
        runner.start(&request(&template)).await.unwrap();
    }
    let first = end_of(runner, 1).await;
    runner.start(&request(&template)).await.unwrap();
    assert_eq!(end_of(runner, 1).await, first);
    assert_eq!(first.log_tail.matches("again").count(), 1);
}

async fn attempts_are_runs_of_their_own(runner: &impl TrialRunner) {
    let template = template("exit 0");
    runner.start(&request(&template)).await.unwrap();
    end_of(runner, 1).await;
    assert_eq!(runner.observe("forest-1", 2).await.unwrap(), Run::Absent);
    runner
        .start(&RunRequest {
            attempt: 2,
            ..request(&template)
        })
        .await
        .unwrap();
    assert_eq!(end_of(runner, 2).await.exit, Exit::Code(0));
}

async fn a_run_that_goes_on_too_long_is_ended(runner: &impl TrialRunner) {
    let template = template("sleep 600");
    let request = RunRequest {
        deadline_seconds: Some(1),
        ..request(&template)
    };
    runner.start(&request).await.unwrap();
    assert_eq!(end_of(runner, 1).await.exit, Exit::DeadlineExceeded);
}

async fn a_run_is_stopped_and_stopping_nothing_is_fine(runner: &impl TrialRunner) {
    runner.stop("forest-1", 1).await.unwrap();
    let template = template("sleep 600");
    runner.start(&request(&template)).await.unwrap();
    while !matches!(
        runner.observe("forest-1", 1).await.unwrap(),
        Run::Running { .. }
    ) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    runner.stop("forest-1", 1).await.unwrap();
    let exit = end_of(runner, 1).await.exit;
    assert!(
        matches!(exit, Exit::Infrastructure(_) | Exit::Signal(_)),
        "{exit:?}"
    );
}

async fn a_template_that_cannot_run_is_refused_in_words(runner: &impl TrialRunner) {
    let none: PodTemplateSpec =
        serde_json::from_value(json!({"spec": {"containers": []}})).unwrap();
    let refusal = runner.refusal(&request(&none)).await.unwrap().unwrap();
    assert!(refusal.contains("spec.containers"), "{refusal}");
    let fine = template("true");
    assert_eq!(runner.refusal(&request(&fine)).await.unwrap(), None);
}

fn processes() -> (ProcessRunner, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    let podium = PathBuf::from(env!("CARGO_BIN_EXE_podium"));
    (
        ProcessRunner::new(runs, directory.path().to_path_buf(), podium),
        directory,
    )
}

suite! {
    process_runner => super::processes();
    [
    a_run_ends_with_its_code_message_and_log,
    starting_an_attempt_twice_starts_it_once,
    attempts_are_runs_of_their_own,
    a_run_that_goes_on_too_long_is_ended,
    a_run_is_stopped_and_stopping_nothing_is_fine,
    a_template_that_cannot_run_is_refused_in_words,
    ]
}
