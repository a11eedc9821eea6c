//! What a trial runs.

use crate::schema::OpenObject;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a trial runs, and for how long.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.job) != has(self.resource)").message("exactly one of `job` and `resource` must be set"))]
pub struct TrialTemplate {
    /// Running time in seconds after which a trial is ended and failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds that a trial may wait to run, for room, for its image, before it is failed.
    #[serde(default = "two_hours", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub queue_deadline_seconds: Option<i64>,
    /// Where a trial leaves its files; `$(PODIUM_TUNING_JOB)` and `$(PODIUM_TRIAL)` are expanded, and
    /// the container gets it as `PODIUM_OUTPUT_URI`.
    #[serde(rename = "outputURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub output_uri: Option<String>,
    /// A batch/v1 Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobTemplate>,
    /// Any other namespaced resource, with rules that say how it ended. Not in this version of Podium, which refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceTemplate>,
    /// What the end of a run means; the first rule that holds wins, before the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub failure_rules: Vec<FailureRuleSpec>,
}

// Nothing waits for ever.
#[allow(clippy::unnecessary_wraps)] // serde's default has the field's type.
fn two_hours() -> Option<i64> {
    Some(7200)
}

/// The specification of a batch/v1 Job; Podium adds name, labels, owner and environment.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct JobTemplate {
    /// Labels and annotations of the Job itself, such as a queue's; those of its pods stand in the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JobMetadata>,
    /// The pod template, as in a Job. Parameters are environment variables, so `$(NAME)` works in
    /// `command` and `args`. A template that names no service account gets no token unless
    /// `automountServiceAccountToken` is true.
    pub template: OpenObject,
    /// Other fields of the Job's specification.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Labels and annotations of a Job.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobMetadata {
    /// Labels; those of Podium win, and none may begin with `podium.dev/`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::texts_by_name")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::texts_by_name")]
    pub annotations: BTreeMap<String, String>,
}

/// Any namespaced resource that runs a trial.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceTemplate {
    /// The resource, without a name.
    #[x_kube(validation = Rule::new("has(self.apiVersion) && has(self.kind)").message("`object` must have `apiVersion` and `kind`"))]
    pub object: ResourceObject,
    /// Values put into the resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub inject: Vec<Injection>,
    /// CEL conditions that say how far the resource is; built in for the kinds Podium knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<ResourceRules>,
}

/// A resource of any kind.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ResourceObject {
    /// Its API version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub api_version: Option<String>,
    /// Its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    /// The rest of it.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// One value put into a resource.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Injection {
    /// JSON pointer; `/-` appends to a list.
    #[schemars(length(min = 1, max = 500), regex(pattern = "^/"))]
    pub pointer: String,
    /// Text in which `$(NAME)` is expanded.
    #[schemars(length(max = 2000))]
    pub value: String,
}

/// CEL conditions over a resource.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRules {
    /// It ended well.
    #[schemars(length(min = 1, max = 2000))]
    pub succeeded: String,
    /// It ended badly.
    #[schemars(length(min = 1, max = 2000))]
    pub failed: String,
    /// It waits for room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub queued: Option<String>,
}

/// What the end of a run means.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailureRuleSpec {
    /// CEL condition over `exitCode`, `signal`, `reason` and `message`.
    #[schemars(length(min = 1, max = 2000))]
    pub when: String,
    /// What then.
    pub action: FailureActionSpec,
}

/// What a failure rule does.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureActionSpec {
    /// The configuration cannot work.
    Infeasible,
    /// The trial failed.
    Fail,
    /// It is run again; this end does not count.
    Retry,
}
