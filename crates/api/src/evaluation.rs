//! `Evaluation`: one comparison of a challenger with the champion.

use crate::champion_policy::{Columns, SliceSpec, TestSpec};
use crate::schema::{self, Conditions, LocalReference, StatusTime};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One comparison. Written by Podium; immutable, and its status once it is finished.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "podium.dev",
    version = "v1alpha1",
    kind = "Evaluation",
    plural = "evaluations",
    shortname = "evaln",
    category = "podium",
    namespaced,
    derive = "PartialEq",
    doc = "One comparison of a challenger with the champion on a holdout. Written by Podium.",
    status = "EvaluationStatus",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(
        name = "Champion",
        type_ = "string",
        json_path = ".spec.champion.version"
    ),
    printcolumn(
        name = "Challenger",
        type_ = "string",
        json_path = ".spec.challenger.version"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Sentence",
        type_ = "string",
        json_path = ".status.sentence",
        priority = "1"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self == oldSelf").message("the spec of an Evaluation is immutable"))]
pub struct EvaluationSpec {
    /// The policy that asks.
    pub policy_ref: LocalReference,
    /// The registered model.
    #[schemars(length(min = 1, max = 250))]
    pub model: String,
    /// The model in production.
    pub champion: EvaluatedVersion,
    /// The model that wants to be.
    pub challenger: EvaluatedVersion,
    /// Names of the columns of both predictions files.
    pub columns: Columns,
    /// Parts of the holdout that guardrails may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub slices: Vec<SliceSpec>,
    /// How they are compared.
    pub test: TestSpec,
    /// What the rows of the holdout are called in a sentence.
    #[schemars(length(min = 1, max = 63))]
    pub rows_noun: String,
    /// Seed of the resamples.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: i64,
}

/// A version with the predictions it is judged by.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluatedVersion {
    /// The version.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// Its predictions.
    #[schemars(length(min = 1, max = 2000))]
    pub predictions: String,
    /// Their digest.
    #[schemars(length(min = 1, max = 253))]
    pub digest: String,
}

/// How far a comparison is, and what it found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationStatus {
    /// The generation that this status was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Pending, Finished or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub phase: Option<String>,
    /// The conditions Ready and Finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Option<StatusTime>,
    /// Superior, Inferior, Inconclusive or NotComparable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub verdict: Option<String>,
    /// The verdict in one plain sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub sentence: Option<String>,
    /// Why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// The whole comparison: every metric of both models with differences and intervals, rows, clusters,
    /// positives, the smallest detectable effect, cross-check and warnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_value")]
    pub comparison: Option<Value>,
    /// Where the report is.
    #[serde(rename = "reportURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub report_uri: Option<String>,
}
