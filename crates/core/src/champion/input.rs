//! What a plan for a champion is made from: the policy, what the registry and its ledger hold, and what is remembered.

use super::confirmation::Confirmation;
use super::ledger::Ledger;
use super::memory::Memory;
use crate::comparison::{Measurement, Statistics, Verdict};
use crate::evaluation::is_over;
use crate::looks::{Sketch, Spending};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a `ChampionPolicy` asks for, after conversion.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The registered model.
    pub model: String,
    /// Names of the aliases.
    pub aliases: Aliases,
    /// Nothing is scored, judged or moved while this is set, except to a pinned version.
    pub suspend: bool,
    /// Which versions want to be champion.
    pub challengers: Challengers,
    /// Whether a decision is carried out at once, waits for consent, or is only shown.
    pub mode: Mode,
    /// What happens while there has never been a champion.
    pub first_champion: FirstChampion,
    /// Different people who must approve where consent is needed; at least 1.
    pub approvals_required: u32,
    /// Seconds after which an approval no longer counts.
    pub approvals_expire_seconds: u64,
    /// Seconds between two changes of the champion.
    pub cooldown_seconds: u64,
    /// How two writers of one alias are kept apart.
    pub exclusivity: Exclusivity,
    /// What happens when somebody else moved the alias.
    pub on_external_change: OnExternalChange,
    /// The champion by declaration.
    pub pin: Option<Pin>,
    /// Versions whose refusals are lifted.
    pub reconsider: Vec<String>,
    /// The hold of an external change at this epoch or an earlier one is lifted.
    pub acknowledged_epoch: u64,
    /// How the use of one holdout is paid for.
    pub reuse: Reuse,
}

/// Names of the aliases that a policy reads and moves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aliases {
    /// In production.
    pub champion: String,
    /// Wants to be.
    pub challenger: String,
    /// Was before.
    pub previous: String,
}

impl Aliases {
    /// Those that a policy moves.
    #[must_use]
    pub fn written(&self) -> [&str; 2] {
        [&self.champion, &self.previous]
    }
}

/// Which versions want to be champion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Challengers {
    /// The version that carries the challenger alias.
    Alias,
    /// Versions by age and tags.
    Versions {
        /// Only versions that are newer than the champion.
        newer_than_champion: bool,
        /// Tags that a version must carry.
        tags: BTreeMap<String, String>,
    },
    /// Versions that certain searches registered; which ones is part of the input.
    TuningJobs,
}

/// How a decision is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// At once.
    Automatic,
    /// After consent.
    Approval,
    /// Not at all; it is only shown.
    DryRun,
}

/// What happens while there has never been a champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FirstChampion {
    /// The challenger becomes champion after consent.
    Approval,
    /// The challenger becomes champion.
    Automatic,
    /// Nothing, until somebody sets one.
    Never,
}

/// How two writers of one alias are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Exclusivity {
    /// By write-once claims in the ledger.
    Ledger,
    /// By looking right before and right after.
    Guarded,
}

/// What happens when the alias was moved by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnExternalChange {
    /// The move is adopted; what it moved away from is refused.
    Adopt,
    /// As `Adopt`, and nothing is promoted until the move is acknowledged.
    Hold,
    /// The alias is moved back once; a second move within an hour is adopted and held for an hour.
    Revert,
}

/// A champion by declaration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pin {
    /// The version.
    pub version: String,
    /// Why, for the history.
    pub reason: String,
}

/// How the use of one holdout is paid for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reuse {
    /// How the error is spread over looks.
    pub spending: Spending,
    /// The one-sided error of all looks together.
    pub total_error: f64,
    /// Looks that one holdout may be used for; `None` where the policy names no holdout.
    pub max_evaluations: Option<u32>,
}

impl Reuse {
    /// The one-sided error that the look with this ordinal may use.
    #[must_use]
    pub fn error_at(&self, ordinal: u32) -> f64 {
        let most = self.max_evaluations.unwrap_or(20);
        self.spending.allowed_error(self.total_error, ordinal, most)
    }
}

/// Who plans: the policy as an owner of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Uid of the policy object.
    pub uid: String,
    /// `CLUSTER/NAMESPACE/NAME`, the same for a policy that was deleted and applied again.
    pub owner: String,
    /// The epoch up to which the alias may be taken over from another owner.
    pub take_over: Option<u64>,
    /// The older policy of the same world that writes one of the same aliases, if there is one.
    pub older: Option<String>,
}

/// The registered model as the registry shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegistryView {
    /// Alias name to version.
    pub aliases: BTreeMap<String, String>,
    /// Versions that exist.
    pub versions: BTreeMap<String, VersionView>,
}

/// A version as the registry shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VersionView {
    /// URI of its files.
    pub source: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Why its files cannot be used yet; `None` when they can.
    pub unready: Option<String>,
}

/// Whether the predictions of a version on the holdout are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predictions {
    /// They are, or only the comparison itself can find out that they are not.
    Present,
    /// They are not, or they were made from other inputs; a scorer can make them from these.
    Missing {
        /// Digest of the scorer's inputs.
        inputs: String,
    },
    /// A scorer is making them; what keeps it from that for now, where that is known.
    InProgress(Option<String>),
    /// A scorer is to make them and cannot for now, which may last; nobody else waits for them.
    Awaited(WaitingFor),
    /// They cannot be had; why.
    Unavailable(String),
}

