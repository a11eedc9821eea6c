//! Every field of a search is carried out or refused by name.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test speaks by failing.

mod schema_leaves;

use podium_api::convert::{not_carried_out_locally, trial_settings, tuning_settings};
use podium_api::{TuningJob, TuningJobSpec};
use schema_leaves::{Fate, every_leaf_has_its_fate};
use serde_json::{Value, json};

fn carried(one: Value, other: Value) -> Fate {
    Fate::Carried(one, other)
}

/// Carried out by its absence in the base, too.
fn added(change: Value) -> Fate {
    Fate::Carried(json!({}), change)
}

fn refused(change: Value, at: &'static str) -> Fate {
    Fate::Refused(change, at)
}

/// What the core and the runs of trials get, and which registry the engine looks up.
fn search(spec: &Value) -> Result<String, Vec<String>> {
    let spec: TuningJobSpec = serde_json::from_value(spec.clone()).unwrap();
    let job = TuningJob::new("a", spec.clone());
    let local = not_carried_out_locally(&spec);
    match (tuning_settings(&job), trial_settings(&spec)) {
        (Ok(settings), Ok(runs)) if local.is_empty() => {
            let reference = spec.register.map(|register| register.registry_ref);
            Ok(format!("{settings:?} {runs:?} {reference:?}"))
        }
        (settings, runs) => {
            let problems = [settings.err(), runs.err(), Some(local)];
            let problems = problems.into_iter().flatten().flatten();
            Err(problems.map(|problem| problem.to_string()).collect())
        }
    }
}

fn parameters(domain: Value) -> Value {
    let mut parameter = json!({"name": "x"});
    let fields = parameter.as_object_mut().unwrap();
    fields.extend(domain.as_object().unwrap().clone());
    json!({"parameters": [parameter]})
}

/// A change of one field of a domain.
fn domain(kind: &str, base: Value, field: &str, value: Value) -> Fate {
    let mut changed = base.clone();
    changed[field] = value;
    carried(
        parameters(json!({kind: base})),
        parameters(json!({kind: changed})),
    )
}

fn source(source: Value) -> Value {
    json!({"metrics": {"sources": [source]}})
}

