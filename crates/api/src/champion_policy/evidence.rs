//! What versions are compared on.

use crate::schema::{LocalReference, OpenObject};
use crate::tuning_job::JobTemplate;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What versions are compared on.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceSpec {
    /// The predictions of a version on the holdout.
    pub predictions: PredictionsSpec,
    /// The holdout itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<HoldoutSpec>,
    /// How the files of `s3://` addresses are reached, by the pods that read them. Without it they go by their own environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,
    /// Makes the predictions of a version that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scorer: Option<ScorerSpec>,
    /// How the comparison itself runs in a cluster: as a Job of Podium's own image in this namespace. Refused by `podium run`, which
    /// compares in its own process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluator: Option<EvaluatorSpec>,
    /// Parts of the holdout that guardrails may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub slices: Vec<SliceSpec>,
}

/// The predictions of a version on the holdout.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PredictionsSpec {
    /// Where they lie; `$(version)` is the version.
    #[schemars(length(min = 1, max = 2000))]
    #[x_kube(validation = Rule::new("self.contains('$(version)')").message("`uri` must contain `$(version)`, so that each version has its own predictions"))]
    pub uri: String,
    /// Names of their columns.
    pub columns: Columns,
    /// What happens in a cluster while they are missing. Refused by `podium run`, which looks for them when it is called again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<OnMissing>,
}

/// Names of the columns of a predictions file.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Columns {
    /// What tells rows apart.
    #[schemars(length(min = 1, max = 250))]
    pub id: String,
    /// 0 or 1.
    #[schemars(length(min = 1, max = 250))]
    pub label: String,
    /// The model's score.
    #[serde(default = "score")]
    #[schemars(length(min = 1, max = 250))]
    pub score: String,
    /// Weight of a row; without it all rows weigh 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 250))]
    pub weight: Option<String>,
    /// Rows of one value belong together, such as those of one customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 250))]
    pub cluster: Option<String>,
}

fn score() -> String {
    "score".to_string()
}

/// What happens while predictions are missing: they are looked for again and again, after 15 seconds, 30, and so on up to ten minutes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnMissing {
    /// Seconds after which the version is given up; a day where nothing is said.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub deadline_seconds: i64,
}

/// An object store that speaks S3. The operator itself never connects to it: what is named here is given to the pods that compare.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreSpec {
    /// Where it answers, such as `https://s3.example.com`; without it that of AWS in `region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000), regex(pattern = "^https?://[^/?#@]+$"))]
    pub endpoint: Option<String>,
    /// Its region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9-]+$"))]
    pub region: Option<String>,
    /// Whether buckets are named in the path instead of the host, as most servers other than AWS need it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_style: bool,
    /// ConfigMap of the same namespace whose key `ca.crt` holds the certificates that its TLS certificate is signed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_config_map_ref: Option<LocalReference>,
    /// Secret of the same namespace with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and perhaps `AWS_SESSION_TOKEN`; without it
    /// pods go by the web identity of their service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalReference>,
}

/// The holdout.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.sha256) || has(self.uri)").message("`sha256` is the digest of the file at `uri`, so `uri` must be set too"))]
pub struct HoldoutSpec {
    /// Its name.
    #[schemars(length(min = 1, max = 250))]
    pub name: String,
    /// SHA-256 of the file at `uri`; another file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]+$"))]
    pub sha256: Option<String>,
    /// A file with the ids, labels, weights, clusters and slice columns of the holdout. With it predictions bring only
    /// ids and scores, so a scorer cannot change the labels that it is graded by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub uri: Option<String>,
    /// How many times it may be looked at, counted over all holdouts of the model that share most of its rows.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_evaluations: i32,
    /// What its rows are called in a sentence, such as `transactions`.
    #[serde(default = "rows")]
    #[schemars(length(min = 1, max = 63))]
    pub rows_noun: String,
}

fn twenty() -> i32 {
    20
}

fn rows() -> String {
    "rows".to_string()
}

/// Makes the predictions of a version; its container gets `MODEL_URI`, `MODEL_VERSION` and `OUTPUT_URI`, and `MLFLOW_TRACKING_URI`
/// where the registry is MLflow and the template does not set it. In a cluster it runs for a version whose predictions a comparison
/// misses; on this machine, where they are not there. It runs again when its template or the files that it names have changed. It may leave numbers for guardrails in its termination message:
/// `{"measurements": {"latency_p99_ms": 12.1}}`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScorerSpec {
    /// A batch/v1 Job.
    pub job: JobTemplate,
    /// Running time in seconds after which it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub active_deadline_seconds: Option<i64>,
}

/// How the comparison itself runs in a cluster.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluatorSpec {
    /// A part of a pod template: labels, annotations, and in `spec` the service account, node selector, tolerations, pull secrets,
    /// volumes. A container named `evaluator` in it becomes part of the one that compares: its image, environment, resources, mounts
    /// and security context.
    pub pod_template: OpenObject,
}

/// Part of the holdout.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SliceSpec {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The column that decides.
    #[schemars(length(min = 1, max = 250))]
    pub column: String,
    /// Rows whose value is this, as text, belong to it.
    #[schemars(length(max = 250))]
    pub equals: String,
}
