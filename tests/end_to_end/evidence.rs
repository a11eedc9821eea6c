//! Evidence over runs of the program: scorers, measurements, holdouts, comparisons that are recomputed.

use crate::policies::{alias, call, manifests, point, policy, predictions, project, run};
use crate::project::Project;
use std::fs;

/// A scorer that copies files, so that tests decide what it makes.
const SCORER: &str = r#"    scorer: {job: {template: {spec: {containers: [{name: s, image: any, command: [sh, score.sh, "--data=holdout.csv"]}]}}}}"#;

fn scored(more: &str) -> Project {
    let project = project("");
    let spec = policy("p", &format!("{SCORER}\n{more}")).replace("pred/v", ".podium/scored/v");
    project.write("all.yaml", &manifests(&spec));
    let script = r#"mkdir -p .podium/scored
echo run >> runs-of-$MODEL_VERSION
cp "pred/v$MODEL_VERSION.csv" "${OUTPUT_URI#file://}" || exit 1
echo "{\"measurements\": {\"latency\": $(cat latency-$MODEL_VERSION)}}" > "$PODIUM_TERMINATION_MESSAGE_PATH"
"#;
    project.write("score.sh", script);
    project.write("holdout.csv", "first");
    project.write("latency-1", "10");
    project.write("latency-2", "10.5");
    project
}

