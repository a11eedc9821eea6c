//! Policies over runs of the program: what people do between two runs, and what must come of it.

use crate::project::{Finished, Project, podium};
use serde_json::Value;
use std::fs;

/// Predictions of `rows` rows from `first` on; a higher `signal` is a better model.
pub fn predictions(first: u32, rows: u32, signal: f64, step: u32) -> String {
    let noise = |row: u32| f64::from(row.wrapping_mul(step) % 97) / 97.0;
    let lines = (first..first + rows).map(|row| {
        let label = u32::from(row % 3 == 0);
        let score = signal * f64::from(label) + (1.0 - signal) * noise(row);
        format!("{row},{label},{score}\n")
    });
    format!("id,y,score\n{}", lines.collect::<String>())
}

pub fn manifests(policy: &str) -> String {
    format!(
        r#"apiVersion: podium.dev/v1alpha1
kind: ModelRegistry
metadata: {{name: models}}
spec: {{directory: {{path: registry}}}}
---
{policy}"#
    )
}

/// A policy with these further lines in its spec.
pub fn policy(name: &str, more: &str) -> String {
    format!(
        r#"apiVersion: podium.dev/v1alpha1
kind: ChampionPolicy
metadata: {{name: {name}}}
spec:
  registryRef: {{name: models}}
  model: m
  evidence:
    predictions: {{uri: "file://pred/v$(version).csv", columns: {{id: id, label: y}}}}
{more}
"#
    )
}

/// Versions 1 and 2, the second one better and challenger of the first, with predictions that lie there.
pub fn project(more: &str) -> Project {
    let project = Project::new();
    project.write("all.yaml", &manifests(&policy("p", more)));
    for version in ["1", "2", "3"] {
        let directory = format!("registry/m/versions/{version}");
        project.write(&format!("{directory}/version.yaml"), "source: by hand\n");
        project.write(&format!("{directory}/files/model.bin"), version);
    }
    project.write("registry/m/aliases/champion", "1\n");
    project.write("registry/m/aliases/challenger", "2\n");
    project.write("pred/v1.csv", &predictions(0, 900, 0.1, 31));
    project.write("pred/v2.csv", &predictions(0, 900, 0.4, 53));
    project.write("pred/v3.csv", &predictions(0, 900, 0.4, 71));
    project
}

pub fn alias(project: &Project, alias: &str) -> String {
    let path = project.path().join("registry/m/aliases").join(alias);
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_string()
}

pub fn point(project: &Project, alias: &str, version: &str) {
    project.write(
        &format!("registry/m/aliases/{alias}"),
        &format!("{version}\n"),
    );
}

pub fn run(project: &Project) -> Finished {
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    finished
}

pub fn call(project: &Project, arguments: &[&str]) -> Finished {
    let mut command = podium();
    command.args(arguments).arg("-d").arg(project.path());
    command.output().unwrap().into()
}

fn reason(policy: &Value) -> &str {
    let conditions = policy["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap();
    ready["reason"].as_str().unwrap()
}

#[test]
fn a_rollback_by_hand_stands_until_there_is_new_evidence() {
    let project = project("");
    run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    point(&project, "champion", "1");
    let finished = run(&project);
    assert_eq!(alias(&project, "champion"), "1");
    assert!(
        finished
            .out
            .contains("v2 was refused on this holdout by somebody else"),
        "{}",
        finished.out
    );
    assert_eq!(reason(&project.only("championpolicies")), "Refused");
    assert_eq!(
        alias(&project, "previous-champion"),
        "",
        "it would name the champion"
    );
    for (version, signal, step) in [("1", 0.1, 31), ("2", 0.4, 53)] {
        let rows = predictions(5000, 900, signal, step);
        project.write(&format!("pred/v{version}.csv"), &rows);
    }
    run(&project);
    assert_eq!(
        alias(&project, "champion"),
        "2",
        "other rows are new evidence"
    );
    let history = call(&project, &["history", "p"]);
    for outcome in ["Promoted", "External"] {
        assert!(history.out.contains(outcome), "{}", history.out);
    }
}

#[test]
fn a_deleted_state_comes_back_from_the_ledger_and_nothing_is_judged_twice() {
    let project = project("");
    run(&project);
    point(&project, "champion", "1");
    run(&project);
    let ledger = |project: &Project| {
        let files = project.everything();
        let of_ledger = |path: &std::path::Path| path.to_string_lossy().contains("/ledger/");
        files
            .into_iter()
            .filter(|(path, _)| of_ledger(path))
            .collect::<Vec<_>>()
    };
    let before = ledger(&project);
    fs::remove_dir_all(project.path().join(".podium")).unwrap();
    run(&project);
    assert_eq!(alias(&project, "champion"), "1");
    assert_eq!(ledger(&project), before);
    let status = &project.only("championpolicies")["status"];
    assert_eq!(
        (&status["epoch"], &status["owner"]),
        (&3.into(), &"local:registry/default/p".into())
    );
}

#[test]
fn the_first_champion_is_approved_by_the_program() {
    let project = project("");
    fs::remove_file(project.path().join("registry/m/aliases/champion")).unwrap();
    run(&project);
    let pending = &project.only("championpolicies")["status"]["pendingDecision"];
    assert_eq!(
        (&pending["cause"], &pending["to"]),
        (&"First".into(), &"2".into())
    );
    let approved = call(&project, &["approve", "p", "--as", "alice"]);
    assert_eq!(approved.code, Some(0), "{}", approved.err);
    assert!(
        approved
            .out
            .contains("alice approves that v2 becomes champion of m"),
        "{}",
        approved.out
    );
    run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    let again = call(&project, &["approve", "p", "--as", "alice"]);
    assert!(
        again.err.contains("no decision that waits for consent"),
        "{}",
        again.err
    );
}

#[test]
fn a_rejection_stands_and_a_rollback_is_a_pin() {
    let project = project("  promotion: {mode: Approval}");
    run(&project);
    assert_eq!(
        call(&project, &["reject", "p", "--as", "bob"]).code,
        Some(0)
    );
    let finished = run(&project);
    assert!(
        finished
            .out
            .contains("v2 was refused on this holdout by bob"),
        "{}",
        finished.out
    );
    project.write(
        "all.yaml",
        &manifests(&policy("p", "  reconsider: [\"2\"]")),
    );
    run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    let rollback = call(&project, &["rollback", "p", "--reason", "too many alerts"]);
    assert!(
        rollback
            .out
            .contains("It makes v1 champion of m in place of v2"),
        "{}",
        rollback.out
    );
    let pin = "  pin: {version: \"1\", reason: too many alerts}\n  suspend: true";
    project.write("all.yaml", &manifests(&policy("p", pin)));
    run(&project);
    assert_eq!(alias(&project, "champion"), "1");
    project.write("all.yaml", &manifests(&policy("p", "")));
    run(&project);
    assert_eq!(
        alias(&project, "champion"),
        "1",
        "what a pin replaced stays refused"
    );
}

#[test]
fn of_two_policies_on_one_alias_the_younger_is_blocked_and_names_the_other() {
    let project = project("");
    let both = format!(
        "{}\n---\n{}",
        policy("b", ""),
        policy("a", "  suspend: true")
    );
    project.write("all.yaml", &manifests(&both));
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}", finished.out);
    assert!(
        finished.out.contains("is owned by the policy `a`"),
        "{}",
        finished.out
    );
    assert_eq!(alias(&project, "champion"), "1", "the owner is suspended");
}

