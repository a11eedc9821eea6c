//! Every field of a trial and of a registry is carried out or refused by name.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test speaks by failing.

mod schema_leaves;

use podium_api::convert::{World, registry, trial_variables};
use podium_api::{ModelRegistrySpec, TrialSpec};
use schema_leaves::{Fate, every_leaf_has_its_fate};
use serde_json::{Value, json};

/// Carried out: the base with this change gives something else.
fn added(change: Value) -> Fate {
    Fate::Carried(json!({}), change)
}

#[test]
fn every_field_of_a_trial() {
    let base = json!({"index": 1, "parameters": {"x": 1}, "seed": 7, "origin": "Random"});
    let fates = [
        ("spec.index", added(json!({"index": 2}))),
        ("spec.parameters.*", added(json!({"parameters": {"x": 2}}))),
        ("spec.seed", added(json!({"seed": 8}))),
        ("spec.origin", added(json!({"origin": "Refit"}))),
    ];
    every_leaf_has_its_fate("Trial", &base, &fates, |spec| {
        let spec: TrialSpec = serde_json::from_value(spec.clone()).unwrap();
        Ok(format!("{:?}", trial_variables(&spec)))
    });
}

#[test]
fn every_field_of_a_registry() {
    let base = json!({"directory": {"path": "registry"}});
    let mlflow = json!({"directory": null, "mlflow": {"url": "https://mlflow.example.com"}});
    let fates = [
        (
            "spec.directory.path",
            added(json!({"directory": {"path": "other"}})),
        ),
        (
            "spec.protectedAliases[]",
            added(json!({"protectedAliases": ["champion", "shadow"]})),
        ),
        ("spec.mlflow", Fate::Refused(mlflow, "spec.mlflow")),
    ];
    every_leaf_has_its_fate("ModelRegistry", &base, &fates, |spec| {
        settings_in(World::Local, spec)
    });
}

fn settings_in(world: World, spec: &Value) -> Result<String, Vec<String>> {
    let spec: ModelRegistrySpec = serde_json::from_value(spec.clone()).unwrap();
    match registry(&spec, world) {
        Ok(settings) => Ok(format!("{settings:?}")),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn every_field_of_a_registry_in_a_cluster() {
    let base = json!({"mlflow": {"url": "https://mlflow.example.com"}});
    let mlflow = |more: Value| {
        let mut merged = base["mlflow"].clone();
        merged
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "mlflow": merged })
    };
    let directory = json!({"mlflow": null, "directory": {"path": "registry"}});
    let fates = [
        ("spec.directory", Fate::Refused(directory, "spec.directory")),
        (
            "spec.protectedAliases[]",
            added(json!({"protectedAliases": ["champion", "shadow"]})),
        ),
        (
            "spec.mlflow.url",
            added(mlflow(json!({"url": "https://other.example.com"}))),
        ),
        (
            "spec.mlflow.credentialsSecretRef.name",
            added(mlflow(json!({"credentialsSecretRef": {"name": "a"}}))),
        ),
        (
            "spec.mlflow.trialCredentialsSecretRef.name",
            added(mlflow(json!({"trialCredentialsSecretRef": {"name": "a"}}))),
        ),
        (
            "spec.mlflow.caBundleConfigMapRef.name",
            added(mlflow(json!({"caBundleConfigMapRef": {"name": "a"}}))),
        ),
        (
            "spec.mlflow.publicURL",
            Fate::Refused(
                mlflow(json!({"publicURL": "https://people.example.com"})),
                "spec.mlflow.publicURL",
            ),
        ),
    ];
    every_leaf_has_its_fate("ModelRegistry", &base, &fates, |spec| {
        settings_in(World::Cluster, spec)
    });
}

#[test]
fn trials_do_not_get_the_account_of_policies() {
    let with = |trials: &str| {
        let spec = json!({"mlflow": {
            "url": "https://mlflow.example.com",
            "credentialsSecretRef": {"name": "mlflow"},
            "trialCredentialsSecretRef": {"name": trials},
        }});
        settings_in(World::Cluster, &spec)
    };
    assert!(with("mlflow-trials").is_ok());
    let problems = with("mlflow").unwrap_err();
    let refused =
        "spec.mlflow.trialCredentialsSecretRef: must not be the Secret of `credentialsSecretRef`";
    assert!(problems[0].starts_with(refused), "{problems:?}");
}
