//! `TuningJob`: a search for the best configuration.

mod algorithm;
mod parameters;
mod status;
mod template;

pub use algorithm::*;
pub use parameters::*;
pub use status::*;
pub use template::*;

use crate::schema::{self, LocalReference};
use kube::{CustomResource, KubeSchema};
use podium_core::value::Configuration;
use serde::{Deserialize, Serialize};

/// A search: a space, an objective, a budget, and what a trial runs.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "podium.dev",
    version = "v1alpha1",
    kind = "TuningJob",
    plural = "tuningjobs",
    shortname = "tj",
    category = "podium",
    namespaced,
    derive = "PartialEq",
    doc = "A search for the best configuration of a training program, run as trials.",
    status = "TuningJobStatus",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
    printcolumn(
        name = "Running",
        type_ = "integer",
        json_path = ".status.trials.running"
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.trials.failed"
    ),
    printcolumn(name = "Best", type_ = "string", json_path = ".status.best.trial"),
    printcolumn(
        name = "Objective",
        type_ = "number",
        json_path = ".status.best.objective"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Algorithm",
        type_ = "string",
        json_path = ".spec.algorithm.name",
        priority = "1"
    ),
    printcolumn(
        name = "Seed",
        type_ = "integer",
        json_path = ".spec.seed",
        priority = "1"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = "1"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.parallelism <= self.maxTrials").message("`parallelism` must be at most `maxTrials`").field_path(".parallelism"),
    validation = Rule::new("self.maxTrials >= oldSelf.maxTrials").message("`maxTrials` may only grow").field_path(".maxTrials"),
    validation = Rule::new("has(self.seed) == has(oldSelf.seed) && (!has(self.seed) || self.seed == oldSelf.seed)").message("`seed` is immutable").field_path(".seed"),
    validation = Rule::new("has(self.tracking) == has(oldSelf.tracking) && (!has(self.tracking) || self.tracking == oldSelf.tracking)").message("`tracking` is immutable").field_path(".tracking"),
    validation = Rule::new("!has(self.algorithm) || self.algorithm.name != 'Grid' || self.parameters.all(p, !has(p.normal) && (!has(p.real) || has(p.real.step)))").message("`Grid` needs a finite space: every `real` parameter must have a `step`, and none may be `normal`").field_path(".algorithm.name")
)]
pub struct TuningJobSpec {
    /// No new trial is started while this is true; running ones go on to their end.
    #[serde(default)]
    pub suspend: bool,
    /// Seed of the search; without it the seed comes from the object's uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: Option<i64>,
    /// Trials that may run at once. Lowering it lets running trials end.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub parallelism: i32,
    /// Trials of the whole search. May only grow.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_trials: i32,
    /// The search fails once more trials than this have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_failed_trials: Option<i32>,
    /// Wall clock of the search in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds after which a finished search is deleted with its trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 315_360_000))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// What a trial is judged by. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("`objective` is immutable"))]
    pub objective: ObjectiveSpec,
    /// The search space. Immutable.
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("`parameters` are immutable"))]
    pub parameters: Vec<ParameterSpec>,
    /// Conditions that a configuration must meet to be tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub parameter_constraints: Vec<ParameterConstraintSpec>,
    /// Configurations tried first; missing parameters are suggested. One that cannot be tried, because it lies outside of the
    /// space, breaks a constraint, repeats another or finds no room in `maxTrials`, blocks the search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::configurations")]
    pub initial_trials: Vec<Configuration>,
    /// Earlier searches whose trials the model learns from. Not in this version of Podium, which refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<WarmStart>,
    /// How configurations are suggested. Immutable.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("`algorithm` is immutable"))]
    pub algorithm: AlgorithmSpec,
    /// When a running trial is stopped because others did better. Not in this version of Podium, which refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// Where the metrics of a trial come from.
    #[serde(default)]
    pub metrics: MetricsSpec,
    /// What a trial runs. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("`trial` is immutable"))]
    pub trial: TrialTemplate,
    /// Logs every trial to an MLflow experiment, in a cluster; `podium run` refuses it. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Tracking>,
    /// Makes the winner a version of a registered model: in a cluster in MLflow, with `podium run` in a directory. Its files are those that
    /// `trial.outputURI` names, which in a cluster is no path and no `file:` URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<RegisterSpec>,
}

fn one() -> i32 {
    1
}

/// Logs every trial to an MLflow experiment: a parent run, one child run per trial. The containers of a trial get `MLFLOW_TRACKING_URI`,
/// `MLFLOW_RUN_ID`, `PODIUM_MLFLOW_RUN_ID` and `MLFLOW_EXPERIMENT_ID`, and the account of the registry's `trialCredentialsSecretRef`, so that
/// what a program logs by itself lands in its trial's run.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracking {
    /// The ModelRegistry of the tracking server.
    pub registry_ref: LocalReference,
    /// Name of the experiment; it is made where there is none.
    #[schemars(length(min = 1, max = 500))]
    pub experiment: String,
}

/// Makes the winner a version of a registered model.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.alias) || (self.alias != 'latest' && !self.alias.matches('^v[0-9]+$'))").message("`alias` must be neither `latest` nor look like a version such as `v7`: the registry keeps these names").field_path(".alias"))]
pub struct RegisterSpec {
    /// The registry.
    pub registry_ref: LocalReference,
    /// Name of the registered model.
    #[schemars(length(min = 1, max = 250))]
    pub model: String,
    /// Alias that the new version gets, such as `challenger`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 250), regex(pattern = "^[a-z0-9_-]+$"))]
    pub alias: Option<String>,
    /// Whether the best configuration is run once more, as a trial of origin `Refit` with the variable
    /// `PODIUM_REFIT=true`, and that output is registered. It does not count into `maxTrials`.
    #[serde(default)]
    pub refit: bool,
}
