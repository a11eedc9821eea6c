//! Objects that cannot hurt each other: what is refused, corrected and removed.

use crate::project::{Finished, Project, SQUARE, ended, podium, search};
use crate::templates::REGISTRY;
use serde_json::{Value, json};
use std::fs;
use std::process::{Child, Stdio};

fn named(name: &str, trials: u32, script: &str) -> String {
    search(trials, script).replace("name: toy", &format!("name: {name}"))
}

fn directory(project: &Project) -> String {
    project.path().display().to_string()
}

fn delete(project: &Project, arguments: &[&str]) -> Finished {
    ended(&[&["delete"], arguments, &["-d", &directory(project)]].concat())
}

fn phases(project: &Project) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let jobs = project.objects("tuningjobs");
    jobs.iter()
        .map(|job| {
            (
                text(&job["metadata"]["name"]),
                text(&job["status"]["phase"]),
            )
        })
        .collect()
}

pub fn ready_message(project: &Project) -> String {
    let job = project.only("tuningjobs");
    let conditions = job["status"]["conditions"].as_array().unwrap().clone();
    let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap();
    ready["message"].as_str().unwrap().to_string()
}

#[test]
fn what_is_refused_stops_nobody_else_and_is_told_again_at_the_end() {
    let project = Project::with_search(1, SQUARE);
    project.write(
        "b.yaml",
        &format!(
            "{}---\n{}",
            named("zero", 0, SQUARE),
            named("second", 1, SQUARE)
        ),
    );
    project.write("c.yaml", "kind: [\n");
    fs::write(project.path().join("d.yml"), b"kind: caf\xe9\n").unwrap();
    let twice = named("twice", 1, SQUARE).replace("maxTrials: 1", "maxTrials: 1\n  maxTrials: 2");
    project.write("e.yaml", &twice);
    project.write(
        "f.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
    );
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}", finished.err);
    let succeeded = |name: &str| (name.to_string(), "Succeeded".to_string());
    assert_eq!(phases(&project), [succeeded("second"), succeeded("toy")]);
    for said in [
        "b.yaml, document 1: TuningJob \"zero\": spec.maxTrials: Invalid value: 0",
        "c.yaml must hold YAML documents",
        "d.yml must be text in UTF-8: line 1",
        "e.yaml must hold YAML documents",
        "f.yaml: ConfigMap \"settings\": no matches for kind \"ConfigMap\"",
    ] {
        assert_eq!(
            finished.err.matches(said).count(),
            2,
            "{said}: {}",
            finished.err
        );
    }
}

#[test]
fn a_list_stands_for_its_items() {
    let project = Project::with_search(1, SQUARE);
    assert_eq!(project.run().code, Some(0));
    let listed = ended(&["get", "tj", "-o", "yaml", "-d", &directory(&project)]).out;
    let other = Project::new();
    let one: Value = podium_operator::yaml::document(&listed).unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [one["items"][0]]});
    other.write("all.json", &list.to_string());
    let finished = other.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    assert_eq!(other.objects("trials").len(), 1);
}

#[test]
fn whole_numbers_are_those_that_an_api_server_would_store() {
    let project = Project::new();
    let written = search(2, SQUARE)
        .replace("maxTrials: 2", "maxTrials: 2.0")
        .replace("seed: 7", "seed: 010")
        .replace("activeDeadlineSeconds: 60", "activeDeadlineSeconds: 6e1")
        .replace(
            "- {name: kind,",
            "- {name: n, integer: {min: 1, max: 1e3}}\n    - {name: kind,",
        );
    project.write("search.yaml", &written);
    for _ in 0..2 {
        let finished = project.run();
        assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    }
    let spec = project.only("tuningjobs")["spec"].clone();
    assert_eq!((&spec["maxTrials"], &spec["seed"]), (&json!(2), &json!(8)));
    assert_eq!(spec["parameters"][1]["integer"]["max"], json!(1000));
    assert_eq!(spec["trial"]["activeDeadlineSeconds"], json!(60));
}

#[test]
fn what_could_not_be_read_back_is_not_stored() {
    let project = Project::new();
    let text = search(1, SQUARE);
    for (initial, said) in [
        ("{x: true}", "spec.initialTrials[0].x: cannot be read"),
        ("{x: {deep: 1}}", "spec.initialTrials[0].x: cannot be read"),
    ] {
        let bad = text.replace(
            "  trial:\n",
            &format!("  initialTrials: [{initial}]\n  trial:\n"),
        );
        project.write("search.yaml", &bad);
        let finished = project.run();
        assert_eq!(finished.code, Some(1));
        assert!(finished.err.contains(said), "{}", finished.err);
    }
    project.write("search.yaml", &text);
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
}

#[test]
fn what_is_blocked_can_be_corrected_while_nothing_ran() {
    let project = Project::new();
    let text = search(1, SQUARE);
    let tpe = text.replace("  trial:\n", "  algorithm: {name: TPE}\n  trial:\n");
    project.write("search.yaml", &tpe);
    assert_eq!(project.run().code, Some(1));
    assert!(ready_message(&project).contains("spec.algorithm.name: must be"));
    let other = tpe.replace("TPE", "Random").replace("seed: 7", "seed: 8");
    project.write("search.yaml", &other.replace("max: 1}", "max: 2}"));
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let spec = &project.only("tuningjobs")["spec"];
    assert_eq!(
        (&spec["algorithm"]["name"], &spec["seed"]),
        (&json!("Random"), &json!(8))
    );
}

