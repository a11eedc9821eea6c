//! Searches whose trials are shell scripts of this machine, so that no image but the test bed's own is needed.

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
