//! How configurations are suggested, where metrics come from, when trials are stopped.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A search algorithm.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum AlgorithmName {
    /// The best one Podium has for the space and the budget.
    #[default]
    Auto,
    /// A Gaussian process over mixed spaces.
    GaussianProcess,
    /// Multivariate tree-structured Parzen estimator.
    #[serde(rename = "TPE")]
    Tpe,
    /// hyperopt's tree-structured Parzen estimator.
    Hyperopt,
    /// Independent draws.
    Random,
    /// Every point of a finite space.
    Grid,
    /// A scrambled Sobol sequence.
    Sobol,
}

/// How configurations are suggested.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.hyperopt) || self.name == 'Hyperopt'").message("`hyperopt` may only be set when `name` is Hyperopt").field_path(".hyperopt"))]
pub struct AlgorithmSpec {
    /// Which algorithm. `GaussianProcess` and `Tpe` are not in this version of Podium, which refuses them.
    #[serde(default)]
    pub name: AlgorithmName,
    /// Settings of `Hyperopt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hyperopt: Option<HyperoptSpec>,
}

/// Settings of hyperopt's estimator; the defaults are hyperopt's own.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HyperoptSpec {
    /// Random trials before the model is used. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub startup_trials: Option<i32>,
    /// The best `gamma` times the square root of all trials count as good. Default 0.25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1.0))]
    pub gamma: Option<f64>,
    /// Candidates that the model chooses from. Default 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub candidates: Option<i32>,
    /// Weight of the prior against one trial. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub prior_weight: Option<f64>,
    /// The latest trials that count fully, before them a linear fading; also the most that count as good. Default 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub linear_forgetting: Option<i32>,
}

/// Earlier searches whose trials the model learns from.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WarmStart {
    /// The searches.
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub from: Vec<WarmStartSource>,
}

/// An earlier search.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WarmStartSource {
    /// Name of a TuningJob of the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub tuning_job: String,
}

/// When a running trial is stopped because others did better.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.median) != has(self.successiveHalving)").message("exactly one of `median` and `successiveHalving` must be set"))]
pub struct EarlyStopping {
    /// Stops what is worse than the median of the others at the same step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<MedianStopping>,
    /// Keeps the best share of trials at growing steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successive_halving: Option<SuccessiveHalving>,
}

/// The median rule.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MedianStopping {
    /// Finished trials before the rule applies.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 10_000))]
    pub min_trials: i32,
    /// First step at which a trial may be stopped.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub start_step: i64,
}

fn five() -> i32 {
    5
}

fn four() -> i64 {
    4
}

/// Asynchronous successive halving.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuccessiveHalving {
    /// One of this many is kept at each rung.
    #[serde(default = "three")]
    #[schemars(range(min = 2, max = 10))]
    pub reduction_factor: i32,
    /// Step of the first rung.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_step: i64,
    /// Step of the last rung.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_step: i64,
}

fn three() -> i32 {
    3
}

/// Where the metrics of a trial come from.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsSpec {
    /// In this order; the first that answers wins. Without any: the termination message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Vec<MetricsSource>,
    /// Seconds to wait for metrics in MLflow after the container has ended well. An MLflow that does not answer is waited for an hour at
    /// least. Only with the source `mlflow`, since others wait for nothing.
    #[serde(default = "two_minutes")]
    #[schemars(range(min = 0, max = 86_400))]
    pub deadline_seconds: i64,
    /// How the parts of one metric (folds, shards) become one value.
    #[serde(default)]
    pub aggregate: Aggregate,
}

impl Default for MetricsSpec {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            deadline_seconds: two_minutes(),
            aggregate: Aggregate::default(),
        }
    }
}

fn two_minutes() -> i64 {
    120
}

/// How parts become one value.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum Aggregate {
    /// The mean of the parts by their weights.
    #[default]
    WeightedMean,
}

/// One source of metrics.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(has(self.terminationMessage) ? 1 : 0) + (has(self.log) ? 1 : 0) + (has(self.mlflow) ? 1 : 0) + (has(self.predictions) ? 1 : 0) == 1").message("exactly one of `terminationMessage`, `log`, `mlflow` and `predictions` must be set"))]
pub struct MetricsSource {
    /// The termination message of a container: one JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_message: Option<TerminationMessageSource>,
    /// The log of a container. Not in this version of Podium, which refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogSource>,
    /// The trial's MLflow run, in which its program has logged the metrics that the objective needs. It needs `tracking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlflow: Option<MlflowSource>,
    /// A predictions file, from which Podium computes the metrics itself. Not in this version of Podium, which refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<PredictionsSource>,
}

/// The termination message of a container.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TerminationMessageSource {
    /// Which container; without it the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container: Option<String>,
}

/// The log of a container.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogSource {
    /// Which container; without it the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container: Option<String>,
    /// Regular expression with the groups `name` and `value`.
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new("self.contains('(?P<name>') && self.contains('(?P<value>')").message("`pattern` must have the named groups `name` and `value`"))]
    pub pattern: String,
    /// Regular expression with the group `step`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub step: Option<String>,
}

/// The trial's MLflow run.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MlflowSource {}

/// A predictions file.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PredictionsSource {
    /// Where it lies.
    #[schemars(length(min = 1, max = 2000))]
    pub uri: String,
    /// Names of its columns.
    pub columns: crate::champion_policy::Columns,
}