#[test]
fn what_is_immutable_says_the_way_out_and_the_way_works() {
    let project = Project::with_search(2, SQUARE);
    assert_eq!(project.run().code, Some(0));
    project.write(
        "search.yaml",
        &search(2, SQUARE).replace("max: 1}", "max: 2}"),
    );
    let finished = project.run();
    assert_eq!(finished.code, Some(1));
    let way_out = format!("podium delete tuningjob toy -d {}", directory(&project));
    for said in [
        "`parameters` are immutable",
        "2 trials of it exist by now",
        &way_out,
    ] {
        assert!(finished.err.contains(said), "{said}: {}", finished.err);
    }
    let deleted = delete(&project, &["tuningjob", "toy"]);
    assert_eq!(deleted.code, Some(0), "{}", deleted.err);
    assert_eq!(
        deleted.out,
        "tuningjob.podium.dev \"toy\" deleted, with 2 trials\n"
    );
    assert_eq!(
        project.objects("trials").len() + project.objects("tuningjobs").len(),
        0
    );
    assert_eq!(
        fs::read_dir(project.path().join(".podium/runs"))
            .unwrap()
            .count(),
        0
    );
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    assert_eq!(
        project.only("tuningjobs")["spec"]["parameters"][0]["real"]["max"],
        2
    );
}

#[test]
fn two_of_one_name_are_both_refused_with_their_places() {
    let project = Project::with_search(1, SQUARE);
    project.write(
        "z.yaml",
        &format!("{}---\n{}", named("other", 1, SQUARE), search(3, SQUARE)),
    );
    let finished = project.run();
    assert_eq!(finished.code, Some(1));
    let said = "error: search.yaml and z.yaml, document 2: TuningJob \"toy\" stands there 2 times";
    assert!(finished.err.contains(said), "{}", finished.err);
    assert_eq!(
        phases(&project),
        [("other".to_string(), "Succeeded".to_string())]
    );
}

#[test]
fn a_removed_object_is_left_alone_until_it_is_pruned() {
    let project = Project::new();
    project.write(
        "all.yaml",
        &format!(
            "{}---\n{}",
            named("first", 1, "exit 1"),
            named("second", 1, SQUARE)
        ),
    );
    assert_eq!(project.run().code, Some(1), "`first` fails");
    project.write("all.yaml", &named("second", 2, SQUARE));
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    assert!(
        finished
            .err
            .contains("note: TuningJob \"first\" has no manifest any more and is left alone"),
        "{}",
        finished.err
    );
    assert!(!finished.out.contains("first"), "{}", finished.out);
    project.write("broken.yaml", "kind: [");
    let unsure = project.run_with(&["--prune"]);
    assert!(unsure.err.contains("nothing is pruned"), "{}", unsure.err);
    assert_eq!(project.objects("tuningjobs").len(), 2);
    fs::remove_file(project.path().join("broken.yaml")).unwrap();
    let pruned = project.run_with(&["--prune"]);
    assert_eq!(pruned.code, Some(0), "{}{}", pruned.out, pruned.err);
    assert!(
        pruned
            .err
            .contains("tuningjob.podium.dev \"first\" deleted, with 1 trial\n"),
        "{}",
        pruned.err
    );
    assert_eq!(project.objects("tuningjobs").len(), 1);
    assert_eq!(project.objects("trials").len(), 2);
}

fn begun(project: &Project) -> Child {
    let mut command = podium();
    command.arg("run").arg(project.path());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn until(met: impl Fn() -> bool) {
    while !met() {
        std::thread::yield_now();
    }
}

#[test]
fn deleting_waits_for_no_run_and_ends_what_still_runs() {
    let project = Project::with_search(1, "touch started; exec sleep 600");
    let mut run = begun(&project);
    until(|| project.path().join("started").exists());
    let refused = delete(&project, &["tj", "toy"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("another `podium run` works on"),
        "{}",
        refused.err
    );
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(
        !project.processes().is_empty(),
        "the trial outlives its podium"
    );
    let missing = delete(&project, &["tj", "toy", "none"]);
    assert_eq!(missing.err, "error: tuningjobs \"none\" not found\n");
    assert_eq!(project.objects("tuningjobs").len(), 1, "all or none");
    let deleted = delete(&project, &["tuningjobs", "toy"]);
    assert_eq!(
        deleted.out,
        "tuningjob.podium.dev \"toy\" deleted, with 1 trial; 1 run of it was ended first\n",
        "{}",
        deleted.err
    );
    until(|| project.processes().is_empty());
}

#[test]
fn the_longest_names_work_or_are_refused_with_the_limit() {
    let project = Project::new();
    let longest = "n".repeat(253);
    project.write(
        "registry.yaml",
        &REGISTRY.replace("name: models", &format!("name: {longest}")),
    );
    project.write("search.yaml", &named(&longest, 1, SQUARE));
    let finished = project.run();
    assert_eq!(finished.code, Some(1));
    assert!(ready_message(&project).contains("metadata.name: must be at most 52 characters"));
    assert_eq!(
        project.only("modelregistries")["metadata"]["name"],
        longest.as_str()
    );
    let shown = ended(&[
        "get",
        "mreg",
        &longest,
        "-o",
        "json",
        "-d",
        &directory(&project),
    ]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    project.write("search.yaml", &named(&"n".repeat(254), 1, SQUARE));
    let finished = project.run();
    assert!(
        finished.err.contains("must be no more than 253 bytes"),
        "{}",
        finished.err
    );
}
