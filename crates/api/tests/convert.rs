//! What the schema cannot refuse, the conversion does.
#![allow(missing_docs, clippy::unwrap_used)] // A test speaks by failing.

use podium_api::TuningJob;
use podium_api::convert::{trial_settings, tuning_settings};
use podium_api::tuning_job::TuningJobSpec;
use podium_core::tuning::trial::Source;
use serde_json::{Value, json};

fn problems(metrics: Value, containers: Value) -> Vec<String> {
    let spec: TuningJobSpec = serde_json::from_value(json!({
        "maxTrials": 1,
        "objective": {"direction": "Maximize", "metric": "auc"},
        "parameters": [{"name": "rate", "real": {"min": 0.0, "max": 1.0}}],
        "metrics": metrics,
        "trial": {"job": {"template": {"spec": {"containers": containers}}}},
    }))
    .unwrap();
    let problems = trial_settings(&spec).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn metrics_come_from_a_container_that_is_there() {
    let of = |name: &str| json!({"sources": [{"terminationMessage": {"container": name}}]});
    let containers = json!([{"name": "train"}, {"name": "report"}]);
    for metrics in [json!({}), of("train"), of("report")] {
        assert_eq!(problems(metrics, containers.clone()), Vec::<String>::new());
    }
    assert_eq!(
        problems(of("repeat"), containers),
        [
            "spec.metrics.sources[0].terminationMessage.container: must be the name of a container in `trial.job.template`, which has no `repeat`"
        ]
    );
}

#[test]
fn a_field_of_a_wrong_type_is_named_by_its_path() {
    let containers = json!([{"name": "train", "image": "a"}, {"name": "report", "env": [{"name": "A", "value": 5}]}]);
    assert_eq!(
        problems(json!({}), containers),
        [
            "spec.trial.job.template.spec.containers[1].env[0].value: does not fit a pod template: invalid type: integer `5`, expected a string"
        ]
    );
}

/// The problems of a whole search.
fn search(spec: &Value) -> Result<(), Vec<String>> {
    let spec: TuningJobSpec = serde_json::from_value(spec.clone()).unwrap();
    let job = TuningJob::new("a", spec.clone());
    let problems = [tuning_settings(&job).err(), trial_settings(&spec).err()];
    let problems = problems.into_iter().flatten().flatten();
    let problems: Vec<String> = problems.map(|problem| problem.to_string()).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

#[test]
fn each_trial_that_may_be_registered_has_a_place_of_its_own() {
    let with = |trials: i64, refit: bool, uri: &str| {
        search(&json!({
            "maxTrials": trials,
            "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "x", "real": {"min": 0.0, "max": 1.0}}],
            "trial": {"outputURI": uri, "job": {"template": {"spec": {"containers": [{"name": "train"}]}}}},
            "register": {"registryRef": {"name": "r"}, "model": "m", "refit": refit},
        }))
    };
    assert!(with(4, true, "file://o/$(PODIUM_TUNING_JOB)/$(PODIUM_TRIAL)").is_ok());
    assert!(with(1, false, "o/$$(fixed)/5$").is_ok());
    for (trials, refit, uri, said) in [
        (2, false, "o/fixed", "must contain `$(PODIUM_TRIAL)`"),
        (
            1,
            true,
            "o/$(PODIUM_TUNING_JOB)",
            "must contain `$(PODIUM_TRIAL)`",
        ),
        (1, false, "o/${PODIUM_TRIAL}", "got `${PODIUM_TRIAL}`"),
        (1, false, "o/$(trial)", "got `$(trial)`"),
    ] {
        let problems = with(trials, refit, uri).unwrap_err();
        let is_said = |problem: &String| {
            problem.starts_with("spec.trial.outputURI: must") && problem.contains(said)
        };
        assert!(problems.iter().any(is_said), "{uri}: {problems:?}");
    }
}

#[test]
fn a_variable_of_the_scorer_may_not_hide_one_that_is_given() {
    for name in ["MODEL_URI", "MODEL_VERSION", "OUTPUT_URI", "PODIUM_SEED"] {
        let env = json!([{"name": name, "value": "models/1"}]);
        let template = json!({"spec": {"containers": [{"name": "score", "env": env}]}});
        let policy = json!({
            "registryRef": {"name": "r"}, "model": "m",
            "evidence": {
                "predictions": {"uri": "p/$(version)", "columns": {"id": "id", "label": "y"}},
                "scorer": {"job": {"template": template}},
            },
        });
        let spec = serde_json::from_value(policy).unwrap();
        let problems =
            podium_api::convert::policy(&spec, podium_api::convert::World::Local).unwrap_err();
        let path = "spec.evidence.scorer.job.template.spec.containers[0].env[0].name: must not be";
        assert!(problems[0].to_string().starts_with(path), "{problems:?}");
    }
}

#[test]
fn pods_read_objects_and_podium_run_reads_files() {
    use podium_api::convert::World;
    let problems = |world: World, predictions: &str, more: &Value| -> Vec<String> {
        let mut policy = json!({
            "registryRef": {"name": "r"}, "model": "m",
            "evidence": {"predictions": {"uri": predictions, "columns": {"id": "id", "label": "y"}}},
            "test": {"primary": {"metric": "rocAuc"}},
        });
        let evidence = policy["evidence"].as_object_mut().unwrap();
        evidence.extend(more.as_object().unwrap().clone());
        let spec = serde_json::from_value(policy).unwrap();
        let problems = podium_api::convert::policy(&spec, world).err();
        let problems = problems.unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    };
    let store = json!({"store": {"endpoint": "https://s3.example.com", "pathStyle": true}});
    let (local, object) = ("file://p/$(version).csv", "s3://bucket/$(version).csv");
    assert_eq!(
        problems(World::Cluster, object, &store),
        Vec::<String>::new()
    );
    assert_eq!(
        problems(World::Local, local, &json!({})),
        Vec::<String>::new()
    );
    let refused = problems(World::Local, local, &store);
    assert!(refused[0].starts_with("spec.evidence.store: must be left out here: "));
    for uri in [
        local,
        "p/$(version)",
        "s3a://b/$(version)",
        "s3://$(version)",
        "s3:///$(version)",
    ] {
        let refused = problems(World::Cluster, uri, &json!({}));
        let expected = "spec.evidence.predictions.uri: must have the form s3://BUCKET/KEY";
        assert!(refused[0].starts_with(expected), "{refused:?}");
        assert!(refused[0].contains(uri), "{refused:?}");
    }
    let holdout = |uri: &str| json!({"holdout": {"name": "july", "uri": uri}});
    let refused = problems(World::Cluster, object, &holdout("holdout.csv"));
    assert!(
        refused[0].starts_with("spec.evidence.holdout.uri: must have"),
        "{refused:?}"
    );
    let taken = problems(World::Cluster, object, &holdout("s3://bucket/holdout.csv"));
    assert_eq!(taken, Vec::<String>::new());
}

#[test]
fn a_variable_of_the_template_may_not_hide_one_that_is_given() {
    let with = |env: Value| {
        search(&json!({
            "maxTrials": 4,
            "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "x", "real": {"min": 0.0, "max": 1.0}}],
            "trial": {"job": {"template": {"spec": {"containers": [{"name": "side"}, {"name": "train", "env": env}]}}}},
        }))
    };
    assert!(with(json!([{"name": "X", "value": "1"}, {"name": "y", "value": "$(x)"}])).is_ok());
    let path = "spec.trial.job.template.spec.containers[1].env[1].name";
    for (name, said) in [
        ("x", "it would hide the parameter"),
        ("PODIUM_SEED", "are given by Podium"),
    ] {
        let problems =
            with(json!([{"name": "A", "value": "1"}, {"name": name, "value": "0.5"}])).unwrap_err();
        let problem = problems.iter().find(|problem| problem.starts_with(path));
        assert!(
            problem.is_some_and(|problem| problem.contains(said)),
            "{problems:?}"
        );
    }
}

/// A search with metrics from these sources, tracked or not, whose container has these variables.
fn with_sources(metrics: Value, is_tracked: bool, env: Value) -> Value {
    let mut spec = json!({
        "maxTrials": 1,
        "objective": {"direction": "Maximize", "metric": "auc"},
        "parameters": [{"name": "x", "real": {"min": 0.0, "max": 1.0}}],
        "metrics": metrics,
        "trial": {"job": {"template": {"spec": {"containers": [{"name": "train", "env": env}]}}}},
    });
    if is_tracked {
        spec["tracking"] = json!({"registryRef": {"name": "mlflow"}, "experiment": "forest"});
    }
    spec
}

#[test]
fn metrics_come_from_the_sources_in_their_order() {
    let of = |metrics: Value| {
        let spec = with_sources(metrics, true, json!([]));
        assert_eq!(search(&spec), Ok(()));
        let spec: TuningJobSpec = serde_json::from_value(spec).unwrap();
        let settings = trial_settings(&spec).unwrap();
        (settings.sources, settings.metrics_deadline_seconds)
    };
    let (message, run) = (json!({"terminationMessage": {}}), json!({"mlflow": {}}));
    assert_eq!(of(json!({})), (vec![Source::TerminationMessage], 120));
    assert_eq!(
        of(json!({"sources": [message, run], "deadlineSeconds": 5})),
        (vec![Source::TerminationMessage, Source::Mlflow], 5)
    );
    assert_eq!(
        of(json!({"sources": [run, message]})).0,
        [Source::Mlflow, Source::TerminationMessage]
    );
    let refused = |metrics: Value, is_tracked: bool, path: &str| {
        let problems = search(&with_sources(metrics, is_tracked, json!([]))).unwrap_err();
        let problem = format!("spec.metrics.{path}: must be left out");
        assert!(problems[0].starts_with(&problem), "{problems:?}");
    };
    refused(json!({"sources": [run]}), false, "sources[0].mlflow");
    refused(json!({"sources": [run, run]}), true, "sources[1].mlflow");
    refused(json!({"deadlineSeconds": 5}), true, "deadlineSeconds");
}

#[test]
fn the_run_of_a_tracked_trial_is_not_hidden_and_an_account_may_be_the_templates_own() {
    let with = |is_tracked: bool, name: &str| {
        let env = json!([{"name": name, "value": "a"}]);
        search(&with_sources(json!({}), is_tracked, env))
    };
    for name in [
        "MLFLOW_RUN_ID",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_EXPERIMENT_ID",
    ] {
        assert_eq!(with(false, name), Ok(()));
        let path = "spec.trial.job.template.spec.containers[0].env[0].name: must not be";
        let problems = with(true, name).unwrap_err();
        assert!(problems[0].starts_with(path), "{problems:?}");
    }
    assert_eq!(with(true, "MLFLOW_TRACKING_TOKEN"), Ok(()));
}
