//! From a pod template to the process of this machine that stands for its container.

use super::expansion::expand;
use super::local_template;
use crate::ports::RunRequest;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A process that stands for a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The program with its arguments.
    pub command: Vec<String>,
    /// Variables on top of those that it inherits.
    pub environment: BTreeMap<String, String>,
    /// Where it runs; relative to the manifests' directory.
    pub working_directory: Option<String>,
    /// Running time in seconds after which it is ended: the shortest of those that the trial, its Job and its pod may take.
    pub deadline_seconds: Option<u64>,
    /// How often it is started again after it failed.
    pub retries: u32,
    /// Seconds between asking it to end and ending it.
    pub grace_seconds: Option<u64>,
}

/// One thing that stands in the way of running a template on this machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct TemplateProblem {
    /// Field path below the Job's specification.
    pub path: String,
    /// What must hold.
    pub message: String,
}

impl TemplateProblem {
    pub(super) fn new(path: &str, message: &str) -> Self {
        Self {
            path: path.to_string(),
            message: message.to_string(),
        }
    }
}

/// Why a template cannot run on this machine: everything at once.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateError(pub Vec<TemplateProblem>);

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&problems.join("; "))
    }
}

/// The process that stands for the template's container named `container`, or for its first one.
///
/// # Errors
/// There is no such container, it has no command (there is no image to take one from), or something is asked for that a process cannot
/// give.
pub fn process_of(request: &RunRequest<'_>) -> Result<Process, TemplateError> {
    let (job, position) = checked(request.job, request.template, request.container)?;
    let pod = request.template.spec.clone().unwrap_or_default();
    let container = pod.containers.get(position).cloned().unwrap_or_default();
    let environment = environment_of(&container, &request.variables);
    let arguments = container.args.iter().flatten();
    let command = container.command.iter().flatten().chain(arguments);
    let seconds = |seconds: Option<i64>| seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let deadlines = [
        request.deadline_seconds,
        seconds(job.active_deadline_seconds),
        seconds(pod.active_deadline_seconds),
    ];
    Ok(Process {
        command: command.map(|text| expand(text, &environment)).collect(),
        working_directory: container.working_dir.clone(),
        deadline_seconds: deadlines.into_iter().flatten().min(),
        retries: retries_of(&job, &pod),
        grace_seconds: seconds(pod.termination_grace_period_seconds),
        environment,
    })
}

/// What stands in the way of running a Job's template on this machine.
#[must_use]
pub fn problems_of(
    job: &Map<String, Value>,
    template: &PodTemplateSpec,
    container: Option<&str>,
) -> Vec<TemplateProblem> {
    match checked(job, template, container) {
        Ok(_) => Vec::new(),
        Err(TemplateError(problems)) => problems,
    }
}

/// The Job's specification and the position of the container, when a process can stand for it.
fn checked(
    given: &Map<String, Value>,
    template: &PodTemplateSpec,
    container: Option<&str>,
) -> Result<(JobSpec, usize), TemplateError> {
    let only = |path: &str, message: &str| TemplateError(vec![TemplateProblem::new(path, message)]);
    let mut job: JobSpec = serde_json::from_value(Value::Object(given.clone()))
        .map_err(|error| only("job", &format!("does not fit a Job: {error}")))?;
    job.template = template.clone();
    let pod = template.spec.as_ref();
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let mut problems = local_template::problems(given, &job);
    let position = match container {
        Some(name) => containers.iter().position(|c| c.name == name),
        None => (!containers.is_empty()).then_some(0),
    };
    let path = "template.spec.containers";
    let Some(position) = position else {
        let message = match container {
            Some(name) => format!("must have a container named `{name}`"),
            None => "must have at least one container".to_string(),
        };
        problems.push(TemplateProblem::new(path, &message));
        return Err(TemplateError(problems));
    };
    let chosen = containers.get(position);
    if chosen
        .and_then(|c| c.command.as_ref())
        .is_none_or(Vec::is_empty)
    {
        let message = "must be given: without a cluster there is no image to take it from";
        let path = format!("{path}[{position}].command");
        problems.push(TemplateProblem::new(&path, message));
    }
    problems.extend(local_template::container_problems(containers, position));
    if problems.is_empty() {
        Ok((job, position))
    } else {
        Err(TemplateError(problems))
    }
}

