//! What a search may say, and what is refused of it by name.

use crate::project::Project;

/// A search whose parameters, objective and algorithm are these.
fn saying(parameters: &str, objective: &str, more: &str, script: &str) -> Project {
    let project = Project::new();
    let script = serde_json::to_string(script).unwrap();
    project.write(
        "search.yaml",
        &format!(
            r#"apiVersion: podium.dev/v1alpha1
kind: TuningJob
metadata: {{name: toy}}
spec:
  seed: 7
  maxTrials: 9
  maxFailedTrials: 0
{more}
  objective: {{direction: Minimize, {objective}}}
  parameters:
{parameters}
  trial:
    job: {{template: {{spec: {{containers: [{{name: train, image: none, command: [sh, -c, {script}]}}]}}}}}}
"#
        ),
    );
    project
}

const ONE: &str = "echo '{\"metrics\":{\"loss\":1}}' > $PODIUM_TERMINATION_MESSAGE_PATH";

#[test]
fn ordinal_parameters_compare_by_the_place_of_their_value() {
    let sizes = "    - {name: size, ordinal: {values: [small, medium, large]}}
    - {name: other, ordinal: {values: [small, medium, large]}}
    - {name: extra, integer: {min: 1, max: 2}, when: 'size > \"medium\"'}
  parameterConstraints: [{expression: 'other <= size'}]
  algorithm: {name: Grid}";
    let project = saying(sizes, "metric: loss", "", ONE);
    assert_eq!(project.run().code, Some(0));
    let mut tried: Vec<String> = project
        .objects("trials")
        .iter()
        .map(|trial| trial["spec"]["parameters"].to_string())
        .collect();
    tried.sort();
    assert_eq!(tried.len(), 9);
    assert_eq!(
        tried
            .iter()
            .filter(|one| one.contains("\"size\":\"large\""))
            .count(),
        6
    );
    assert!(
        tried
            .iter()
            .all(|one| one.contains("extra") == one.contains("\"size\":\"large\"")),
        "{tried:?}"
    );
    let unknown = sizes.replace("\"medium\"", "\"huge\"");
    let refused = saying(&unknown, "metric: loss", "", ONE).run();
    assert_eq!(refused.code, Some(1));
    let said = format!("{}{}", refused.out, refused.err);
    let expected = "spec.parameters[2].when: `when` compares `size` with 'huge', which is none of its `values`";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn initial_trials_are_tried_or_refused_by_path_and_value() {
    let parameters = "    - {name: x, integer: {min: 1, max: 9}}
    - {name: kind, categorical: {values: [a, b]}}";
    let first = "  initialTrials: [{x: 3, kind: b}, {x: 4}]";
    let project = saying(parameters, "metric: loss", first, ONE);
    assert_eq!(project.run().code, Some(0));
    let trials = project.objects("trials");
    let of = |name: &str| {
        let trial = trials
            .iter()
            .find(|trial| trial["metadata"]["name"] == name);
        trial.unwrap()["spec"].clone()
    };
    assert_eq!(
        of("toy-1")["parameters"].to_string(),
        "{\"kind\":\"b\",\"x\":3}"
    );
    assert_eq!(of("toy-2")["parameters"]["x"], 4);
    assert_eq!(of("toy-2")["origin"], "Initial");
    let first = "  initialTrials: [{x: 3, kind: b}, {x: 12}, {kind: b, x: 3.0}, {y: 1}]";
    let refused = saying(parameters, "metric: loss", first, ONE);
    let finished = refused.run();
    assert_eq!(finished.code, Some(1));
    let said = format!("{}{}", finished.out, finished.err);
    for expected in [
        "spec.initialTrials[1].x: `x` must be a whole number from 1 to 9 in steps of 1, not 12",
        "spec.initialTrials[2]: must differ from `initialTrials[0]`",
        "spec.initialTrials[3].y: `y` must be one of the `parameters`",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(refused.objects("trials").len(), 0);
}

#[test]
fn metrics_of_any_name_are_objectives_and_only_the_branch_that_is_taken_is_needed() {
    let script = "echo '{\"metrics\":{\"val/acc\":0.5,\"val-auc\":0.25}}' > $PODIUM_TERMINATION_MESSAGE_PATH";
    let parameters = "    - {name: x, integer: {min: 1, max: 2}}";
    for (objective, expected) in [
        ("metric: val/acc", 0.5),
        ("metric: val-auc", 0.25),
        (
            "expression: 'metrics[\"val/acc\"] > 0.4 ? 2 * metrics[\"val-auc\"] : loss'",
            0.5,
        ),
    ] {
        let project = saying(parameters, objective, "", script);
        let finished = project.run();
        assert_eq!(
            finished.code,
            Some(0),
            "{objective}: {}{}",
            finished.out,
            finished.err
        );
        assert_eq!(
            project.only("tuningjobs")["status"]["best"]["objective"],
            expected
        );
    }
    let other = "expression: 'metrics[\"val/acc\"] < 0.4 ? 2 * metrics[\"val-auc\"] : loss'";
    let project = saying(parameters, other, "", script);
    assert_eq!(project.run().code, Some(1));
    let said = project.only("trials")["status"]["message"].clone();
    assert_eq!(
        said,
        "the trial must report the metric `loss`; it reported `val-auc`, `val/acc`"
    );
}

#[test]
fn what_an_expression_or_a_report_cannot_say_is_refused_by_name() {
    let parameters = "    - {name: x, integer: {min: 1, max: 2}}";
    let mapped = "expression: 'max([loss, 1].map(v, v * 2))'";
    let finished = saying(parameters, mapped, "", ONE).run();
    let said = format!("{}{}", finished.out, finished.err);
    assert_eq!(finished.code, Some(1));
    assert!(
        said.contains("spec.objective.expression: `expression` must not use `map`"),
        "{said}"
    );
    let twice = "echo '{\"metrics\":{\"loss\":1,\"loss\":2}}' > $PODIUM_TERMINATION_MESSAGE_PATH";
    let project = saying(parameters, "metric: loss", "", twice);
    assert_eq!(project.run().code, Some(1));
    let said = project.only("trials")["status"]["message"].clone();
    assert!(
        said.as_str()
            .unwrap()
            .contains("the metric `loss` stands in it twice"),
        "{said}"
    );
}

#[test]
fn every_setting_of_hyperopt_can_be_said() {
    let parameters = "    - {name: x, real: {min: 0, max: 1}}";
    let run = |settings: &str| {
        let more =
            format!("  algorithm: {{name: Hyperopt, hyperopt: {{startupTrials: 2{settings}}}}}");
        let script = r#"echo "{\"metrics\":{\"loss\":$x}}" > $PODIUM_TERMINATION_MESSAGE_PATH"#;
        let project = saying(parameters, "metric: loss", &more, script);
        assert_eq!(project.run().code, Some(0));
        let trials = project.objects("trials");
        let tried = trials
            .iter()
            .map(|trial| trial["spec"]["parameters"].to_string());
        tried.collect::<Vec<_>>()
    };
    let plain = run("");
    assert_eq!(run(", priorWeight: 1, linearForgetting: 25"), plain);
    assert_ne!(run(", priorWeight: 50"), plain);
    assert_ne!(run(", linearForgetting: 1"), plain);
}