impl Predictions {
    /// Whether a scorer is at work on them, or will be.
    #[must_use]
    pub fn is_being_made(&self) -> bool {
        matches!(self, Self::InProgress(_) | Self::Awaited(_))
    }
}

/// A comparison of the champion with a challenger.
#[derive(Clone, Debug)]
pub struct EvaluationView<'a> {
    /// Its name.
    pub name: String,
    /// The champion that it compares with.
    pub champion: String,
    /// The challenger.
    pub challenger: String,
    /// How far it is.
    pub state: EvaluationState<'a>,
}

/// How far a comparison is.
#[derive(Clone, Debug)]
pub enum EvaluationState<'a> {
    /// An object of its name asks something else; the first field that differs.
    Foreign(String),
    /// Not finished; what it waits for, where that is known.
    Pending(Option<String>),
    /// Files that it needs are not there.
    Waiting(WaitingFor),
    /// It could not be made; why.
    Failed(String),
    /// The statistics are there.
    Compared(Box<ComparedEvidence<'a>>),
}

/// Files that a comparison needs and that are not there, or what keeps a scorer from making them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFor {
    /// Which, and how long they are waited for.
    pub words: String,
    /// When they should be looked for again; `None` while somebody looks.
    pub next: Option<Timestamp>,
    /// Whether something ended since that should have made them.
    pub made: bool,
}

impl WaitingFor {
    /// Whether they are to be looked for now.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next
            .is_some_and(|next| self.made || is_over(next, now))
    }
}

/// What a comparison found, and the verdict if it was taken.
#[derive(Clone, Debug)]
pub struct ComparedEvidence<'a> {
    /// Digest of the files that were read and of the settings.
    pub digest: String,
    /// Fingerprint of the holdout.
    pub holdout: String,
    /// The holdout's sketch.
    pub sketch: Sketch,
    /// What the rows say.
    pub statistics: &'a Statistics,
    /// Numbers for operational guardrails.
    pub measurements: Vec<Measurement>,
    /// When the files were last known to be what was read.
    pub seen: Timestamp,
    /// The last look at whether they still are, where one was asked for.
    pub confirmation: Option<Confirmation>,
    /// The verdict, once a look was paid for it or none was needed.
    pub judged: Option<Judged>,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The verdict, computed from the statistics and the error allowed.
    pub verdict: Verdict,
    /// The look it was taken at; `None` when nothing could be compared.
    pub look: Option<JudgedLook>,
    /// Lower end of the improvement of the primary metric.
    pub lower_bound: f64,
    /// The verdict in plain words, without what follows from it.
    pub sentence: String,
}

/// The look that a verdict was taken at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedLook {
    /// Its number in the ledger.
    pub number: u64,
    /// The one-sided error that was allowed.
    pub allowed_error: f64,
}

/// An `Approval` object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApprovalView {
    /// The decision it is about.
    pub decision: String,
    /// The evidence that was looked at.
    pub evidence: String,
    /// Whether it approves; otherwise it rejects.
    pub approves: bool,
    /// Who consents: who created the object where that is known, else who the object names.
    pub approver: String,
    /// Why, in that person's words.
    pub comment: Option<String>,
    /// When it was created.
    pub at: Timestamp,
}

/// Whether the champion may change now by `promotion.windows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowView {
    /// Whether a window is open, or there are none.
    pub open: bool,
    /// When that changes next, if it does.
    pub changes_at: Option<Timestamp>,
}

impl WindowView {
    /// No windows: always open.
    pub const ALWAYS: Self = Self {
        open: true,
        changes_at: None,
    };
}

/// Everything the plan of a policy depends on.
#[derive(Clone, Copy, Debug)]
pub struct ChampionInput<'a> {
    /// What is asked for.
    pub policy: &'a Policy,
    /// Who asks.
    pub identity: &'a Identity,
    /// Whether this process may write.
    pub leads: bool,
    /// The registered model; `None` when it does not exist yet.
    pub registry: Option<&'a RegistryView>,
    /// The ledger beside the model, or why it cannot be read.
    pub ledger: Result<&'a Ledger, &'a str>,
    /// Why nothing can be written to the ledger, where the registry's account has no right to.
    pub ledger_denied: Option<&'a str>,
    /// Whether the registry's account may not move the alias of the previous champion as it should be moved.
    pub previous_denied: bool,
    /// What the status remembers.
    pub memory: &'a Memory,
    /// Versions that the selected searches registered.
    pub registered: &'a [String],
    /// Predictions of the champion and of the challenger, by challenger.
    pub predictions: &'a BTreeMap<String, [Predictions; 2]>,
    /// Comparisons of the champion with challengers, on the evidence at hand.
    pub evaluations: &'a [EvaluationView<'a>],
    /// Consent and rejections.
    pub approvals: &'a [ApprovalView],
    /// Whether the champion may change now.
    pub window: WindowView,
}
