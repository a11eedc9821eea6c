//! Trials that go wrong: each is failed with a reason, and the search goes on or says why not.

use crate::project::{Finished, Project, SQUARE, search};
use serde_json::Value;

/// Runs a search whose first trial does `script` and whose others work.
fn first_does(script: &str) -> (Project, Finished) {
    let project = Project::with_search(
        3,
        &format!("if [ $PODIUM_TRIAL_INDEX = 1 ]; then {script}; exit; fi; {SQUARE}"),
    );
    let finished = project.run();
    (project, finished)
}

fn trial(project: &Project, index: usize) -> Value {
    project.objects("trials")[index - 1].clone()
}

fn message(script: &str) -> String {
    let (project, finished) = first_does(script);
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let failed = trial(&project, 1);
    assert_eq!(failed["status"]["phase"], "Failed", "{failed}");
    assert!(failed["status"]["objective"].is_null());
    let counts = &project.only("tuningjobs")["status"]["trials"];
    assert_eq!(
        (&counts["failed"], &counts["succeeded"]),
        (&Value::from(1), &Value::from(2))
    );
    let message = failed["status"]["message"].as_str().unwrap().to_string();
    assert!(
        finished.out.contains(&message),
        "the message was not shown: {}",
        finished.out
    );
    message
}

#[test]
fn each_bad_end_fails_the_trial_and_says_why() {
    let report = |json: &str| format!("printf '%s' '{json}' > $PODIUM_TERMINATION_MESSAGE_PATH");
    let cases = [
        ("exit 1".to_string(), "exited with code 1"),
        ("kill -9 $$$$".to_string(), "signal 9"),
        (
            "true".to_string(),
            "the container ended well but wrote no termination message",
        ),
        (
            report("{\"metrics\": {\"loss\": 1"),
            "the termination message must be",
        ),
        (report("{\"metrics\": {\"loss\": NaN}}"), "`loss`"),
        (report("{\"metrics\": {\"loss\": -Infinity}}"), "`loss`"),
        (
            report("{\"metrics\": {\"loss\": 1e999}}"),
            "number out of range at line 1",
        ),
        (report("{\"metrics\": {\"lossy\": 1}}"), "`loss`"),
        (report("{\"loss\": 1}"), "must have `metrics`"),
        (
            "head -c 5000 /dev/zero | tr '\\0' x > $PODIUM_TERMINATION_MESSAGE_PATH".to_string(),
            "must be shorter than 4096 bytes",
        ),
    ];
    for (script, expected) in cases {
        let message = message(&script);
        assert!(message.contains(expected), "{script}: {message}");
    }
}

#[test]
fn a_trial_that_hangs_is_ended_at_its_deadline() {
    let project = Project::new();
    let text = search(1, "trap '' TERM; sleep 600 & wait; sleep 600")
        .replace("activeDeadlineSeconds: 60", "activeDeadlineSeconds: 1");
    project.write("search.yaml", &text);
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    let message = trial(&project, 1)["status"]["message"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(
        message.contains("`trial.activeDeadlineSeconds` 1 "),
        "{message}"
    );
    assert_eq!(project.processes(), Vec::<String>::new());
}

#[test]
fn a_trial_that_fills_its_quota_fails_with_the_systems_words() {
    // The shell's limit stands for a disk quota: writing beyond it is an error or a signal.
    let message = message("ulimit -f 1; head -c 100000 /dev/zero > big");
    assert!(message.contains("File size limit exceeded"), "{message}");
}

#[test]
fn too_many_failures_end_the_search_and_name_the_last_reason() {
    let project = Project::with_search(10, "exit 3");
    let finished = project.run();
    assert_eq!(finished.code, Some(1));
    assert_eq!(project.objects("trials").len(), 3, "maxFailedTrials is 2");
    assert_eq!(project.only("tuningjobs")["status"]["phase"], "Failed");
    assert!(
        finished.out.contains("exited with code 3"),
        "{}",
        finished.out
    );
}

#[test]
fn a_program_that_does_not_exist_blocks_the_search_or_fails_the_trial_by_name() {
    let project = Project::new();
    let text =
        search(2, "true").replace("command: [sh, -c, \"true\"]", "command: [no-such-trainer]");
    assert!(text.contains("no-such-trainer"));
    project.write("search.yaml", &text);
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    assert!(finished.out.contains("no-such-trainer"), "{}", finished.out);
}

#[test]
fn the_log_of_a_trial_is_kept_and_parameters_reach_arguments() {
    let project = Project::with_search(1, &format!("echo seen $kind $0 $1; {SQUARE}"));
    let text = std::fs::read_to_string(project.path().join("search.yaml")).unwrap();
    project.write(
        "search.yaml",
        &text.replace("]}]}}}", ", zero, \"x is $(x)\"]}]}}}"),
    );
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let run = project.path().join(".podium/runs");
    let logs: Vec<_> = project
        .objects("trials")
        .iter()
        .map(|trial| trial["metadata"]["name"].as_str().unwrap().to_string())
        .flat_map(|name| {
            walk(&run).into_iter().filter(move |file| {
                file.ends_with("log") && file.display().to_string().contains(&name)
            })
        })
        .collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    let log = std::fs::read_to_string(&logs[0]).unwrap();
    let spec = &trial(&project, 1)["spec"]["parameters"];
    let expected = format!(
        "seen {} zero x is {}\n",
        spec["kind"].as_str().unwrap(),
        spec["x"]
    );
    assert_eq!(log, expected);
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