#[test]
fn every_field_of_a_search() {
    let base = json!({
        "maxTrials": 4,
        "objective": {"direction": "Maximize", "metric": "auc"},
        "parameters": [{"name": "x", "real": {"min": 0.0, "max": 1.0}}],
        "trial": {"outputURI": "out/$(PODIUM_TRIAL)", "job": {"template": {"spec": {"containers": [{"name": "train"}, {"name": "report"}]}}}},
        "register": {"registryRef": {"name": "models"}, "model": "m"},
    });
    let real = || json!({"min": 1.0, "max": 2.0});
    let integer = || json!({"min": 1, "max": 9});
    let normal = || json!({"mean": 1.0, "deviation": 2.0});
    let trial = |change: Value| json!({"trial": change});
    let rule = |when: &str, action: &str| {
        trial(json!({"failureRules": [{"when": when, "action": action}]}))
    };
    let constraint = |expression: &str, message: &str| json!({"parameterConstraints": [{"expression": expression, "message": message}]});
    let hyperopt =
        |settings: Value| json!({"algorithm": {"name": "Hyperopt", "hyperopt": settings}});
    let two =
        json!({"metrics": {"sources": [{"terminationMessage": {}}, {"terminationMessage": {}}]}});
    let resource = json!({"job": null, "resource": {"object": {"apiVersion": "v1", "kind": "A"}}});
    let columns = json!({"id": "a", "label": "b"});
    let fates = [
        ("spec.suspend", added(json!({"suspend": true}))),
        ("spec.seed", added(json!({"seed": 7}))),
        ("spec.parallelism", added(json!({"parallelism": 3}))),
        ("spec.maxTrials", added(json!({"maxTrials": 5}))),
        ("spec.maxFailedTrials", added(json!({"maxFailedTrials": 5}))),
        (
            "spec.activeDeadlineSeconds",
            added(json!({"activeDeadlineSeconds": 5})),
        ),
        (
            "spec.ttlSecondsAfterFinished",
            refused(
                json!({"ttlSecondsAfterFinished": 5}),
                "spec.ttlSecondsAfterFinished",
            ),
        ),
        (
            "spec.objective.direction",
            added(json!({"objective": {"direction": "Minimize"}})),
        ),
        (
            "spec.objective.metric",
            added(json!({"objective": {"metric": "f1"}})),
        ),
        (
            "spec.objective.expression",
            added(json!({"objective": {"metric": null, "expression": "1.0 - auc"}})),
        ),
        (
            "spec.objective.target",
            added(json!({"objective": {"target": 0.9}})),
        ),
        (
            "spec.objective.constraints[]",
            added(json!({"objective": {"constraints": ["gap < 0.1"]}})),
        ),
        (
            "spec.objective.confirm",
            refused(
                json!({"objective": {"confirm": {"topTrials": 1, "repeats": 2}}}),
                "spec.objective.confirm",
            ),
        ),
        (
            "spec.parameters[].name",
            added(json!({"parameters": [{"name": "y", "real": {"min": 0.0, "max": 1.0}}]})),
        ),
        (
            "spec.parameters[].when",
            carried(
                json!({"parameters": [{"name": "x", "real": real()}, {"name": "y", "real": real()}]}),
                json!({"parameters": [{"name": "x", "real": real()}, {"name": "y", "real": real(), "when": "x > 1.5"}]}),
            ),
        ),
        (
            "spec.parameters[].real.min",
            domain("real", real(), "min", json!(1.5)),
        ),
        (
            "spec.parameters[].real.max",
            domain("real", real(), "max", json!(1.5)),
        ),
        (
            "spec.parameters[].real.step",
            domain("real", real(), "step", json!(0.5)),
        ),
        (
            "spec.parameters[].real.scale",
            domain("real", real(), "scale", json!("Log")),
        ),
        (
            "spec.parameters[].integer.min",
            domain("integer", integer(), "min", json!(2)),
        ),
        (
            "spec.parameters[].integer.max",
            domain("integer", integer(), "max", json!(2)),
        ),
        (
            "spec.parameters[].integer.step",
            domain("integer", integer(), "step", json!(2)),
        ),
        (
            "spec.parameters[].integer.scale",
            domain("integer", integer(), "scale", json!("Log")),
        ),
        (
            "spec.parameters[].categorical.values[]",
            domain(
                "categorical",
                json!({"values": ["a"]}),
                "values",
                json!(["a", "b"]),
            ),
        ),
        (
            "spec.parameters[].ordinal.values[]",
            domain(
                "ordinal",
                json!({"values": ["a"]}),
                "values",
                json!(["a", "b"]),
            ),
        ),
        (
            "spec.parameters[].normal.mean",
            domain("normal", normal(), "mean", json!(2.0)),
        ),
        (
            "spec.parameters[].normal.deviation",
            domain("normal", normal(), "deviation", json!(3.0)),
        ),
        (
            "spec.parameters[].normal.min",
            domain("normal", normal(), "min", json!(0.0)),
        ),
        (
            "spec.parameters[].normal.max",
            domain("normal", normal(), "max", json!(9.0)),
        ),
        (
            "spec.parameters[].normal.step",
            domain("normal", normal(), "step", json!(1.0)),
        ),
        (
            "spec.parameters[].normal.scale",
            domain("normal", normal(), "scale", json!("Log")),
        ),
        (
            "spec.parameterConstraints[].expression",
            carried(constraint("x < 0.5", "a"), constraint("x < 0.6", "a")),
        ),
        (
            "spec.parameterConstraints[].message",
            carried(constraint("x < 0.5", "a"), constraint("x < 0.5", "b")),
        ),
        (
            "spec.initialTrials[].*",
            added(json!({"initialTrials": [{"x": 0.5}]})),
        ),
        (
            "spec.warmStart",
            refused(
                json!({"warmStart": {"from": [{"tuningJob": "a"}]}}),
                "spec.warmStart",
            ),
        ),
        (
            "spec.algorithm.name",
            added(json!({"algorithm": {"name": "Random"}})),
        ),
        (
            "spec.algorithm.hyperopt.startupTrials",
            carried(hyperopt(json!({})), hyperopt(json!({"startupTrials": 3}))),
        ),
        (
            "spec.algorithm.hyperopt.gamma",
            carried(hyperopt(json!({})), hyperopt(json!({"gamma": 0.5}))),
        ),
        (
            "spec.algorithm.hyperopt.candidates",
            carried(hyperopt(json!({})), hyperopt(json!({"candidates": 3}))),
        ),
        (
            "spec.algorithm.hyperopt.priorWeight",
            carried(hyperopt(json!({})), hyperopt(json!({"priorWeight": 3}))),
        ),
        (
            "spec.algorithm.hyperopt.linearForgetting",
            carried(
                hyperopt(json!({})),
                hyperopt(json!({"linearForgetting": 3})),
            ),
        ),
        (
            "spec.earlyStopping",
            refused(
                json!({"earlyStopping": {"median": {}}}),
                "spec.earlyStopping",
            ),
        ),
        (
            "spec.metrics.sources[].terminationMessage.container",
            added(source(
                json!({"terminationMessage": {"container": "report"}}),
            )),
        ),
        (
            "spec.metrics.sources[].log",
            refused(
                source(json!({"log": {"pattern": "a"}})),
                "spec.metrics.sources[0].log",
            ),
        ),
        (
            "spec.metrics.sources[].mlflow",
            refused(
                source(json!({"mlflow": {}})),
                "spec.metrics.sources[0].mlflow",
            ),
        ),
        (
            "spec.metrics.sources[].predictions",
            refused(
                source(json!({"predictions": {"uri": "a", "columns": columns}})),
                "spec.metrics.sources[0].predictions",
            ),
        ),
        (
            "spec.metrics.deadlineSeconds",
            refused(
                json!({"metrics": {"deadlineSeconds": 5}}),
                "spec.metrics.deadlineSeconds",
            ),
        ),
        ("spec.metrics.aggregate", Fate::Constant),
        (
            "spec.trial.activeDeadlineSeconds",
            added(trial(json!({"activeDeadlineSeconds": 5}))),
        ),
        (
            "spec.trial.queueDeadlineSeconds",
            added(trial(json!({"queueDeadlineSeconds": 5}))),
        ),
        (
            "spec.trial.outputURI",
            added(trial(json!({"outputURI": "other/$(PODIUM_TRIAL)"}))),
        ),
        (
            "spec.trial.job.metadata.labels.*",
            refused(
                trial(json!({"job": {"metadata": {"labels": {"a": "b"}}}})),
                "spec.trial.job.metadata.labels",
            ),
        ),
        (
            "spec.trial.job.metadata.annotations.*",
            refused(
                trial(json!({"job": {"metadata": {"annotations": {"a": "b"}}}})),
                "spec.trial.job.metadata.annotations",
            ),
        ),
        (
            "spec.trial.job.template",
            added(trial(
                json!({"job": {"template": {"spec": {"hostname": "a"}}}}),
            )),
        ),
        (
            "spec.trial.job.*",
            added(trial(json!({"job": {"backoffLimit": 2}}))),
        ),
        (
            "spec.trial.resource",
            refused(trial(resource), "spec.trial.resource"),
        ),
        (
            "spec.trial.failureRules[].when",
            carried(rule("exitCode == 1", "Fail"), rule("exitCode == 2", "Fail")),
        ),
        (
            "spec.trial.failureRules[].action",
            carried(
                rule("exitCode == 1", "Fail"),
                rule("exitCode == 1", "Retry"),
            ),
        ),
        (
            "spec.tracking",
            refused(
                json!({"tracking": {"registryRef": {"name": "a"}, "experiment": "a"}}),
                "spec.tracking",
            ),
        ),
        (
            "spec.register.registryRef.name",
            added(json!({"register": {"registryRef": {"name": "other"}}})),
        ),
        (
            "spec.register.model",
            added(json!({"register": {"model": "other"}})),
        ),
        (
            "spec.register.alias",
            added(json!({"register": {"alias": "challenger"}})),
        ),
        (
            "spec.register.refit",
            added(json!({"register": {"refit": true}})),
        ),
    ];
    every_leaf_has_its_fate("TuningJob", &base, &fates, search);
    let problems = search(&{
        let mut second = base.clone();
        second["metrics"] = two["metrics"].clone();
        second
    });
    let problems = problems.unwrap_err();
    assert!(
        problems[0].starts_with("spec.metrics.sources[1].terminationMessage: must be left out"),
        "{problems:?}"
    );
}