/// As often as a Job would start its pod or its container again: Podium sets no `backoffLimit` only where containers restart.
fn retries_of(job: &JobSpec, pod: &PodSpec) -> u32 {
    let default = match pod.restart_policy.as_deref() {
        Some("OnFailure") => 6,
        _ => 0,
    };
    job.backoff_limit
        .map_or(default, |limit| u32::try_from(limit).unwrap_or(0))
}

/// The template's variables come after podium's, and each may refer to those before it.
fn environment_of(
    container: &Container,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut environment = given.clone();
    for variable in container.env.iter().flatten() {
        let value = expand(variable.value.as_deref().unwrap_or_default(), &environment);
        environment.insert(variable.name.clone(), value);
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn process(job: Value, container: Option<&str>) -> Result<Process, String> {
        let template: PodTemplateSpec = serde_json::from_value(job["template"].clone()).unwrap();
        let job = job.as_object().unwrap().clone();
        let request = RunRequest {
            name: "forest-1".to_string(),
            attempt: 1,
            job: &job,
            template: &template,
            container,
            variables: BTreeMap::from([("num_trees".to_string(), "120".to_string())]),
            tracking: None,
            deadline_seconds: Some(60),
            owner: None,
            labels: BTreeMap::new(),
            job_metadata: podium_api::tuning_job::JobMetadata::default(),
        };
        process_of(&request).map_err(|error| error.to_string())
    }

    fn plain() -> Value {
        json!({"template": {"metadata": {}, "spec": {"containers": [{"name": "train", "image": "any", "command": ["true"]}]}}})
    }

    /// The plain Job with a value put at a pointer.
    fn with(pointer: &str, value: Value) -> Value {
        let mut job = plain();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        job.pointer_mut(parent).unwrap()[field] = value;
        job
    }

    #[test]
    fn parameters_reach_arguments_and_variables() {
        let job = json!({"template": {"spec": {"containers": [{"name": "train", "image": "any",
            "command": ["podium", "train"], "args": ["--trees=$(num_trees)", "--label=$(LABEL)"],
            "env": [{"name": "LABEL", "value": "fraud_$(num_trees)"}], "workingDir": "code"}]}}});
        let process = process(job, None).unwrap();
        let command = ["podium", "train", "--trees=120", "--label=fraud_120"];
        assert_eq!(process.command, command);
        assert_eq!(process.environment["LABEL"], "fraud_120");
        assert_eq!(process.working_directory.as_deref(), Some("code"));
    }

    #[test]
    fn what_a_process_can_give_is_carried_out() {
        let pod = "/template/spec";
        let of = |pointer: &str, value| process(with(pointer, value), None).unwrap();
        assert_eq!(process(plain(), None).unwrap().deadline_seconds, Some(60));
        assert_eq!(
            of("/activeDeadlineSeconds", json!(5)).deadline_seconds,
            Some(5)
        );
        let pods = of(&format!("{pod}/activeDeadlineSeconds"), json!(7));
        assert_eq!(pods.deadline_seconds, Some(7));
        let longer = of(&format!("{pod}/activeDeadlineSeconds"), json!(700));
        assert_eq!(longer.deadline_seconds, Some(60));
        assert_eq!(of("/backoffLimit", json!(2)).retries, 2);
        assert_eq!(process(plain(), None).unwrap().retries, 0);
        let restarted = of(&format!("{pod}/restartPolicy"), json!("OnFailure"));
        assert_eq!(restarted.retries, 6, "the default of a Job");
        let grace = of(&format!("{pod}/terminationGracePeriodSeconds"), json!(1));
        assert_eq!(grace.grace_seconds, Some(1));
    }

    /// What only says where a pod comes from or where it goes is allowed, and so is what a process gives anyway.
    #[test]
    fn what_a_manifest_shares_with_a_cluster_is_allowed() {
        let (pod, container) = ("/template/spec", "/template/spec/containers/0");
        for (pointer, value) in [
            (
                "/template/metadata/labels".to_string(),
                json!({"team": "ml"}),
            ),
            (format!("{pod}/nodeSelector"), json!({"gpu": "yes"})),
            (
                format!("{pod}/tolerations"),
                json!([{"key": "gpu", "operator": "Exists"}]),
            ),
            (format!("{pod}/automountServiceAccountToken"), json!(false)),
            (format!("{pod}/securityContext"), json!({})),
            (format!("{pod}/volumes"), json!([])),
            (format!("{pod}/restartPolicy"), json!("Never")),
            (
                format!("{container}/resources"),
                json!({"requests": {"cpu": "1"}}),
            ),
            (format!("{container}/imagePullPolicy"), json!("Always")),
            (
                format!("{container}/terminationMessagePath"),
                json!("/dev/termination-log"),
            ),
            ("/completions".to_string(), json!(1)),
            ("/suspend".to_string(), json!(null)),
        ] {
            assert_eq!(
                process(with(&pointer, value), None).err(),
                None,
                "{pointer}"
            );
        }
    }

    #[test]
    fn what_a_process_cannot_give_is_refused_by_its_path() {
        let (pod, container) = ("/template/spec", "/template/spec/containers/0");
        for (pointer, value) in [
            ("/backoffLimitPerIndex".to_string(), json!(1)),
            ("/completionMode".to_string(), json!("Indexed")),
            ("/completions".to_string(), json!(2)),
            ("/parallelism".to_string(), json!(2)),
            ("/podFailurePolicy".to_string(), json!({"rules": []})),
            ("/suspend".to_string(), json!(true)),
            ("/ttlSecondsAfterFinished".to_string(), json!(600)),
            ("/backofLimit".to_string(), json!(2)),
            (format!("{pod}/initContainers"), json!([{"name": "fetch"}])),
            (format!("{pod}/volumes"), json!([{"name": "data"}])),
            (format!("{pod}/serviceAccountName"), json!("trainer")),
            (format!("{pod}/securityContext"), json!({"runAsUser": 1})),
            (format!("{pod}/hostname"), json!("a")),
            (format!("{pod}/runtimeClassName"), json!("gvisor")),
            (format!("{pod}/dnsPolicy"), json!("None")),
            (format!("{pod}/schedulingGates"), json!([{"name": "a"}])),
            (format!("{pod}/containres"), json!([])),
            (
                format!("{container}/envFrom"),
                json!([{"configMapRef": {"name": "settings"}}]),
            ),
            (
                format!("{container}/volumeMounts"),
                json!([{"name": "data", "mountPath": "/data"}]),
            ),
            (format!("{container}/livenessProbe"), json!({})),
            (format!("{container}/lifecycle"), json!({})),
            (format!("{container}/tty"), json!(true)),
            (
                format!("{container}/terminationMessagePath"),
                json!("/tmp/result"),
            ),
            (
                format!("{container}/securityContext"),
                json!({"privileged": true}),
            ),
            (format!("{container}/comand"), json!(["true"])),
        ] {
            let path = pointer[1..].replace("/0", "[0]").replace('/', ".");
            let said = process(with(&pointer, value), None).unwrap_err();
            assert!(
                said.starts_with(&format!("{path}: must be left out here: ")),
                "{pointer}: {said}"
            );
        }
        let limited = with(
            &format!("{container}/resources"),
            json!({"limits": {"memory": "1Gi"}}),
        );
        let said = process(limited, None).unwrap_err();
        assert!(
            said.starts_with("template.spec.containers[0].resources.limits: "),
            "{said}"
        );
        let always = process(with(&format!("{pod}/restartPolicy"), json!("Always")), None);
        assert!(always.unwrap_err().contains("must be Never or OnFailure"));
    }

    #[test]
    fn everything_is_told_at_once() {
        let job = json!({"parallelism": 3, "template": {"spec": {"volumes": [{"name": "a"}], "containers": [
            {"name": "train", "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            {"name": "side"}]}}});
        let said = process(job.clone(), None).unwrap_err();
        for path in [
            "parallelism",
            "template.spec.volumes",
            "template.spec.containers[0].command",
            "template.spec.containers[0].env[0].valueFrom",
            "template.spec.containers[1]",
        ] {
            assert!(
                said.contains(&format!("{path}: must be ")),
                "{path}: {said}"
            );
        }
        let said = process(job, Some("other")).unwrap_err();
        assert!(said.contains("named `other`"), "{said}");
    }
}
