//! `Trial`: one configuration tried.

use crate::schema::{self, Conditions, StatusTime};
use kube::{CustomResource, KubeSchema};
use podium_core::value::Configuration;
use serde::{Deserialize, Serialize};

/// One configuration tried. Written by Podium before anything of it runs; immutable.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "podium.dev",
    version = "v1alpha1",
    kind = "Trial",
    plural = "trials",
    category = "podium",
    namespaced,
    derive = "PartialEq",
    doc = "One configuration of a search, tried once. Written by Podium.",
    status = "TrialStatus",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Objective", type_ = "number", json_path = ".status.objective"),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration"),
    printcolumn(
        name = "Parameters",
        type_ = "string",
        json_path = ".status.parametersText"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.reason",
        priority = "1"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        priority = "1"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self == oldSelf").message("the spec of a Trial is immutable"))]
pub struct TrialSpec {
    /// Position in the search, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub index: i32,
    /// What is tried.
    #[schemars(schema_with = "schema::configuration")]
    pub parameters: Configuration,
    /// Seed that the container gets.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: i64,
    /// Where the configuration comes from: an algorithm, `Initial` or `Refit`.
    #[schemars(length(min = 1, max = 63))]
    pub origin: String,
}

/// Where a trial is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialStatus {
    /// The generation that this status was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Pending, Queued, Running, Succeeded, StoppedEarly, Infeasible or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub phase: Option<String>,
    /// The conditions Ready, Succeeded and Finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// The objective, once it ended with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1e18, max = 1e18))]
    pub objective: Option<f64>,
    /// Its metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub metrics: Vec<TrialMetric>,
    /// Its runs; more than one where the infrastructure ended some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub attempts: Vec<TrialAttempt>,
    /// When its first run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub start_time: Option<StatusTime>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Option<StatusTime>,
    /// How long it ran, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub duration: Option<String>,
    /// The configuration in one short line, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub parameters_text: Option<String>,
    /// Its MLflow run.
    #[serde(
        rename = "mlflowRunID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 63))]
    pub mlflow_run_id: Option<String>,
    /// What MLflow was told last of that run: RUNNING, FINISHED, FAILED or KILLED; DELETED where somebody has deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub mlflow_run_status: Option<String>,
    /// Where its files are.
    #[serde(rename = "outputURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub output_uri: Option<String>,
    /// Why it is where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// The same in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}

/// A metric combined from its parts.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialMetric {
    /// Its name.
    #[schemars(length(min = 1, max = 250))]
    pub name: String,
    /// Its value.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub value: f64,
    /// Sum of the weights of its parts.
    #[schemars(range(min = 0.0, max = 1e18))]
    pub weight: f64,
    /// From how many parts it was combined.
    #[schemars(range(min = 1, max = 100_000))]
    pub parts: i32,
}

/// One run of a trial's container.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialAttempt {
    /// From 1.
    #[schemars(range(min = 1, max = 1000))]
    pub number: i32,
    /// The pod that ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub pod_name: Option<String>,
    /// When it began, once it ended without deciding the trial; none if nothing of it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub start_time: Option<StatusTime>,
    /// Why it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// When it did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Option<StatusTime>,
}
