//! How a decision is carried out.

use crate::schema::LocalReference;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How a decision is carried out.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromotionSpec {
    /// At once, after consent, or not at all.
    #[serde(default)]
    pub mode: ModeSpec,
    /// Consent, where it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalPolicy>,
    /// Seconds between two changes of the champion.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub cooldown_seconds: i64,
    /// When the champion may change; without any: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<WindowSpec>,
    /// How two writers of one alias are kept apart.
    #[serde(default)]
    pub exclusivity: Exclusivity,
    /// What happens when somebody else moved the alias.
    #[serde(default)]
    pub on_external_change: OnExternalChangeSpec,
    /// What happens while there is no champion.
    #[serde(default)]
    pub first_champion: FirstChampionSpec,
}

/// How a decision is carried out.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum ModeSpec {
    /// At once.
    #[default]
    Automatic,
    /// After consent.
    Approval,
    /// Not at all; it is only shown.
    DryRun,
}

/// Consent, where it is needed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// How many different people must approve.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub required: i32,
    /// Seconds after which an approval no longer counts. A rejection always counts.
    #[serde(default = "three_days")]
    #[schemars(range(min = 60, max = 31_536_000))]
    pub expire_seconds: i64,
}

fn one() -> i32 {
    1
}

fn three_days() -> i64 {
    259_200
}

/// A time in which the champion may change.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowSpec {
    /// When it begins, as in a CronJob.
    #[schemars(length(min = 1, max = 250))]
    pub schedule: String,
    /// How long it lasts.
    #[schemars(range(min = 60, max = 604_800))]
    pub duration_seconds: i64,
    /// In which time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub time_zone: Option<String>,
}

/// How two writers of one alias are kept apart.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum Exclusivity {
    /// By write-once claims beside the model: one owner of an alias, one decision an epoch.
    #[default]
    Ledger,
    /// By looking right before and right after; nothing is claimed. For one cluster only.
    Guarded,
}

/// What happens when somebody else moved the alias.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum OnExternalChangeSpec {
    /// The move is adopted; what it moved away from is refused.
    #[default]
    Adopt,
    /// As `Adopt`, and nothing is promoted until `acknowledgedEpoch` names the epoch of the move.
    Hold,
    /// The alias is moved back once; a second move within an hour is adopted and held for an hour.
    Revert,
}

/// What happens while there is no champion.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum FirstChampionSpec {
    /// The challenger becomes champion after consent.
    #[default]
    Approval,
    /// The challenger becomes champion.
    Automatic,
    /// Nothing, until somebody sets one.
    Never,
}

/// The champion by declaration.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PinSpec {
    /// The version.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// Why.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// Where the champion is published.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishSpec {
    /// A ConfigMap of the same namespace. Podium makes it, and deletes it while there is no champion; one that is somebody else's is left
    /// alone.
    pub config_map: LocalReference,
}

/// Where the report of each comparison is written, by whoever compares.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportsSpec {
    /// A folder, such as `s3://evaluation/fraud/reports`: below it lie `POLICY/EVALUATION.html` and `POLICY/EVALUATION.json`. In a cluster
    /// the pod that compares writes them, to the store of `evidence.store` and with its account; `podium run` takes a path or a `file:` URI.
    #[schemars(length(min = 1, max = 1000))]
    pub uri: String,
}
