//! Searches whose trials are shell scripts of this machine, so that no image but the test bed's own is needed; registries and policies.

use podium_api::champion_policy::PendingDecisionStatus;
use serde_json::{Value, json};

/// A Job whose container runs a script in the machine's own shell; `$(rate)` is the one parameter.
pub fn script_job(script: &str) -> Value {
    json!({"template": {"spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": "train",
            "image": "podium.dev/testbed/pause:1",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/usr/bin/sh", "-c", script],
            "volumeMounts": [
                {"name": "usr", "mountPath": "/usr"},
                {"name": "lib", "mountPath": "/lib"},
                {"name": "lib64", "mountPath": "/lib64"},
            ],
        }],
        "volumes": [
            {"name": "usr", "hostPath": {"path": "/usr"}},
            {"name": "lib", "hostPath": {"path": "/lib"}},
            {"name": "lib64", "hostPath": {"path": "/lib64"}},
        ],
    }}})
}

/// Reports the parameter as the metric `auc`.
pub const REPORT: &str = r#"echo "{\"metrics\": {\"auc\": $(rate)}}" > /dev/termination-log"#;

/// Reports its index as the metric `auc`, so that the last trial is the best one.
pub const BETTER_EACH_TIME: &str =
    r#"echo "{\"metrics\": {\"auc\": $PODIUM_TRIAL_INDEX}}" > /dev/termination-log"#;

/// A random search over `rate` in [0, 1] that maximises `auc`, with trials that run `script`.
pub fn search(name: &str, max_trials: u32, parallelism: u32, script: &str) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "TuningJob",
        "metadata": {"name": name},
        "spec": {
            "seed": 1,
            "maxTrials": max_trials,
            "parallelism": parallelism,
            "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "rate", "real": {"min": 0.0, "max": 1.0}}],
            "algorithm": {"name": "Random"},
            "trial": {"job": script_job(script)},
        },
    })
}

/// A search that tries each of `cases` once, as the parameter `case`.
pub fn cases(name: &str, cases: &[&str], parallelism: u32, script: &str) -> Value {
    let count = u32::try_from(cases.len()).unwrap();
    let mut search = search(name, count, parallelism, script);
    search["spec"]["parameters"] = json!([{"name": "case", "categorical": {"values": cases}}]);
    search["spec"]["algorithm"] = json!({"name": "Grid"});
    search
}

/// A registry named `mlflow`.
pub fn model_registry(url: &str) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "ModelRegistry", "metadata": {"name": "mlflow"},
        "spec": {"mlflow": {"url": url}},
    })
}

/// The same search, whose winner becomes a version of `model` in that registry, with the alias `challenger`.
pub fn registering(mut search: Value, model: &str) -> Value {
    let spec = &mut search["spec"];
    spec["register"] =
        json!({"registryRef": {"name": "mlflow"}, "model": model, "alias": "challenger"});
    spec["trial"]["outputURI"] = json!("s3://models/$(PODIUM_TRIAL)");
    search
}

/// The same search, logged to an experiment of that registry.
pub fn tracked(mut search: Value, experiment: &str) -> Value {
    search["spec"]["tracking"] =
        json!({"registryRef": {"name": "mlflow"}, "experiment": experiment});
    search
}

/// A policy for a model of that registry.
pub fn champion_policy(name: &str, model: &str) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy", "metadata": {"name": name},
        "spec": {
            "registryRef": {"name": "mlflow"}, "model": model,
            "evidence": {"predictions": {
                "uri": "s3://evaluation/fraud/$(version)/predictions.parquet",
                "columns": {"id": "id", "label": "label", "score": "score"},
            }},
            "test": {"primary": {"metric": "rocAuc"}},
        },
    })
}

/// Consent of `approver` to a decision of the policy `fraud` that waits, or once did.
pub fn approval(name: &str, decision: &PendingDecisionStatus, approver: &str) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "Approval", "metadata": {"name": name},
        "spec": {
            "policyRef": {"name": "fraud"}, "decisionID": decision.id, "evidenceDigest": decision.evidence_digest,
            "verdict": "Approve", "approver": approver,
        },
    })
}

/// The pod of a search's trials.
pub fn pod_of(search: &mut Value) -> &mut Value {
    &mut search["spec"]["trial"]["job"]["template"]["spec"]
}

/// The first container of a search's trials.
pub fn container_of(search: &mut Value) -> &mut Value {
    &mut pod_of(search)["containers"][0]
}

/// Runs until somebody ends it.
pub const HANG: &str = "exec sleep 600";

/// Hangs in the first run of a trial and reports in the next one; the name of its pod tells which one it is.
pub const SECOND_TIME_LUCKY: &str = r#"
case $HOSTNAME in *-1-?????) exec sleep 600;; esac
echo '{"metrics": {"auc": 0.5}}' > /dev/termination-log"#;
