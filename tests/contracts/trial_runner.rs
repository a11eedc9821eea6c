//! Processes of this machine keep the laws of a runner.

use crate::runner_laws::*;
use podium_operator::runs::process::ProcessRunner;
use serde_json::{Value, json};
use std::path::PathBuf;

fn job(script: &str) -> Value {
    let container = json!({"name": "train", "image": "busybox", "command": ["sh", "-c", script]});
    json!({"template": {"spec": {"containers": [container]}}})
}

fn processes() -> (Case<ProcessRunner>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    let podium = PathBuf::from(env!("CARGO_BIN_EXE_podium"));
    let runner = ProcessRunner::new(runs, directory.path().to_path_buf(), podium);
    let owner = None;
    (Case { runner, job, owner }, directory)
}

suite! {
    process_runner => super::processes();
    [
    a_run_ends_with_its_code_and_message_or_log,
    starting_an_attempt_twice_starts_it_once,
    attempts_are_runs_of_their_own,
    a_run_that_goes_on_too_long_is_ended,
    a_run_is_stopped_and_stopping_nothing_is_fine,
    a_template_that_cannot_run_is_refused_in_words,
    ]
}
