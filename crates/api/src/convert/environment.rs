//! Variables that a template sets itself: they win over those that Podium gives, so none may have the name of one.

use super::Problems;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use std::collections::BTreeSet;

/// Variables by which a container finds the run in MLflow that its trial logs into.
const OF_TRACKING: [&str; 3] = [
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "MLFLOW_TRACKING_URI",
];

/// Refuses variables of the pod template at `path` that hide one of `given`, or one whose name begins with `PODIUM_`.
pub(super) fn refuse_hidden(
    template: &PodTemplateSpec,
    path: &str,
    given: &BTreeSet<&str>,
    what: &str,
    problems: &mut Problems,
) {
    for (path, name) in variables_of(template, path) {
        if given.contains(name) {
            let message = format!(
                "must not be `{name}`: it would hide the {what} of this name, and every run would be alike"
            );
            problems.add(&path, message);
        } else if name.starts_with("PODIUM_") {
            let message = format!(
                "must not be `{name}`: variables that begin with `PODIUM_` are given by Podium"
            );
            problems.add(&path, message);
        }
    }
}

/// Refuses variables of the pod template at `path` by which its containers would log somewhere else than into the run of their trial. An
/// account of the template's own is left to it.
pub(super) fn refuse_hidden_run(template: &PodTemplateSpec, path: &str, problems: &mut Problems) {
    for (path, name) in variables_of(template, path) {
        if OF_TRACKING.contains(&name) {
            let message = format!(
                "must not be `{name}`: with `tracking` it is given by Podium, and names the run of the trial"
            );
            problems.add(&path, message);
        }
    }
}

/// The names of all variables that the pod template at `path` sets, each with its own path.
fn variables_of<'a>(template: &'a PodTemplateSpec, path: &str) -> Vec<(String, &'a str)> {
    let Some(pod) = &template.spec else {
        return Vec::new();
    };
    let lists = [
        (
            "initContainers",
            pod.init_containers.as_deref().unwrap_or_default(),
        ),
        ("containers", pod.containers.as_slice()),
    ];
    let mut variables = Vec::new();
    for (list, containers) in lists {
        for (position, container) in containers.iter().enumerate() {
            for (variable, own) in container.env.iter().flatten().enumerate() {
                let path = format!("{path}.spec.{list}[{position}].env[{variable}].name");
                variables.push((path, own.name.as_str()));
            }
        }
    }
    variables
}
