//! Variables that a template sets itself: they win over those that Podium gives, so none may have the name of one.

use super::Problems;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use std::collections::BTreeSet;

/// Refuses variables of the pod template at `path` that hide one of `given`, or one whose name begins with `PODIUM_`.
pub(super) fn refuse_hidden(
    template: &PodTemplateSpec,
    path: &str,
    given: &BTreeSet<&str>,
    what: &str,
    problems: &mut Problems,
) {
    let Some(pod) = &template.spec else {
        return;
    };
    let lists = [
        (
            "initContainers",
            pod.init_containers.as_deref().unwrap_or_default(),
        ),
        ("containers", pod.containers.as_slice()),
    ];
    for (list, containers) in lists {
        for (position, container) in containers.iter().enumerate() {
            for (variable, own) in container.env.iter().flatten().enumerate() {
                let name = own.name.as_str();
                let path = format!("{path}.spec.{list}[{position}].env[{variable}].name");
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
    }
}
