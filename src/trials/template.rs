//! From a pod template and the facts of one run to a [`RunRequest`] for a process of this machine.

use super::expansion::expand;
use crate::ports::RunRequest;
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use std::collections::BTreeMap;

/// The facts of one run.
#[derive(Clone, Debug)]
pub struct RunFacts<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// Which attempt.
    pub attempt: u32,
    /// Variables that podium gives, on which the template's own may build.
    pub variables: BTreeMap<String, String>,
    /// Running time after which it is ended.
    pub deadline_seconds: Option<u64>,
}

/// Why a template cannot run on this machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct TemplateError {
    /// Field path below the template.
    pub path: String,
    /// What must hold.
    pub message: String,
}

impl TemplateError {
    fn new(path: &str, message: &str) -> Self {
        Self {
            path: path.to_string(),
            message: message.to_string(),
        }
    }
}

/// The process that stands for the template's container named `container`, or for its first one.
///
/// # Errors
/// There is no such container, it has no command (there is no image to take one from), or a variable
/// takes its value from the cluster.
pub fn process_of(
    template: &PodTemplateSpec,
    container: Option<&str>,
    facts: &RunFacts<'_>,
) -> Result<RunRequest, TemplateError> {
    let containers = template
        .spec
        .as_ref()
        .map(|s| s.containers.as_slice())
        .unwrap_or_default();
    let chosen = match container {
        Some(name) => containers.iter().find(|c| c.name == name),
        None => containers.first(),
    };
    let chosen = chosen.ok_or_else(|| match container {
        Some(name) => TemplateError::new(
            "spec.containers",
            &format!("must have a container named `{name}`"),
        ),
        None => TemplateError::new("spec.containers", "must have at least one container"),
    })?;
    let command = chosen.command.clone().unwrap_or_default();
    if command.is_empty() {
        let message = "must be given: without a cluster there is no image to take it from";
        return Err(TemplateError::new("spec.containers[].command", message));
    }
    let environment = environment_of(chosen, &facts.variables)?;
    let arguments = chosen.args.clone().unwrap_or_default();
    Ok(RunRequest {
        name: facts.name.to_string(),
        attempt: facts.attempt,
        command: command
            .iter()
            .chain(&arguments)
            .map(|text| expand(text, &environment))
            .collect(),
        working_directory: chosen.working_dir.clone(),
        deadline_seconds: facts.deadline_seconds,
        environment,
    })
}

/// The template's variables come after podium's, and each may refer to those before it.
fn environment_of(
    container: &Container,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut environment = given.clone();
    for (position, variable) in container.env.iter().flatten().enumerate() {
        if variable.value_from.is_some() {
            let path = format!("spec.containers[].env[{position}].valueFrom");
            return Err(TemplateError::new(
                &path,
                "must be absent: without a cluster there is nothing to take it from; give `value`",
            ));
        }
        let value = expand(variable.value.as_deref().unwrap_or_default(), &environment);
        environment.insert(variable.name.clone(), value);
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(json: serde_json::Value) -> PodTemplateSpec {
        serde_json::from_value(json).unwrap()
    }

    fn facts() -> RunFacts<'static> {
        RunFacts {
            name: "forest-1",
            attempt: 1,
            variables: BTreeMap::from([("num_trees".to_string(), "120".to_string())]),
            deadline_seconds: Some(60),
        }
    }

    #[test]
    fn parameters_reach_arguments_and_variables() {
        let template = template(
            serde_json::json!({"spec": {"containers": [{"name": "train", "image": "any",
            "command": ["podium", "train"], "args": ["--trees=$(num_trees)", "--label=$(LABEL)"],
            "env": [{"name": "LABEL", "value": "fraud_$(num_trees)"}]}]}}),
        );
        let request = process_of(&template, None, &facts()).unwrap();
        assert_eq!(
            request.command,
            ["podium", "train", "--trees=120", "--label=fraud_120"]
        );
        assert_eq!(request.environment["LABEL"], "fraud_120");
    }

    #[test]
    fn what_only_a_cluster_could_give_is_refused() {
        let without_command =
            template(serde_json::json!({"spec": {"containers": [{"name": "train"}]}}));
        let error = process_of(&without_command, None, &facts())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no image to take it from"), "{error}");
        let secret = template(
            serde_json::json!({"spec": {"containers": [{"name": "train", "command": ["true"],
            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]}}),
        );
        let error = process_of(&secret, None, &facts()).unwrap_err().to_string();
        assert!(
            error.starts_with("spec.containers[].env[0].valueFrom"),
            "{error}"
        );
        let error = process_of(&without_command, Some("other"), &facts())
            .unwrap_err()
            .to_string();
        assert!(error.contains("named `other`"), "{error}");
    }
}
