//! Manifests that cannot be run: what is said, and that nothing is begun.

use crate::project::{Project, SQUARE, search};

/// The message of a run whose search was changed.
fn refused(change: impl Fn(String) -> String) -> String {
    let project = Project::new();
    project.write("search.yaml", &change(search(3, SQUARE)));
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    assert!(
        !project.path().join(".podium/state").exists(),
        "something was stored"
    );
    finished.err
}

fn replaced(old: &'static str, new: &'static str) -> String {
    refused(|text| {
        assert!(text.contains(old));
        text.replace(old, new)
    })
}

#[test]
fn each_is_refused_with_its_file_and_path() {
    let cases = [
        (
            "maxTrials: 3",
            "maxTrails: 3",
            "strict decoding error: unknown field \"spec.maxTrails\"",
        ),
        (
            "maxTrials: 3",
            "maxTrials: three",
            "spec.maxTrials: Invalid value: \"string\": spec.maxTrials in body must be of type integer: \"string\"",
        ),
        (
            "maxTrials: 3",
            "maxTrials: 0",
            "spec.maxTrials: Invalid value: 0: spec.maxTrials in body should be greater than or equal to 1",
        ),
        (
            "min: -1, max: 1",
            "min: 1, max: -1",
            "spec.parameters[0].real.min: Invalid value: \"object\": `min` must be less than `max`",
        ),
        (
            "min: -1, max: 1",
            "min: 0, max: 1, scale: Log",
            "spec.parameters[0].real.min: Invalid value: \"object\": `min` must be greater than 0 when `scale` is Log",
        ),
        (
            "name: kind",
            "name: x",
            "spec.parameters[1]: Duplicate value: {\"name\":\"x\"}",
        ),
        (
            "metric: loss",
            "metric: loss, expression: \"1 - loss\"",
            "spec.objective: Invalid value: \"object\": exactly one of `metric` and `expression` must be set",
        ),
        (
            ", metric: loss",
            "",
            "spec.objective: Invalid value: \"object\": exactly one of `metric` and `expression` must be set",
        ),
        (
            "maxTrials: 3",
            "maxTrials: 3\n  algorithm: {name: Grid}",
            "spec.algorithm.name: Invalid value: \"object\": `Grid` needs a finite space: every `real` parameter must have a `step`, and none may be `normal`",
        ),
        (
            "kind: TuningJob",
            "kind: TuningJobs",
            "no matches for kind \"TuningJobs\" in version \"podium.dev/v1alpha1\"",
        ),
    ];
    for (old, new, expected) in cases {
        let said = replaced(old, new);
        assert!(said.contains(expected), "{new}: {said}");
        assert!(said.starts_with("error: search.yaml: TuningJob"), "{said}");
    }
}

#[test]
fn a_circle_of_conditions_is_named() {
    let project = Project::new();
    let text = search(3, SQUARE)
        .replace("max: 1}}", "max: 1}, when: \"kind == 'a'\"}")
        .replace("[a, b]}}", "[a, b]}, when: \"x > 0.0\"}");
    project.write("search.yaml", &text);
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    let said = format!("{}{}", finished.out, finished.err);
    assert!(
        said.contains("parameters[0].when") && said.contains("circle"),
        "{said}"
    );
    assert_eq!(project.objects("trials").len(), 0);
}

#[test]
fn every_problem_of_every_file_is_told_at_once() {
    let project = Project::new();
    project.write("a.yaml", &search(0, SQUARE));
    project.write(
        "b.yaml",
        &search(3, SQUARE)
            .replace("name: toy", "name: other")
            .replace("Minimize", "Smaller"),
    );
    let said = project.run().err;
    assert!(
        said.contains("a.yaml: TuningJob \"toy\": spec.maxTrials: Invalid value: 0"),
        "{said}"
    );
    assert!(
        said.contains(
            "b.yaml: TuningJob \"other\": spec.objective.direction: Unsupported value: \"Smaller\""
        ),
        "{said}"
    );
}

#[test]
fn what_is_no_yaml_and_what_is_empty_is_told() {
    let said = refused(|text| text.replace("metadata: {name: toy}", "metadata: {name: toy"));
    assert!(
        said.contains("search.yaml must hold YAML documents"),
        "{said}"
    );
    let empty = Project::new();
    let said = empty.run().err;
    let expected =
        "holds no manifest; it must hold at least one TuningJob or ChampionPolicy in a .yaml file";
    assert!(said.contains(expected), "{said}");
    assert!(!empty.path().join(".podium").exists());
    let nowhere = crate::project::ended(&["run", "/nonexistent"]);
    assert_eq!(
        nowhere.err,
        "error: cannot read /nonexistent: No such file or directory (os error 2)\n"
    );
}

#[test]
fn an_immutable_field_may_not_change_between_runs() {
    let project = Project::with_search(2, SQUARE);
    assert_eq!(project.run().code, Some(0));
    let changed = search(2, SQUARE).replace("seed: 7", "seed: 8");
    project.write("search.yaml", &changed);
    let refused = project.run();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .err
            .contains("spec.seed: Invalid value: \"object\": `seed` is immutable"),
        "{}",
        refused.err
    );
    project.write("search.yaml", &search(4, SQUARE));
    let longer = project.run();
    assert_eq!(longer.code, Some(0), "{}{}", longer.out, longer.err);
    assert_eq!(project.objects("trials").len(), 4);
}
