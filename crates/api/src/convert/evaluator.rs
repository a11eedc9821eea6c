//! What a policy may say of the pods that compare.

use super::{Problems, environment};
use crate::champion_policy::{EvaluatorSpec, ScorerSpec};
use crate::schema::OpenObject;
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use podium_core::problem::SpecProblem;
use std::collections::BTreeSet;

/// Name of the container that compares.
pub const EVALUATOR_CONTAINER: &str = "evaluator";

const PATH: &str = "evidence.evaluator.podTemplate";

/// What stands in the way of a comparison's pod, as far as it can be told without the API server, which is asked before each run.
pub(super) fn check(evaluator: &EvaluatorSpec, problems: &mut Problems) {
    let EvaluatorSpec { pod_template } = evaluator;
    let Some(template) = problems.take(parsed(pod_template)) else {
        return;
    };
    let metadata = template.metadata.as_ref();
    let labels = metadata.and_then(|metadata| metadata.labels.as_ref());
    for label in labels.into_iter().flatten().map(|(name, _)| name) {
        if label.starts_with("podium.dev/") {
            let message =
                format!("must not hold `{label}`: labels of `podium.dev/` are Podium's own");
            problems.add(&format!("{PATH}.metadata.labels"), message);
        }
    }
    environment::refuse_hidden(&template, PATH, &BTreeSet::new(), "variable", problems);
    let Some(pod) = &template.spec else {
        return;
    };
    let restart = pod.restart_policy.as_deref();
    if restart.is_some_and(|policy| policy != "Never") {
        let message = "must be Never or left out: a comparison that fails would fail again";
        problems.add(&format!("{PATH}.spec.restartPolicy"), message);
    }
    for (position, container) in pod.containers.iter().enumerate() {
        let path = format!("{PATH}.spec.containers[{position}]");
        check_container(container, &path, problems);
    }
}

fn check_container(container: &Container, path: &str, problems: &mut Problems) {
    if container.name != EVALUATOR_CONTAINER {
        let message = format!(
            "must be `{EVALUATOR_CONTAINER}`, which is the container that compares; what is to run beside it belongs into `initContainers` with `restartPolicy: Always`"
        );
        problems.add(&format!("{path}.name"), message);
    }
    let given = [
        ("command", container.command.is_some()),
        ("args", container.args.is_some()),
        (
            "terminationMessagePath",
            container.termination_message_path.is_some(),
        ),
        (
            "terminationMessagePolicy",
            container.termination_message_policy.is_some(),
        ),
    ];
    for (field, _) in given.into_iter().filter(|(_, is_set)| *is_set) {
        let message = "must be left out: Podium gives it";
        problems.add(&format!("{path}.{field}"), message);
    }
}

fn parsed(template: &OpenObject) -> Result<PodTemplateSpec, Vec<SpecProblem>> {
    let template = serde_json::Value::Object(template.0.clone());
    serde_path_to_error::deserialize(template).map_err(|error| {
        let field = format!("{PATH}.{}", error.path());
        let message = format!("does not fit a pod template: {}", error.inner());
        vec![SpecProblem::new(field, message)]
    })
}

/// In a cluster the pod of a scorer holds what it measured, and goes with its Job.
pub(super) fn keep_measurements(scorer: Option<&ScorerSpec>, problems: &mut Problems) {
    let expires = |scorer: &&ScorerSpec| scorer.job.other.contains_key("ttlSecondsAfterFinished");
    if scorer.filter(expires).is_some() {
        let message = "must be left out where a guardrail names a measurement: the Job's pod holds what was measured, and each measurement is a comparison of its own";
        problems.add("evidence.scorer.job.ttlSecondsAfterFinished", message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn problems(template: Value) -> Vec<String> {
        let spec: EvaluatorSpec = serde_json::from_value(json!({"podTemplate": template})).unwrap();
        let mut problems = Problems::default();
        check(&spec, &mut problems);
        problems.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_pod_may_say_is_taken() {
        let template = json!({
            "metadata": {"labels": {"team": "risk"}, "annotations": {"a": "b"}},
            "spec": {
                "serviceAccountName": "reader", "nodeSelector": {"disk": "fast"}, "hostNetwork": true,
                "tolerations": [{"key": "gpu", "operator": "Exists"}], "imagePullSecrets": [{"name": "pull"}],
                "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
                "containers": [{
                    "name": "evaluator", "image": "mirror/podium:1", "env": [{"name": "RUST_LOG", "value": "info"}],
                    "resources": {"limits": {"memory": "2Gi"}},
                }],
            },
        });
        assert_eq!(problems(template), Vec::<String>::new());
        assert_eq!(problems(json!({})), Vec::<String>::new());
    }

    #[test]
    fn what_podium_decides_is_refused_by_its_path() {
        let container = |field: &str, value: Value| {
            let mut container = json!({"name": "evaluator"});
            container[field] = value;
            json!({"spec": {"containers": [container]}})
        };
        for (template, path) in [
            (
                json!({"metadata": {"labels": {"podium.dev/run": "a"}}}),
                "metadata.labels",
            ),
            (
                json!({"spec": {"restartPolicy": "OnFailure"}}),
                "spec.restartPolicy",
            ),
            (
                json!({"spec": {"containers": [{"name": "evaluator"}, {"name": "proxy"}]}}),
                "spec.containers[1].name",
            ),
            (
                container("command", json!(["sh"])),
                "spec.containers[0].command",
            ),
            (container("args", json!(["-c"])), "spec.containers[0].args"),
            (
                container("terminationMessagePath", json!("/tmp/a")),
                "spec.containers[0].terminationMessagePath",
            ),
            (
                container("env", json!([{"name": "PODIUM_EVALUATION", "value": "{}"}])),
                "spec.containers[0].env[0].name",
            ),
        ] {
            let found = problems(template);
            let start = format!("{PATH}.{path}: must ");
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert!(found[0].starts_with(&start), "{path}: {found:?}");
        }
        let wrong_type = problems(json!({"spec": {"tolerations": {"key": "a"}}}));
        assert!(
            wrong_type[0].starts_with(&format!("{PATH}.spec.tolerations: does not fit")),
            "{wrong_type:?}"
        );
    }
}
