//! What goes wrong with one object is said of that object, and the others go on.

use crate::project::{Finished, Project, SQUARE, podium, search};
use serde_json::Value;
use std::fs;

fn named(project: &Project, plural: &str, name: &str) -> Value {
    let found = project.objects(plural);
    let found = found
        .iter()
        .find(|object| object["metadata"]["name"] == name);
    found.unwrap().clone()
}

/// A search called `toy` whose trials do `script`, beside one called `good` whose trials work.
pub fn beside_a_good_one(script: &str) -> Project {
    let project = Project::with_search(1, script);
    project.write(
        "good.yaml",
        &search(2, SQUARE).replace("name: toy", "name: good"),
    );
    project
}

fn good_one_succeeded(project: &Project, finished: &Finished) {
    let good = named(project, "tuningjobs", "good");
    let said = format!("{}{}", finished.out, finished.err);
    assert_eq!(good["status"]["phase"], "Succeeded", "{said}");
}

#[test]
fn a_message_that_is_no_file_fails_its_trial_and_nothing_else() {
    let cases = [
        ("mkdir \"$M\"", "is a directory, but must be a file"),
        ("mkfifo \"$M\"", "is a named pipe, but must be a file"),
        ("ln -s /dev/zero \"$M\"", "is a device, but must be a file"),
        ("ln -s \"$M\" \"$M\"", "Too many levels of symbolic links"),
        (
            "printf 'a\\377b' > \"$M\"",
            "must be text in UTF-8, but is not after byte 1",
        ),
        (
            "printf '{\"metrics\": {\"loss\": 1, \"loss\": 2}}' > \"$M\"",
            "the metric `loss` stands in it twice",
        ),
        (
            "head -c 100000 /dev/zero > \"$M\"",
            "must be shorter than 4096 bytes",
        ),
    ];
    for (script, expected) in cases {
        let project = beside_a_good_one(&format!("M=$PODIUM_TERMINATION_MESSAGE_PATH; {script}"));
        let finished = project.run();
        assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
        good_one_succeeded(&project, &finished);
        let trial = named(&project, "trials", "toy-1");
        assert_eq!(trial["status"]["reason"], "MetricsInvalid", "{trial}");
        let message = trial["status"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{script}: {message}");
        assert!(finished.out.contains(message), "{}", finished.out);
    }
}

#[test]
fn a_damaged_object_is_named_with_its_path_and_the_others_go_on() {
    let project = beside_a_good_one(SQUARE);
    assert_eq!(project.run().code, Some(0));
    let damaged = project.path().join(".podium/state/trials/toy-1.yaml");
    fs::write(&damaged, "spec: [").unwrap();
    project.write(
        "new.yaml",
        &search(1, SQUARE).replace("name: toy", "name: new"),
    );
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    assert!(
        finished.err.contains(&damaged.display().to_string()),
        "{}",
        finished.err
    );
    assert!(finished.err.contains("toy-1"), "{}", finished.err);
    let new = named(&project, "tuningjobs", "new");
    assert_eq!(new["status"]["phase"], "Succeeded");
    assert_eq!(fs::read_to_string(&damaged).unwrap(), "spec: [");
}

#[test]
fn a_damaged_search_is_named_and_the_others_go_on_with_its_manifest_and_without() {
    let project = beside_a_good_one(SQUARE);
    assert_eq!(project.run().code, Some(0));
    let damaged = project.path().join(".podium/state/tuningjobs/toy.yaml");
    fs::write(&damaged, "spec: [").unwrap();
    for trials in [3, 4] {
        let good = search(trials, SQUARE).replace("name: toy", "name: good");
        project.write("good.yaml", &good);
        let finished = project.run();
        assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
        let said = damaged.display().to_string();
        assert!(finished.err.contains(&said), "{}", finished.err);
        let good = format!("{trials} trials ended");
        assert!(finished.out.contains(&good), "{}", finished.out);
        assert_eq!(fs::read_to_string(&damaged).unwrap(), "spec: [");
        let manifest = project.path().join("search.yaml");
        if manifest.exists() {
            fs::remove_file(manifest).unwrap();
        }
    }
}

#[test]
fn what_has_no_manifest_is_left_alone_while_its_trial_goes_on() {
    let project = Project::with_search(1, "touch started; exec sleep 600");
    let mut run = podium().arg("run").arg(project.path()).spawn().unwrap();
    while !project.path().join("started").exists() {
        std::thread::yield_now();
    }
    run.kill().unwrap();
    run.wait().unwrap();
    fs::remove_file(project.path().join("search.yaml")).unwrap();
    let good = search(2, SQUARE).replace("name: toy", "name: good");
    project.write("good.yaml", &good);
    let before = named(&project, "trials", "toy-1");
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    good_one_succeeded(&project, &finished);
    assert!(!finished.out.contains("toy"), "{}", finished.out);
    assert_eq!(named(&project, "trials", "toy-1"), before);
    assert!(!project.processes().is_empty(), "its trial goes on");
    let pruned = project.run_with(&["--prune"]);
    assert!(
        pruned.err.contains("1 run of it was ended first"),
        "{}",
        pruned.err
    );
    assert_eq!(project.objects("trials").len(), 2);
    while !project.processes().is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn a_trial_that_its_search_stops_is_waited_for_no_longer() {
    let script = r#"[ $PODIUM_TRIAL_INDEX = 1 ] && exec sleep 600
while [ ! -e started ]; do [ -d .podium/runs/toy-1/1 ] && touch started; done
printf '{"metrics": {"loss": 0}}' > $PODIUM_TERMINATION_MESSAGE_PATH"#;
    let text = search(2, script)
        .replace("parallelism: 1", "parallelism: 2")
        .replace("metric: loss", "metric: loss, target: 0.5")
        .replace("    activeDeadlineSeconds: 60\n", "");
    let project = Project::new();
    project.write("search.yaml", &text);
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let stopped = named(&project, "trials", "toy-1");
    assert_eq!(stopped["status"]["reason"], "SearchEnded", "{stopped}");
}

#[test]
fn a_trial_that_removes_its_run_directory_ends_as_lost() {
    let remove = "D=$(dirname \"$PODIUM_TERMINATION_MESSAGE_PATH\")";
    let cases = [
        (
            "rm -r \"$(dirname \"$D\")\"",
            "was removed or replaced while it ran",
        ),
        ("rm -r \"$D\"; touch \"$D\"", "its result is lost"),
        (
            "rm -r \"$(dirname \"$(dirname \"$D\")\")\"",
            "was removed or replaced while it ran",
        ),
    ];
    for (script, expected) in cases {
        let project = Project::with_search(1, &format!("{remove}; {script}"));
        let finished = project.run();
        assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
        let trial = project.only("trials");
        assert_eq!(trial["status"]["phase"], "Failed");
        let message = trial["status"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{script}: {message}");
        assert!(message.contains("runs/toy-1/1"), "{message}");
    }
}

#[test]
fn a_run_whose_ground_is_taken_away_ends_with_an_error_that_names_it() {
    let cases = [
        // Moved in one step: while it is being removed, what is seen to be missing may be something in it.
        ("mv .podium gone", ".podium"),
        ("mv .podium/state .podium/gone", ".podium/state "),
        ("rm .podium/lock", ".podium/lock "),
        (
            "D=$(pwd); mv \"$D\" \"$D.moved\"; mkdir \"$D\"",
            " was removed, moved or replaced",
        ),
    ];
    for (script, expected) in cases {
        let outer = Project::new();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let text = search(2, &format!("{script}; {SQUARE}"));
        fs::write(inner.join("search.yaml"), text).unwrap();
        let finished: Finished = podium().arg("run").arg(&inner).output().unwrap().into();
        assert_eq!(
            finished.code,
            Some(1),
            "{script}: {}{}",
            finished.out,
            finished.err
        );
        let said = format!("error: {}", inner.display());
        assert!(finished.err.contains(&said), "{script}: {}", finished.err);
        assert!(
            finished.err.contains(expected),
            "{script}: {}",
            finished.err
        );
        assert_eq!(outer.processes(), Vec::<String>::new());
    }
}

#[test]
fn a_removed_state_file_is_named_and_the_other_search_goes_on() {
    // Not before it is stored that the trial runs, which would store the whole file again.
    let remove =
        "F=.podium/state/trials/toy-1.yaml; until grep -q Running $F; do sleep 0.05; done; rm $F";
    let project = beside_a_good_one(&format!("{remove}; {SQUARE}"));
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    good_one_succeeded(&project, &finished);
    assert!(
        finished.err.contains("state/trials/toy-1.yaml was removed"),
        "{}",
        finished.err
    );
}