fn runs(project: &Project, version: &str) -> usize {
    let path = project.path().join(format!("runs-of-{version}"));
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn a_scorer_runs_again_when_its_inputs_changed_and_once_after_a_failure() {
    let project = scored("");
    fs::rename(
        project.path().join("pred/v2.csv"),
        project.path().join("kept.csv"),
    )
    .unwrap();
    let failed = project.run();
    assert!(
        failed.out.contains("the scorer of v2 failed"),
        "{}{}",
        failed.out,
        failed.err
    );
    assert_eq!(runs(&project, "2"), 1);
    let failed = project.run();
    assert!(
        failed.out.contains("the scorer of v2 failed"),
        "{}",
        failed.out
    );
    assert_eq!(runs(&project, "2"), 2, "once more in each run");
    fs::rename(
        project.path().join("kept.csv"),
        project.path().join("pred/v2.csv"),
    )
    .unwrap();
    run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    let before = (runs(&project, "1"), runs(&project, "2"));
    run(&project);
    assert_eq!(
        (runs(&project, "1"), runs(&project, "2")),
        before,
        "nothing changed"
    );
    // Next week: another holdout under the same name, and another challenger.
    project.write("holdout.csv", "next week");
    project.write("latency-3", "10");
    point(&project, "challenger", "3");
    run(&project);
    assert_eq!(
        (runs(&project, "2"), runs(&project, "3")),
        (before.1 + 1, 1)
    );
}

/// The template names no holdout, so nothing tells from outside that the old predictions are of other rows.
#[test]
fn predictions_that_cannot_be_compared_are_made_again_once() {
    let project = scored("");
    let script = project.path().join("score.sh");
    let by_week = fs::read_to_string(&script)
        .unwrap()
        .replace("pred/v", "$(cat week)/v");
    fs::write(&script, by_week).unwrap();
    project.write("week", "pred");
    run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    for (version, signal, step) in [("2", 0.3, 53), ("3", 0.6, 71)] {
        project.write(
            &format!("next/v{version}.csv"),
            &predictions(5000, 900, signal, step),
        );
    }
    project.write("week", "next");
    project.write("latency-3", "10");
    point(&project, "challenger", "3");
    run(&project);
    assert_eq!(alias(&project, "champion"), "3");
    assert_eq!((runs(&project, "2"), runs(&project, "3")), (2, 1));
}

/// As Spark leaves them: predictions and holdout are directories, and a job that broke off leaves one that is not finished.
#[test]
fn predictions_in_parts_are_compared_and_made_again_for_a_holdout_in_parts() {
    let project = scored("");
    project.replace("all.yaml", "$(version).csv", "$(version)");
    let script = r#"out="${OUTPUT_URI#file://}"; rm -rf "$out"; mkdir -p "$out"
echo run >> runs-of-$MODEL_VERSION
[ -e broken ] && { mkdir "$out/_temporary"; exit 1; }
head -400 pred/v$MODEL_VERSION.csv > "$out/part-0.csv"
{ head -1 pred/v$MODEL_VERSION.csv; tail -n +401 pred/v$MODEL_VERSION.csv; } > "$out/part-1.csv"
touch "$out/_SUCCESS"
"#;
    project.write("score.sh", script);
    fs::remove_file(project.path().join("holdout.csv")).unwrap();
    project.replace("all.yaml", "holdout.csv", "holdout");
    project.write("holdout/part-0.csv", "first");
    project.write("broken", "");
    let failed = project.run();
    assert!(
        failed.out.contains("the scorer of v1 failed"),
        "{}{}",
        failed.out,
        failed.err
    );
    fs::remove_file(project.path().join("broken")).unwrap();
    run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    let before = runs(&project, "2");
    run(&project);
    assert_eq!(runs(&project, "2"), before, "nothing changed");
    project.write("holdout/part-0.csv", "next week");
    point(&project, "challenger", "3");
    run(&project);
    assert_eq!(runs(&project, "2"), before + 1);
}

#[test]
fn a_slower_model_is_held_by_its_measurement() {
    let guardrail = "  test: {guardrails: [{measurement: latency, maxIncreasePercent: 10}]}";
    let project = scored(guardrail);
    run(&project);
    assert_eq!(alias(&project, "champion"), "2", "5% slower is allowed");
    let slower = scored(guardrail);
    slower.write("latency-2", "12");
    let finished = run(&slower);
    assert_eq!(alias(&slower, "champion"), "1");
    assert!(finished.out.contains("latency"), "{}", finished.out);
    assert_eq!(slower.only("evaluations")["status"]["verdict"], "Inferior");
    let silent = scored(guardrail);
    let script = fs::read_to_string(silent.path().join("score.sh")).unwrap();
    silent.write(
        "score.sh",
        &script.replace("\\\"latency\\\"", "\\\"size\\\""),
    );
    let finished = silent.run();
    assert!(
        finished.out.contains("left no measurement `latency`"),
        "{}",
        finished.out
    );
}

#[test]
fn a_stored_comparison_is_recomputed_or_the_first_difference_is_named() {
    let project = project("");
    run(&project);
    let name = project.only("evaluations")["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_string();
    let file = project
        .path()
        .join(format!(".podium/state/evaluations/{name}.yaml"));
    let file = file.display().to_string();
    let same = call(&project, &["evaluate", "--from", &file]);
    assert_eq!(same.code, Some(0), "{}", same.err);
    assert!(same.out.contains("the same, bit for bit"), "{}", same.out);
    let stored = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        stored.replacen("verdict: Superior", "verdict: Inferior", 1),
    )
    .unwrap();
    let forged = call(&project, &["evaluate", "--from", &file]);
    assert!(
        forged
            .err
            .contains("status.verdict differs: recorded is Inferior"),
        "{}",
        forged.err
    );
    let rows = predictions(0, 900, 0.4, 54);
    project.write("pred/v2.csv", &rows);
    let changed = call(&project, &["evaluate", "--from", &file]);
    assert!(
        changed
            .err
            .contains("status.evidence.challenger.sha256 differs"),
        "{}",
        changed.err
    );
}

#[test]
fn labels_come_from_the_holdout_and_its_digest_is_checked() {
    let holdout = |sha256: &str| {
        format!("    holdout: {{name: week, uri: \"file://holdout.csv\", sha256: {sha256}}}")
    };
    let zeros = "f".repeat(64);
    let project = project(&holdout(&zeros));
    // The challenger's scorer turned the labels that it is graded by.
    let turned = predictions(0, 900, 0.4, 53)
        .replace(",1,", ",9,")
        .replace(",0,", ",1,")
        .replace(",9,", ",0,");
    project.write("pred/v2.csv", &turned);
    project.write("holdout.csv", &predictions(0, 900, 0.0, 1));
    let refused = project.run();
    assert!(
        refused.out.contains(&zeros),
        "{}{}",
        refused.out,
        refused.err
    );
    let found = project.only("evaluations")["status"]["message"]
        .as_str()
        .unwrap()
        .to_string();
    let digest = found
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() == 64 && *word != zeros)
        .unwrap_or_else(|| panic!("{found}"));
    project.write("all.yaml", &manifests(&policy("p", &holdout(digest))));
    run(&project);
    assert_eq!(
        alias(&project, "champion"),
        "2",
        "its own labels are not looked at"
    );
}
