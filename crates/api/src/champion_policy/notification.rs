//! Who is told of decisions, and who has not heard of which.

use crate::schema::{self, LocalReference, StatusTime};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Who is told of decisions.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotifySpec {
    /// Where CloudEvents are sent to by POST. It begins with `https://` unless whoever runs the operator named its host.
    #[schemars(length(min = 1, max = 2000), regex(pattern = "^https?://"))]
    pub url: String,
    /// Secret of the same namespace whose `key` signs what is sent: `whsec_` and base64, or the bytes themselves; at least 24 bytes. Without
    /// it nothing is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// What is told. Default: all of it.
    #[serde(default = "all_kinds")]
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub on: Vec<NotificationKind>,
}

fn all_kinds() -> Vec<NotificationKind> {
    NotificationKind::ALL.to_vec()
}

/// What receivers are told of.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotificationKind {
    /// A version became champion that had not been one in the epochs of the history.
    Promoted,
    /// A challenger, or the version of a pin or a revert, does not become champion.
    Held,
    /// A decision waits for consent.
    AwaitingApproval,
    /// An earlier champion is champion again, or the alias was removed.
    RolledBack,
}

impl NotificationKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Promoted,
        Self::Held,
        Self::AwaitingApproval,
        Self::RolledBack,
    ];
}

/// Something that receivers are told of.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationStatus {
    /// Its id, the same whenever it is sent: the decision's id where there is one, and the kind.
    #[schemars(length(max = 63))]
    pub id: String,
    /// Promoted, Held, AwaitingApproval or RolledBack; may gain values.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// When it happened.
    #[schemars(schema_with = "schema::time")]
    pub time: StatusTime,
    /// The decision, as an Approval names it; absent where nothing was decided by Podium.
    #[serde(
        rename = "decisionID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 253))]
    pub decision_id: Option<String>,
    /// The epoch that ended, or the last one before something that is held or waits.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub epoch: i64,
    /// Promotion, First, Pin, Revert or External; absent where nothing is to move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub cause: Option<String>,
    /// The champion before, or the champion that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from: Option<String>,
    /// The champion after, or who would become it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub to: Option<String>,
    /// Verdict of the comparison behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub verdict: Option<String>,
    /// Digest of the evidence that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub evidence_digest: Option<String>,
    /// What happened, in one sentence.
    #[schemars(length(max = 1024))]
    pub sentence: String,
    /// The receivers that have not heard it. Without any: all have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub undelivered: Vec<UndeliveredStatus>,
}

/// A receiver that has not heard something.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndeliveredStatus {
    /// Digest of its address, which may hold what is nobody's business.
    #[schemars(length(max = 63))]
    pub receiver: String,
    /// How often it was tried.
    #[schemars(range(min = 0, max = 1000))]
    pub attempts: i32,
    /// When it is tried again; absent once it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub next_time: Option<StatusTime>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
