//! The status of a search; written by Podium only.

use crate::schema::{self, Conditions, StatusTime};
use kube::KubeSchema;
use podium_core::value::Configuration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a search is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TuningJobStatus {
    /// The generation that this status was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// In one word; derived from the conditions, may gain values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub phase: Option<String>,
    /// The conditions Ready, Reconciling, Stalled, Succeeded, Finished and Suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// When the search was first acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub start_time: Option<StatusTime>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Option<StatusTime>,
    /// For how many seconds the search was suspended, by its user or by a queue, not counting the present suspension. Its deadline is so
    /// much later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub suspended_seconds: Option<i64>,
    /// Trials by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<TrialCounts>,
    /// Trials that ended, of those asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub progress: Option<String>,
    /// The best trial so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<BestTrial>,
    /// How much of the objective's spread each parameter explains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub importance: Vec<Importance>,
    /// The trials that ended last, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub recent_trials: Vec<RecentTrial>,
    /// When the search will have ended, at the pace so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub estimated_completion_time: Option<StatusTime>,
    /// Where the search is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<TrackingStatus>,
    /// What the winner was registered as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<RegisteredVersion>,
}

/// Trials by state.
#[derive(KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialCounts {
    /// All of them.
    #[schemars(range(min = 0, max = 100_000))]
    pub total: i32,
    /// Created, not started.
    #[schemars(range(min = 0, max = 100_000))]
    pub pending: i32,
    /// Waiting for room.
    #[schemars(range(min = 0, max = 100_000))]
    pub queued: i32,
    /// Running.
    #[schemars(range(min = 0, max = 100_000))]
    pub running: i32,
    /// Ended with an objective.
    #[schemars(range(min = 0, max = 100_000))]
    pub succeeded: i32,
    /// Stopped before their end.
    #[schemars(range(min = 0, max = 100_000))]
    pub stopped_early: i32,
    /// Ended with an objective that a constraint refuses.
    #[schemars(range(min = 0, max = 100_000))]
    pub infeasible: i32,
    /// Ended without an objective.
    #[schemars(range(min = 0, max = 100_000))]
    pub failed: i32,
    /// Runs repeated because the infrastructure ended them.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub retried: i32,
}

/// The best trial so far.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BestTrial {
    /// Its name.
    #[schemars(length(max = 253))]
    pub trial: String,
    /// Its objective.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub objective: f64,
    /// Its metrics.
    #[serde(default)]
    #[schemars(schema_with = "schema::metrics")]
    pub metrics: BTreeMap<String, f64>,
    /// Its configuration.
    #[serde(default)]
    #[schemars(schema_with = "schema::configuration")]
    pub parameters: Configuration,
    /// Between which values its objective lies, once it was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<IntervalStatus>,
    /// Trials whose objective cannot be told from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 253)), extend("x-kubernetes-list-type" = "atomic"))]
    pub indistinguishable: Vec<String>,
}

/// An interval.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntervalStatus {
    /// Its lower end.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub low: f64,
    /// Its upper end.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub high: f64,
}

/// How much of the objective's spread a parameter explains.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Importance {
    /// The parameter.
    #[schemars(length(max = 63))]
    pub parameter: String,
    /// Between 0 and 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
}

/// A trial that ended not long ago.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentTrial {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Where it ended.
    #[schemars(length(max = 63))]
    pub phase: String,
    /// Its objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1e18, max = 1e18))]
    pub objective: Option<f64>,
}

/// Where a search is logged.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackingStatus {
    /// The experiment.
    #[serde(
        rename = "experimentID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 63))]
    pub experiment_id: Option<String>,
    /// The run under which the trials' runs hang.
    #[serde(
        rename = "parentRunID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 63))]
    pub parent_run_id: Option<String>,
    /// What MLflow was told last of that run: RUNNING, FINISHED or FAILED; DELETED where somebody has deleted it. It is not told of the end
    /// before everything else is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub parent_run_status: Option<String>,
    /// Why something is not logged yet; absent when nothing is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}

/// What the winner was registered as.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredVersion {
    /// The registered model.
    #[schemars(length(max = 250))]
    pub model: String,
    /// The version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// The trial that had won the search when it was registered.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub trial: String,
    /// The alias that the version was to get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250))]
    pub alias: Option<String>,
    /// Whether the alias was left alone, because others have moved it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alias_left: bool,
}
