//! `ChampionPolicy`: who may become champion of one registered model.

mod evidence;
mod notification;
mod promotion;
mod retraining;
mod status;
mod test_settings;

pub use evidence::*;
pub use notification::*;
pub use promotion::*;
pub use retraining::*;
pub use status::*;
pub use test_settings::*;

use crate::schema::LocalReference;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who may become champion of one registered model, on which evidence, and how the move is made.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "podium.dev",
    version = "v1alpha1",
    kind = "ChampionPolicy",
    plural = "championpolicies",
    shortname = "chp",
    category = "podium",
    namespaced,
    derive = "PartialEq",
    doc = "Who may become champion of one registered model, on which evidence, and how the move is made.",
    status = "ChampionPolicyStatus",
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model"),
    printcolumn(
        name = "Champion",
        type_ = "string",
        json_path = ".status.champion.version"
    ),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.champion.since"),
    printcolumn(
        name = "Challenger",
        type_ = "string",
        json_path = ".status.challenger"
    ),
    printcolumn(
        name = "Verdict",
        type_ = "string",
        json_path = ".status.lastEvaluation.verdict"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Sentence",
        type_ = "string",
        json_path = ".status.lastEvaluation.sentence"
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
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
pub struct ChampionPolicySpec {
    /// While this is true nothing is scored, judged or moved, except to a pinned version, and no search is started.
    #[serde(default)]
    pub suspend: bool,
    /// The registry. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("`registryRef` is immutable"))]
    pub registry_ref: LocalReference,
    /// Name of the registered model. Immutable.
    #[schemars(length(min = 1, max = 250))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("`model` is immutable"))]
    pub model: String,
    /// Names of the aliases.
    #[serde(default)]
    pub aliases: AliasNames,
    /// Seconds between two looks at the registry.
    #[serde(default = "minute")]
    #[schemars(range(min = 5, max = 86_400))]
    pub poll_seconds: i64,
    /// Which versions want to be champion.
    #[serde(default)]
    pub challengers: Challengers,
    /// Searches on a schedule and by request, whose winners become challengers: in a cluster, and in a directory with
    /// `podium run --watch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain: Option<RetrainSpec>,
    /// What versions are compared on.
    pub evidence: EvidenceSpec,
    /// How they are compared.
    #[serde(default)]
    pub test: TestSpec,
    /// How a decision is carried out.
    #[serde(default)]
    pub promotion: PromotionSpec,
    /// The champion by declaration. It wins over everything but `promotion.mode: DryRun`, a version that does not exist, and an
    /// alias that another policy owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinSpec>,
    /// Versions that may be proposed again although they were refused. It lifts the refusals that exist when a version is added
    /// here, not later ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "versions")]
    pub reconsider: Vec<String>,
    /// Lifts the hold that an external change left at this epoch, or an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub acknowledged_epoch: Option<i64>,
    /// Where the champion is published, for deployments that follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<PublishSpec>,
    /// Who is told of decisions, over HTTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["url"]))]
    pub notify: Vec<NotifySpec>,
    /// Where the report of each comparison is written: a page for people, and a document for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<ReportsSpec>,
}

fn versions(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 20,
        "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 63 },
    })
}

fn minute() -> i64 {
    60
}

/// Names of the aliases.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.champion != self.challenger && self.champion != self.previous && self.challenger != self.previous").message("`champion`, `challenger` and `previous` must be three different aliases"),
    validation = Rule::new("[self.champion, self.challenger, self.previous].all(a, a != 'latest' && !a.matches('^v[0-9]+$'))").message("an alias must be neither `latest` nor look like a version such as `v7`: the registry keeps these names"),
    validation = Rule::new("self.champion == oldSelf.champion").message("`champion` is immutable").field_path(".champion")
)]
pub struct AliasNames {
    /// In production. Immutable.
    #[serde(default = "champion")]
    #[schemars(length(min = 1, max = 250), regex(pattern = "^[a-z0-9_-]+$"))]
    pub champion: String,
    /// Wants to be.
    #[serde(default = "challenger")]
    #[schemars(length(min = 1, max = 250), regex(pattern = "^[a-z0-9_-]+$"))]
    pub challenger: String,
    /// Was before.
    #[serde(default = "previous_champion")]
    #[schemars(length(min = 1, max = 250), regex(pattern = "^[a-z0-9_-]+$"))]
    pub previous: String,
}

impl Default for AliasNames {
    fn default() -> Self {
        Self {
            champion: champion(),
            challenger: challenger(),
            previous: previous_champion(),
        }
    }
}

fn champion() -> String {
    "champion".to_string()
}

fn challenger() -> String {
    "challenger".to_string()
}

fn previous_champion() -> String {
    "previous-champion".to_string()
}

/// Which versions want to be champion.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(has(self.alias) ? 1 : 0) + (has(self.versions) ? 1 : 0) + (has(self.tuningJobs) ? 1 : 0) == 1").message("exactly one of `alias`, `versions` and `tuningJobs` must be set"))]
pub struct Challengers {
    /// Whoever carries `aliases.challenger`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<ChallengerAlias>,
    /// Versions by age and tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<ChallengerVersions>,
    /// Winners of searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning_jobs: Option<ChallengerTuningJobs>,
}

impl Default for Challengers {
    fn default() -> Self {
        Self {
            alias: Some(ChallengerAlias {}),
            versions: None,
            tuning_jobs: None,
        }
    }
}

/// Whoever carries `aliases.challenger`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChallengerAlias {}

/// Versions by age and tags.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChallengerVersions {
    /// Only versions that are newer than the champion.
    #[serde(default = "crate::schema::yes")]
    pub newer_than_champion: bool,
    /// Tags that a version must carry.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::texts_by_name")]
    pub tags: BTreeMap<String, String>,
}

/// Winners of searches.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChallengerTuningJobs {
    /// Which searches.
    pub selector: LabelSelectorSpec,
}

/// Which objects, by label.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelectorSpec {
    /// Labels that must be there.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::texts_by_name")]
    pub match_labels: BTreeMap<String, String>,
}
