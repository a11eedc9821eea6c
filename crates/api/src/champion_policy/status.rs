//! The status of a policy; written by Podium only.

use crate::schema::{self, Conditions, StatusTime};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where a policy is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChampionPolicyStatus {
    /// The generation that this status was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// In one word; derived from the conditions, may gain values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub phase: Option<String>,
    /// Ready, RegistryReachable, ChampionPresent, AliasInSync, ExclusiveOwner, EvidenceComplete, PromotionAllowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// The champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<ChampionStatus>,
    /// The version that wants to be champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub challenger: Option<String>,
    /// The champion before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub previous: Option<String>,
    /// A decision that waits for consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_decision: Option<PendingDecision>,
    /// A move of the alias that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlightStatus>,
    /// Challengers that were refused, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub rejected: Vec<RejectedStatus>,
    /// How often the holdout has been looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout_use: Option<HoldoutUse>,
    /// Changes of the champion, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<ChampionStatus>,
    /// The last comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_evaluation: Option<LastEvaluation>,
}

/// A champion.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChampionStatus {
    /// Its version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// Since when.
    #[schemars(schema_with = "schema::time")]
    pub since: StatusTime,
    /// The decision that made it champion.
    #[serde(
        rename = "decisionID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 253))]
    pub decision_id: Option<String>,
    /// How it became champion: Promoted, First, Pinned or Adopted.
    #[schemars(length(max = 63))]
    pub origin: String,
}

/// A decision that waits for consent.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingDecision {
    /// What an Approval names.
    #[schemars(length(max = 253))]
    pub id: String,
    /// Who would become champion.
    #[schemars(length(max = 63))]
    pub version: String,
    /// Digest of the evidence, which an Approval names too.
    #[schemars(length(max = 253))]
    pub evidence_digest: String,
}

/// A move of the alias that was begun.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlightStatus {
    /// The decision.
    #[serde(rename = "decisionID")]
    #[schemars(length(max = 253))]
    pub decision_id: String,
    /// The champion before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from: Option<String>,
    /// The champion after.
    #[schemars(length(max = 63))]
    pub to: String,
    /// How it becomes champion.
    #[schemars(length(max = 63))]
    pub origin: String,
    /// The evidence.
    #[schemars(length(max = 600))]
    pub evidence: String,
}

/// A challenger that was refused.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedStatus {
    /// Its version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// Why.
    #[schemars(length(max = 4096))]
    pub reason: String,
}

/// How often the holdout has been looked at.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldoutUse {
    /// Its name.
    #[schemars(length(max = 250))]
    pub name: String,
    /// Comparisons made on it.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub evaluations: i32,
}

/// The last comparison.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastEvaluation {
    /// Name of the Evaluation.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its verdict.
    #[schemars(length(max = 63))]
    pub verdict: String,
    /// What was decided, in one sentence.
    #[schemars(length(max = 4096))]
    pub sentence: String,
}
