//! `Approval`: consent to one decision.

use crate::schema::{self, Conditions, LocalReference};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Consent to one decision, bound to the evidence it was taken on. Immutable.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "podium.dev",
    version = "v1alpha1",
    kind = "Approval",
    plural = "approvals",
    category = "podium",
    namespaced,
    derive = "PartialEq",
    status = "ApprovalStatus",
    doc = "Consent to one decision of a ChampionPolicy.",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".spec.verdict"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self == oldSelf").message("the spec of an Approval is immutable"))]
pub struct ApprovalSpec {
    /// The policy whose decision this is about.
    pub policy_ref: LocalReference,
    /// The decision, as `status.pendingDecision.id` of the policy shows it.
    #[serde(rename = "decisionID")]
    #[schemars(length(min = 1, max = 253))]
    pub decision_id: String,
    /// Digest of the evidence that was looked at.
    #[schemars(length(min = 1, max = 253))]
    pub evidence_digest: String,
    /// Yes or no.
    pub verdict: ApprovalVerdict,
    /// Who consents.
    #[schemars(length(min = 1, max = 253))]
    pub approver: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub comment: Option<String>,
}

/// Whether the consent can be used.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The generation that this status was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// The condition Ready, and Stalled where nothing is done with the object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
}

/// Yes or no.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalVerdict {
    /// Yes.
    Approve,
    /// No.
    Reject,
}
