//! From a pod template to the process of this machine that stands for its container.

use super::expansion::expand;
use crate::ports::RunRequest;
use k8s_openapi::api::core::v1::Container;
use std::collections::BTreeMap;

/// A process that stands for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The program with its arguments.
    pub command: Vec<String>,
    /// Variables on top of those that it inherits.
    pub environment: BTreeMap<String, String>,
    /// Where it runs; relative to the manifests' directory.
    pub working_directory: Option<String>,
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
pub fn process_of(request: &RunRequest<'_>) -> Result<Process, TemplateError> {
    let container = request.container;
    let containers = request
        .template
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
    let environment = environment_of(chosen, &request.variables)?;
    let arguments = chosen.args.clone().unwrap_or_default();
    Ok(Process {
        command: command
            .iter()
            .chain(&arguments)
            .map(|text| expand(text, &environment))
            .collect(),
        working_directory: chosen.working_dir.clone(),
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
    use k8s_openapi::api::core::v1::PodTemplateSpec;
    use std::sync::LazyLock;

    fn template(json: serde_json::Value) -> PodTemplateSpec {
        serde_json::from_value(json).unwrap()
    }

    fn request(template: &PodTemplateSpec) -> RunRequest<'_> {
        static NO_OTHER_FIELDS: LazyLock<serde_json::Map<String, serde_json::Value>> =
            LazyLock::new(serde_json::Map::new);
        RunRequest {
            name: "forest-1".to_string(),
            attempt: 1,
            job: &NO_OTHER_FIELDS,
            template,
            container: None,
            variables: BTreeMap::from([("num_trees".to_string(), "120".to_string())]),
            deadline_seconds: Some(60),
            owner: None,
            labels: BTreeMap::new(),
        }
    }

    #[test]
    fn parameters_reach_arguments_and_variables() {
        let template = template(
            serde_json::json!({"spec": {"containers": [{"name": "train", "image": "any",
            "command": ["podium", "train"], "args": ["--trees=$(num_trees)", "--label=$(LABEL)"],
            "env": [{"name": "LABEL", "value": "fraud_$(num_trees)"}]}]}}),
        );
        let request = process_of(&request(&template)).unwrap();
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
        let error = process_of(&request(&without_command))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no image to take it from"), "{error}");
        let secret = template(
            serde_json::json!({"spec": {"containers": [{"name": "train", "command": ["true"],
            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]}}),
        );
        let error = process_of(&request(&secret)).unwrap_err().to_string();
        assert!(
            error.starts_with("spec.containers[].env[0].valueFrom"),
            "{error}"
        );
        let error = process_of(&RunRequest {
            container: Some("other"),
            ..request(&without_command)
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("named `other`"), "{error}");
    }
}
