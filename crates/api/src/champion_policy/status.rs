//! The status of a policy; written by Podium only.

use super::{NotificationStatus, RetrainStatus};
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
    /// Ready, RegistryReachable, ChampionPresent, AliasInSync, ExclusiveOwner, EvidenceComplete, PromotionAllowed; Published, Notified and
    /// RetrainReady where these are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// The champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<ChampionStatus>,
    /// The version that wants to be champion; of several the one that is proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub challenger: Option<String>,
    /// The champion before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub previous: Option<String>,
    /// Number of the last change of the champion alias that is known, or of the last attempt at one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub epoch: Option<i64>,
    /// Whether epochs are counted without the ledger, since `promotion.exclusivity` is Guarded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
    /// A decision that waits for consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_decision: Option<PendingDecisionStatus>,
    /// A move of the alias that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlightStatus>,
    /// The last move of the alias by somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_change: Option<ExternalChangeStatus>,
    /// When Podium last undid a move by somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_revert_time: Option<StatusTime>,
    /// Versions that are not proposed again on the evidence that they were refused on, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "atomic"))]
    pub refused: Vec<RefusedStatus>,
    /// How many refusals there have been.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub refusals: i64,
    /// How many refusals there had been when each entry of `spec.reconsider` was first seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub reconsidered: Vec<ReconsideredStatus>,
    /// How often holdouts have been looked at, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub holdouts: Vec<HoldoutStatus>,
    /// From which inputs the scorer last made the predictions of a version, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub scored: Vec<ScoredStatus>,
    /// The owner of the alias, as the ledger says it: cluster, namespace and name of a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub owner: Option<String>,
    /// Changes of the champion and attempts at one, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<HistoryStatus>,
    /// The last comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_evaluation: Option<LastEvaluation>,
    /// What receivers were told, or are still to be told, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub notifications: Vec<NotificationStatus>,
    /// Where the retraining loop is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain: Option<RetrainStatus>,
}

// The type is what serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &i64) -> bool {
    *number == 0
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
    /// The epoch in which it became champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub epoch: Option<i64>,
    /// The decision that made it champion.
    #[serde(
        rename = "decisionID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 253))]
    pub decision_id: Option<String>,
    /// How it became champion: Promoted, First, Pinned, Reverted or Adopted.
    #[schemars(length(max = 63))]
    pub origin: String,
    /// Fingerprint of the holdout that it was promoted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub evidence_digest: Option<String>,
}

/// A decision that waits for consent.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingDecisionStatus {
    /// What an Approval names.
    #[schemars(length(max = 253))]
    pub id: String,
    /// Promotion or First.
    #[schemars(length(max = 63))]
    pub cause: String,
    /// The champion that would be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from: Option<String>,
    /// Who would become champion.
    #[schemars(length(max = 63))]
    pub to: String,
    /// Digest of the evidence, which an Approval names too; `none` for a first champion.
    #[schemars(length(max = 253))]
    pub evidence_digest: String,
    /// Fingerprint of the holdout in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub holdout: Option<String>,
    /// What it would do, and why.
    #[schemars(length(max = 4096))]
    pub sentence: String,
    /// Different people who approved so far.
    #[schemars(range(min = 0, max = 1000))]
    pub approvals: i32,
    /// Different people who must approve.
    #[schemars(range(min = 1, max = 1000))]
    pub required: i32,
}

/// A move of the alias that was begun.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlightStatus {
    /// The decision.
    #[serde(rename = "decisionID")]
    #[schemars(length(max = 253))]
    pub decision_id: String,
    /// Its epoch.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub epoch: i64,
    /// Promotion, First, Pin or Revert.
    #[schemars(length(max = 63))]
    pub cause: String,
    /// Intended, Claimed, Applied or Verified.
    #[schemars(length(max = 63))]
    pub phase: String,
    /// The champion before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from: Option<String>,
    /// The champion after.
    #[schemars(length(max = 63))]
    pub to: String,
    /// Digest of the evidence that was judged; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub evidence_digest: Option<String>,
    /// Fingerprint of the holdout in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub holdout: Option<String>,
    /// Why the champion changes.
    #[schemars(length(max = 4096))]
    pub sentence: String,
    /// When it was decided.
    #[schemars(schema_with = "schema::time")]
    pub since: StatusTime,
    /// How many times the alias was asked to move.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub attempts: i32,
}

/// A move of the alias by somebody else.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalChangeStatus {
    /// Its epoch.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub epoch: i64,
    /// Where the alias pointed before; absent when it did not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from: Option<String>,
    /// Where it points since; absent when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub to: Option<String>,
    /// When it was seen.
    #[schemars(schema_with = "schema::time")]
    pub time: StatusTime,
}

/// A version that is not proposed again on the same evidence.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedStatus {
    /// Its number among the refusals, from 1.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub number: i64,
    /// The version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// Fingerprint of the holdout that it had won on; absent where none is known, and then the refusal holds on every holdout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub evidence_digest: Option<String>,
    /// The epoch in which it was refused.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub epoch: i64,
    /// By whom or what.
    #[schemars(length(max = 253))]
    pub by: String,
    /// Why, in the words of who rejected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub comment: Option<String>,
    /// Whether `spec.reconsider` named the version then; such an entry does not lift it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconsidered: bool,
    /// The decision that was rejected; absent where the alias was moved away from the version.
    #[serde(
        rename = "decisionID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 253))]
    pub decision_id: Option<String>,
    /// When.
    #[schemars(schema_with = "schema::time")]
    pub when: StatusTime,
}

/// What an entry of `spec.reconsider` lifts.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconsideredStatus {
    /// The version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// Refusals up to this number are lifted.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub refusals: i64,
}

/// How often a holdout has been looked at.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldoutStatus {
    /// Its name, where the policy names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250))]
    pub name: Option<String>,
    /// Digest of its ids, labels, weights and clusters.
    #[schemars(length(max = 63))]
    pub fingerprint: String,
    /// Looks at it and at holdouts that share most of its rows, by all policies of the model.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub looks: i32,
    /// The error that these looks have used up together, one-sided.
    #[schemars(range(min = 0, max = 1000))]
    pub spent: f64,
}

/// From which inputs the scorer last made the predictions of a version.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoredStatus {
    /// The version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// Digest of the scorer's template, of the files that it names and of the model.
    #[schemars(length(max = 63))]
    pub inputs: String,
}

/// A change of the champion, or an attempt at one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryStatus {
    /// Its epoch.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub epoch: i64,
    /// Promotion, First, Pin, Revert or External.
    #[schemars(length(max = 63))]
    pub cause: String,
    /// How it ended: Promoted, External, AbortedExternal, Contended, or Void with the gate that was closed.
    #[schemars(length(max = 63))]
    pub outcome: String,
    /// Who or what moved the alias.
    #[schemars(length(max = 253))]
    pub actor: String,
    /// The champion before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from: Option<String>,
    /// The champion after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub to: Option<String>,
    /// Fingerprint of the holdout that was decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub evidence: Option<String>,
    /// What happened, in one sentence.
    #[schemars(length(max = 4096))]
    pub sentence: String,
    /// When.
    #[schemars(schema_with = "schema::time")]
    pub time: StatusTime,
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
