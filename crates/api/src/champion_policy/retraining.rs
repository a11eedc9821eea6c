//! The retraining loop: what is asked for, and where it is.

use crate::schema::{self, OpenObject, StatusTime};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Searches on a schedule, as a CronJob starts Jobs. `kubectl annotate` with a new value of `podium.dev/run-now`, or `podium run-now`,
/// starts one at once.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetrainSpec {
    /// When, as in a CronJob.
    #[schemars(length(min = 1, max = 250))]
    pub schedule: String,
    /// In which time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub time_zone: Option<String>,
    /// While this is true no search is started on schedule. The last time that passes meanwhile is made up for afterwards, within
    /// `startingDeadlineSeconds`.
    #[serde(default)]
    pub suspend: bool,
    /// Seconds after a time of the schedule in which a search may still be started for it. Without it the last time that was missed is
    /// made up for however long ago it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 31_536_000))]
    pub starting_deadline_seconds: Option<i64>,
    /// What happens while the last search still runs.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicySpec,
    /// Successful searches kept.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_history_limit: i32,
    /// Failed searches kept.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub failed_history_limit: i32,
    /// The search: `metadata` and the `spec` of a TuningJob. Whether it could be carried out is looked at when the policy is applied; the
    /// condition `RetrainReady` says so.
    pub tuning_job_template: TuningJobTemplate,
}

fn three() -> i32 {
    3
}

fn one() -> i32 {
    1
}

/// What happens while the last search still runs.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum ConcurrencyPolicySpec {
    /// Both run.
    Allow,
    /// The new one waits until the other has ended.
    #[default]
    Forbid,
    /// The running one is deleted.
    Replace,
}

/// A TuningJob without a name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TuningJobTemplate {
    /// Labels and annotations of the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TuningJobMetadata>,
    /// The `spec` of a TuningJob. What `register` leaves out is taken from the policy: its registry, its model and the alias of its
    /// challenger. Without a `seed` each search has one of its own.
    pub spec: OpenObject,
}

/// Labels and annotations of a search.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TuningJobMetadata {
    /// Labels, such as a queue's; none may begin with `podium.dev/`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::texts_by_name")]
    pub labels: BTreeMap<String, String>,
    /// Annotations; none may begin with `podium.dev/`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::texts_by_name")]
    pub annotations: BTreeMap<String, String>,
}

/// Where the retraining loop is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrainStatus {
    /// The last time of the schedule for which a search was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_schedule_time: Option<StatusTime>,
    /// When a search last ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_successful_time: Option<StatusTime>,
    /// The last time of the schedule that was given up, since `startingDeadlineSeconds` had passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_missed_time: Option<StatusTime>,
    /// When a search is due next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub next_schedule_time: Option<StatusTime>,
    /// The searches that go on, by name; the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "names")]
    pub active: Vec<String>,
    /// The last value of the annotation `podium.dev/run-now` for which a search was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250))]
    pub last_run_now: Option<String>,
    /// The values before it, newest first: one that comes again starts nothing. Twenty are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "requests")]
    pub earlier_run_now: Vec<String>,
    /// The schedule and its time zone, as they were last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub schedule: Option<String>,
    /// Since when they hold. No search is started for an earlier time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub schedule_since: Option<StatusTime>,
    /// The same in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}

fn requests(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 20,
        "x-kubernetes-list-type": "atomic",
        "items": { "type": "string", "maxLength": 250 },
    })
}

fn names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 100,
        "x-kubernetes-list-type": "atomic",
        "items": { "type": "string", "maxLength": 253 },
    })
}