#[test]
fn what_a_run_does_not_carry_out_is_refused_by_name() {
    let template = "tuningJobTemplate: {spec: {}}";
    for (more, path) in [
        (
            "  pollSeconds: 30",
            "spec.pollSeconds: must be left out here",
        ),
        (
            &*format!("  retrain: {{schedule: '0 3 * * *', {template}}}"),
            "spec.retrain: must be left out here",
        ),
        (
            &*format!("  retrain: {{schedule: soon, {template}}}"),
            "spec.retrain.schedule: must be a cron schedule",
        ),
        (
            "  promotion: {windows: [{schedule: '0 25 * * *', durationSeconds: 60}]}",
            "spec.promotion.windows[0].schedule: must be a cron schedule",
        ),
        (
            "  promotion: {windows: [{schedule: '@daily', durationSeconds: 60, timeZone: Mars}]}",
            "spec.promotion.windows[0].timeZone: must be a time zone",
        ),
        (
            "  publish: {configMap: {name: c}}",
            "spec.publish: must be left out here",
        ),
        (
            "  notify: [{url: 'https://hooks.example.com'}]",
            "spec.notify: must be left out here",
        ),
        (
            "  reports: {uri: 's3://evaluation/reports'}",
            "spec.reports.uri: must be a path or a `file:` URI here",
        ),
        (
            "    evaluator: {podTemplate: {spec: {}}}",
            "spec.evidence.evaluator: must be left out here",
        ),
        (
            "  test: {method: SeparateIntervals, guardrails: [{metric: f1, maxRegression: 0.1}]}",
            "spec.test.guardrails: must be left out when `method` is SeparateIntervals",
        ),
        (
            "  test: {interval: Percentile}",
            "spec.test.interval: must be NormalT unless",
        ),
    ] {
        let project = project(more);
        let finished = project.run();
        assert_eq!(
            finished.code,
            Some(1),
            "{more}: {}{}",
            finished.out,
            finished.err
        );
        let said = format!("{}{}", finished.out, finished.err);
        assert!(said.contains(path), "{more}: {said}");
        assert_eq!(alias(&project, "champion"), "1");
    }
}

#[test]
fn several_challengers_share_one_look() {
    let project = project("  challengers: {alias: null, versions: {newerThanChampion: true}}");
    run(&project);
    let looks = project.path().join("registry/m/ledger/look");
    assert_eq!(fs::read_dir(looks).unwrap().count(), 1);
    let evaluations = project.objects("evaluations");
    let of_first = evaluations
        .iter()
        .filter(|e| e["spec"]["champion"]["version"] == "1");
    let shared: Vec<_> = of_first
        .map(|e| &e["status"]["look"]["challengers"])
        .collect();
    assert_eq!(shared, [&Value::from(2), &Value::from(2)]);
    assert!(["2", "3"].contains(&alias(&project, "champion").as_str()));
}

#[test]
fn a_registry_that_was_set_back_by_hand_is_told_and_the_old_verdict_is_not() {
    let project = project("");
    run(&project);
    let registry = project.path().join("registry");
    fs::remove_dir_all(registry.join("m")).unwrap();
    let fresh = self::project("");
    fs::rename(fresh.path().join("registry/m"), registry.join("m")).unwrap();
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    assert!(finished.out.contains("the registry was set back"));
    assert!(!finished.out.contains("Promoted."), "{}", finished.out);
    assert!(
        !finished.out.contains("champion of m: v2"),
        "{}",
        finished.out
    );
}
