//! What the schema cannot refuse, the conversion does.
#![allow(missing_docs, clippy::unwrap_used)] // A test speaks by failing.

use podium_api::convert::trial_settings;
use podium_api::tuning_job::TuningJobSpec;
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
