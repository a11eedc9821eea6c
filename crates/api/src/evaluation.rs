//! `Evaluation`: one comparison of a challenger with the champion.

use crate::champion_policy::{Columns, SliceSpec, StoreSpec, TestSpec};
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
    /// The file with the labels, where predictions bring only ids and scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<EvaluatedHoldout>,
    /// How the files of `s3://` addresses are reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,
    /// Names of the columns of the files.
    pub columns: Columns,
    /// Parts of the holdout that guardrails may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub slices: Vec<SliceSpec>,
    /// How they are compared.
    pub test: TestSpec,
    /// Numbers that the scorers of both versions left, for guardrails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub measurements: Vec<MeasurementPair>,
    /// What the rows of the holdout are called in a sentence.
    #[schemars(length(min = 1, max = 63))]
    pub rows_noun: String,
}

/// A version with the predictions that it is judged by.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluatedVersion {
    /// The version.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// Its predictions.
    #[schemars(length(min = 1, max = 2000))]
    pub predictions: String,
    /// The files of the model, as the registry names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub source: Option<String>,
}

/// The file with the labels.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluatedHoldout {
    /// Where it lies.
    #[schemars(length(min = 1, max = 2000))]
    pub uri: String,
    /// The digest that it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]+$"))]
    pub sha256: Option<String>,
}

/// A number that the scorers of both versions left.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeasurementPair {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Of the model in production.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub champion: f64,
    /// Of the model that wants to be.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub challenger: f64,
}

/// How far a comparison is, and what it found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationStatus {
    /// The generation that this status was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Pending, Waiting (files are missing), Compared (the statistics are there, the verdict waits for its look), Finished or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub phase: Option<String>,
    /// The conditions Ready and Finished; Reconciling until it has ended, Stalled when it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Option<StatusTime>,
    /// How many runs were begun to make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub attempts: Option<i32>,
    /// How many of the last runs were lost to the infrastructure, in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub lost_runs: Option<i32>,
    /// The generation of the policy that the last run was begun for. One that failed is asked anew when the policy is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub policy_generation: Option<i64>,
    /// Runs of scorers after whose end the files were looked for again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 253)), extend("x-kubernetes-list-type" = "atomic"))]
    pub scorer_runs: Vec<String>,
    /// Addresses of files that were not there when the last run looked for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), inner(length(max = 2000)), extend("x-kubernetes-list-type" = "atomic"))]
    pub missing: Vec<String>,
    /// Since when files are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub missing_since: Option<StatusTime>,
    /// When the next run begins: files that are missing are looked for again, or a run was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub next_attempt_time: Option<StatusTime>,
    /// What was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceStatus>,
    /// The last time that the files were looked at again, since an alias is to be moved on evidence that is not new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<ConfirmationStatus>,
    /// Seed of the resamples, derived from what was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: Option<i64>,
    /// What the rows say, before anything is concluded: every metric of both models with differences, standard errors, degrees of
    /// freedom and intervals, rows, clusters, positives, cross-check and settings as used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_value")]
    pub statistics: Option<Value>,
    /// Parts of the statistics that the message of a pod had no room for: `observed` metrics, `intervals` and p-values of kinds that do
    /// not decide, `metrics` of both models that nothing asks for, the `crossCheck`, `standardErrors` that do not decide. The verdict is
    /// the same without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    pub left_out: Vec<String>,
    /// The look at the holdout that the verdict was taken at; absent where none was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<LookStatus>,
    /// Superior, Inferior, Inconclusive or NotComparable: a function of `statistics`, `spec.measurements` and `look.allowedError`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub verdict: Option<String>,
    /// The verdict in one plain sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub sentence: Option<String>,
    /// The smallest improvement of the primary metric that this look would find four times in five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e18))]
    pub minimum_detectable_effect: Option<f64>,
    /// What it waits for, or why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// Where the page of the report is, once it was written; the document for programs lies beside it, with `.json`.
    #[serde(rename = "reportURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub report_uri: Option<String>,
    /// Why the report that the policy asks for was not written. The comparison counts all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub report_message: Option<String>,
}

/// A look at whether files are still what was read.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmationStatus {
    /// Which look it is, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub number: i32,
    /// When it was asked for.
    #[schemars(schema_with = "schema::time")]
    pub requested_time: StatusTime,
    /// When the files were found as they had been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub confirmed_time: Option<StatusTime>,
    /// The address of a file that is gone, or not what was read any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub changed: Option<String>,
    /// Why the files could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}

/// What was read.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceStatus {
    /// When it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub read_time: Option<StatusTime>,
    /// The predictions of the model in production.
    pub champion: FileStatus,
    /// The predictions of the model that wants to be.
    pub challenger: FileStatus,
    /// The file with the labels, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<FileStatus>,
    /// Digest of the ids, labels, weights and clusters, in the order of ids.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// The smallest hashes of its ids: holdouts that share most of their rows are told by it.
    #[schemars(length(max = 4096))]
    pub sketch: String,
}

/// A file as it was read.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileStatus {
    /// Its address.
    #[schemars(length(max = 2000))]
    pub uri: String,
    /// SHA-256 of the bytes that were parsed.
    #[schemars(length(max = 64))]
    pub sha256: String,
    /// What the object store called this content, where it was read from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250))]
    pub etag: Option<String>,
    /// Number of these bytes.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub size: i64,
    /// Number of rows.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub rows: i64,
}

/// A look at a holdout.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookStatus {
    /// Its number in the ledger of the model.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub number: i64,
    /// Which look it was at this holdout and those that share most of its rows.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub ordinal: i32,
    /// How many challengers shared it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub challengers: i32,
    /// The one-sided error that this verdict was allowed.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub allowed_error: f64,
}
