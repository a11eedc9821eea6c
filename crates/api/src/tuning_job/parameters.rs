//! The objective and the search space.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Whether more or less of the objective is better.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DirectionSpec {
    /// More is better.
    Maximize,
    /// Less is better.
    Minimize,
}

/// What a trial is judged by.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.metric) != has(self.expression)").message("exactly one of `metric` and `expression` must be set"))]
pub struct ObjectiveSpec {
    /// Whether more or less is better.
    pub direction: DirectionSpec,
    /// Name of the metric that is the objective, as the trial reports it, such as `auc` or `val/auc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 250),
        regex(pattern = r"^[^\s\pC]([^\pC]*[^\s\pC])?$")
    )]
    pub metric: Option<String>,
    /// CEL expression over the trial's metrics that is the objective. A metric whose name is not a word is
    /// written `metrics["val/auc"]`. Only metrics of the branch that is taken are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub expression: Option<String>,
    /// Reaching it ends the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1e18, max = 1e18))]
    pub target: Option<f64>,
    /// CEL conditions over the trial's metrics; a trial that violates one is Infeasible and never the best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 2000)), extend("x-kubernetes-list-type" = "atomic"))]
    pub constraints: Vec<String>,
    /// Runs the best trials again with fresh seeds and reports how sure the order is. Not in this version of Podium, which refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
}

/// Runs the best trials again with fresh seeds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirm {
    /// How many of the best.
    #[schemars(range(min = 1, max = 50))]
    pub top_trials: i32,
    /// How often each.
    #[schemars(range(min = 2, max = 100))]
    pub repeats: i32,
}

/// One dimension of the search space.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(has(self.real) ? 1 : 0) + (has(self.integer) ? 1 : 0) + (has(self.categorical) ? 1 : 0) + (has(self.ordinal) ? 1 : 0) + (has(self.normal) ? 1 : 0) == 1").message("exactly one of `real`, `integer`, `categorical`, `ordinal` and `normal` must be set"))]
pub struct ParameterSpec {
    /// Name; also that of the environment variable that a trial gets.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[x_kube(
        validation = Rule::new("!self.upperAscii().startsWith('PODIUM_')").message("`name` must not begin with `PODIUM_`: these variables are given by Podium"),
        validation = Rule::new("!(self in ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'PWD', 'OLDPWD', 'TMPDIR', 'TMP', 'TEMP', 'LANG', 'LANGUAGE', 'TZ', 'TERM', 'HOSTNAME', 'IFS', 'ENV', 'BASH_ENV', 'JAVA_HOME', 'JAVA_TOOL_OPTIONS']) && !self.matches('^(LC_|LD_|DYLD_|PYTHON|KUBERNETES_|MLFLOW_)')").message("`name` must not be that of a variable that programs depend on, such as `PATH`: the parameter is given under its name")
    )]
    pub name: String,
    /// A real number between bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<RealParameter>,
    /// A whole number between bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integer: Option<IntegerParameter>,
    /// One of some values without an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categorical: Option<ChoiceParameter>,
    /// One of some values, listed from low to high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<ChoiceParameter>,
    /// A number around a mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<NormalParameter>,
    /// CEL condition over other parameters; where it does not hold the parameter is absent. Ordinal parameters
    /// compare by the place of their value in `values`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub when: Option<String>,
}

/// On which scale numbers are spread.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum ScaleSpec {
    /// Evenly.
    #[default]
    Linear,
    /// Evenly in the logarithm.
    Log,
}

/// A real number between bounds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.min < self.max").message("`min` must be less than `max`").field_path(".min"),
    validation = Rule::new("self.scale != 'Log' || self.min > 0.0").message("`min` must be greater than 0 when `scale` is Log").field_path(".min"),
    validation = Rule::new("!has(self.step) || self.step > 0.0").message("`step` must be greater than 0").field_path(".step")
)]
pub struct RealParameter {
    /// Least value.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub min: f64,
    /// Greatest value.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub max: f64,
    /// Values are `min` plus multiples of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e18))]
    pub step: Option<f64>,
    /// On which scale values are spread.
    #[serde(default)]
    pub scale: ScaleSpec,
}

/// A whole number between bounds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.min < self.max").message("`min` must be less than `max`").field_path(".min"),
    validation = Rule::new("self.scale != 'Log' || self.min > 0").message("`min` must be greater than 0 when `scale` is Log").field_path(".min")
)]
pub struct IntegerParameter {
    /// Least value.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub min: i64,
    /// Greatest value.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub max: i64,
    /// Values are `min` plus multiples of this.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub step: i64,
    /// On which scale values are spread.
    #[serde(default)]
    pub scale: ScaleSpec,
}

fn one() -> i64 {
    1
}

/// One of some values.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChoiceParameter {
    /// The values; each at most once.
    #[schemars(length(min = 1, max = 200), inner(length(max = 250)), extend("x-kubernetes-list-type" = "set"))]
    pub values: Vec<String>,
}

/// A number around a mean, cut at bounds where they are given.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.min) || !has(self.max) || self.min < self.max").message("`min` must be less than `max`").field_path(".min"),
    validation = Rule::new("self.deviation > 0.0").message("`deviation` must be greater than 0").field_path(".deviation"),
    validation = Rule::new("!has(self.step) || self.step > 0.0").message("`step` must be greater than 0").field_path(".step")
)]
pub struct NormalParameter {
    /// Mean of the values, or of their logarithms when `scale` is Log.
    #[schemars(range(min = -1e18, max = 1e18))]
    pub mean: f64,
    /// Standard deviation, on the same scale.
    #[schemars(range(min = 0.0, max = 1e18))]
    pub deviation: f64,
    /// Least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1e18, max = 1e18))]
    pub min: Option<f64>,
    /// Greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1e18, max = 1e18))]
    pub max: Option<f64>,
    /// Values are rounded to multiples of this, as hyperopt's `qnormal` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e18))]
    pub step: Option<f64>,
    /// Whether values or their logarithms are spread around the mean.
    #[serde(default)]
    pub scale: ScaleSpec,
}

/// A condition that a configuration must meet to be tried.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParameterConstraintSpec {
    /// CEL condition over the parameters. Ordinal parameters compare by the place of their value in `values`.
    #[schemars(length(min = 1, max = 2000))]
    pub expression: String,
    /// What must hold, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub message: Option<String>,
}
