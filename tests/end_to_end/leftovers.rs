//! Files that are left over, damaged, or no files at all: each is named, removed with its object, and holds nobody up.

use crate::isolation::beside_a_good_one;
use crate::policies::{alias, call, project, run};
use crate::project::{Finished, Project, SQUARE, search};
use std::fs;
use std::process::Command;

fn make_pipe(project: &Project, name: &str) {
    let path = project.path().join(name);
    if path.exists() {
        fs::remove_file(&path).unwrap();
    }
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn failed(project: &Project, said: &str) -> Finished {
    let finished = project.run();
    let text = format!("{}{}", finished.out, finished.err);
    assert_eq!(finished.code, Some(1), "{text}");
    assert!(text.contains(said), "{said} is not in {text}");
    finished
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_named_and_never_waited_for() {
    for name in [
        "pred/v2.csv",
        "registry/m/aliases/champion",
        "registry/m/versions/2/version.yaml",
    ] {
        let project = project("");
        project.write("search.yaml", &search(1, SQUARE));
        make_pipe(&project, name);
        let finished = project.run();
        let text = format!("{}{}", finished.out, finished.err);
        assert!(text.contains(name), "{text}");
        assert!(
            text.contains("is a named pipe, but must be a file"),
            "{text}"
        );
        assert_eq!(
            project.only("tuningjobs")["status"]["phase"],
            "Succeeded",
            "{text}"
        );
    }
}

#[test]
fn an_object_that_cannot_be_read_is_named_and_removed_with_what_belongs_to_it() {
    let project = beside_a_good_one(SQUARE);
    assert_eq!(project.run().code, Some(0));
    let file = project.path().join(".podium/state/tuningjobs/toy.yaml");
    for damage in ["", "null", "spec: [", "{\"metadata\": {"] {
        fs::write(&file, damage).unwrap();
        let finished = failed(&project, "tuningjobs/toy.yaml is not what podium writes");
        assert!(finished.out.contains("good: Succeeded"), "{}", finished.out);
        assert_eq!(call(&project, &["get", "tj"]).code, Some(1), "{damage}");
    }
    let deleted = call(&project, &["delete", "tj", "toy", "toy"]);
    let said =
        "tuningjob.podium.dev \"toy\", whose file could not be read, deleted, with 1 trial\n";
    assert_eq!(deleted.out, said, "{}", deleted.err);
    assert_eq!(project.run().code, Some(0));
    // A trial that cannot be read goes with its search.
    let trial = project.path().join(".podium/state/trials/toy-1.yaml");
    fs::write(&trial, "").unwrap();
    assert_eq!(call(&project, &["delete", "tj", "toy"]).code, Some(0));
    assert!(!trial.exists());
    assert_eq!(project.run().code, Some(0));
}

#[test]
fn trials_whose_search_is_gone_stand_in_nobodys_way() {
    let project = beside_a_good_one(SQUARE);
    assert_eq!(project.run().code, Some(0));
    fs::remove_file(project.path().join(".podium/state/tuningjobs/toy.yaml")).unwrap();
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let said = "what belonged to objects that are gone deleted, with 1 trial";
    assert!(
        format!("{}{}", finished.out, finished.err).contains(said),
        "{}{}",
        finished.out,
        finished.err
    );
    assert!(finished.out.contains("toy Succeeded"), "{}", finished.out);
}

#[test]
fn a_registry_that_is_gone_or_damaged_fails_the_run() {
    for exclusivity in ["Ledger", "Guarded"] {
        let project = project(&format!("  promotion: {{exclusivity: {exclusivity}}}"));
        run(&project);
        assert_eq!(alias(&project, "champion"), "2");
        fs::rename(
            project.path().join("registry/m"),
            project.path().join("kept"),
        )
        .unwrap();
        failed(&project, "the registered model m is gone");
        fs::rename(
            project.path().join("kept"),
            project.path().join("registry/m"),
        )
        .unwrap();
        run(&project);
        project.write("registry/m/aliases/champion", "");
        failed(
            &project,
            "aliases/champion must hold one line, the name of a version",
        );
    }
}

#[test]
fn a_rollback_goes_to_a_version_that_exists() {
    let project = project("");
    run(&project);
    let rollback =
        |to: &str, reason: &str| call(&project, &["rollback", "p", "--to", to, "--reason", reason]);
    for (to, reason, said) in [
        (
            "99",
            "x",
            "version 99 does not exist; the registry has 1, 2, 3",
        ),
        ("", "x", "does not exist"),
        ("v2", "x", "v2 is champion already"),
        ("1", " ", "--reason must say why"),
    ] {
        let refused = rollback(to, reason);
        assert_eq!(refused.code, Some(1), "{to}");
        assert!(refused.err.contains(said), "{}", refused.err);
    }
    let printed = rollback("v1", "alerts").out;
    assert!(printed.contains("version: \"1\""), "{printed}");
    assert_eq!(call(&project, &["get", "foo"]).code, Some(2));
}

#[test]
fn a_manifest_that_was_taken_from_a_cluster_belongs_to_nobody_here() {
    let owner = r#"{apiVersion: podium.dev/v1alpha1, kind: ChampionPolicy, name: fraud, uid: of-a-cluster, controller: true}"#;
    let owned = format!("metadata: {{name: toy, ownerReferences: [{owner}]}}");
    let manifest = search(1, SQUARE).replace("metadata: {name: toy}", &owned);
    let project = Project::with_search(1, SQUARE);
    project.write("search.yaml", &manifest);
    for _ in 0..2 {
        let finished = project.run();
        let text = format!("{}{}", finished.out, finished.err);
        assert_eq!(finished.code, Some(0), "{text}");
        assert!(!text.contains("deleted"), "{text}");
        let search = project.only("tuningjobs");
        assert_eq!(search["status"]["phase"], "Succeeded", "{text}");
        assert!(search["metadata"]["ownerReferences"].is_null());
        // As it was stored before this was so.
        let mut stored = search;
        let owner = serde_json::json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy", "name": "fraud", "uid": "of-a-cluster",
        });
        stored["metadata"]["ownerReferences"] = serde_json::json!([owner]);
        let file = project.path().join(".podium/state/tuningjobs/toy.yaml");
        fs::write(file, stored.to_string()).unwrap();
    }
    assert_eq!(project.run().code, Some(0));
    assert_eq!(project.objects("trials").len(), 1);
}
