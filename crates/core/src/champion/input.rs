//! What a plan for a champion is made from: the policy, what the registry holds, and what is remembered.

use super::{Approvals, FirstChampion, Mode, Outcome};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a `ChampionPolicy` asks for, after conversion.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The registered model.
    pub model: String,
    /// Names of the aliases.
    pub aliases: Aliases,
    /// Nothing is judged or moved while this is set.
    pub suspend: bool,
    /// Whether a decision is carried out at once, waits for consent, or is only shown.
    pub mode: Mode,
    /// What happens while there is no champion.
    pub first_champion: FirstChampion,
    /// Approvals needed where consent is needed.
    pub approvals_required: u32,
    /// Seconds between two changes of the champion.
    pub cooldown_seconds: u64,
    /// What happens when somebody else moved the alias.
    pub on_external_change: OnExternalChange,
    /// The champion by declaration; wins over everything but `suspend`.
    pub pin: Option<Pin>,
    /// Evaluations that one holdout may be used for.
    pub max_evaluations: Option<u32>,
    /// What the rows of the holdout are called in a sentence, such as `transactions`.
    pub rows_noun: String,
}

/// Names of the aliases that a policy reads and moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aliases {
    /// In production.
    pub champion: String,
    /// Wants to be.
    pub challenger: String,
    /// Was before.
    pub previous: String,
}

/// A champion set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The version.
    pub version: String,
    /// Why, for the history.
    pub reason: String,
}

/// What happens when the alias was moved by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnExternalChange {
    /// Take it over as the champion and remember who is.
    Adopt,
    /// Leave everything as it is until somebody decides.
    Hold,
    /// Move the alias back.
    Revert,
}

/// The registered model as the registry shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryView {
    /// Alias name to version.
    pub aliases: BTreeMap<String, String>,
    /// Versions that exist, with the URI of their files.
    pub versions: BTreeMap<String, String>,
}

/// How a champion became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// By an evaluation.
    Promoted,
    /// As the first one.
    First,
    /// By `spec.pin`.
    Pinned,
    /// By somebody else.
    Adopted,
}

/// The champion as last recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChampionRecord {
    /// Its version.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
    /// How.
    pub origin: Origin,
    /// The decision that made it champion.
    pub decision: Option<String>,
}

/// A move of the champion alias that was begun; written before anything is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Name of the evaluation, or of another cause, that decided it.
    pub decision: String,
    /// The champion before; `None` for the first one.
    pub from: Option<String>,
    /// The champion after.
    pub to: String,
    /// How the new champion becomes one.
    pub origin: Origin,
    /// The evidence that was judged.
    pub evidence: String,
}

/// What the policy's status remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The champion as last recorded.
    pub champion: Option<ChampionRecord>,
    /// The one before.
    pub previous: Option<String>,
    /// A move that was begun.
    pub in_flight: Option<InFlight>,
    /// Evaluations made on this holdout so far.
    pub holdout_evaluations: u32,
}

/// Whether the predictions of a version on the holdout are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predictions {
    /// They are, with this digest.
    Present {
        /// `sha256:…` of the file.
        digest: String,
    },
    /// They are not; a scorer can make them.
    Missing,
    /// A scorer is making them.
    InProgress,
    /// They cannot be had; why.
    Unavailable(String),
}

/// An evaluation of the champion and the challenger at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationView {
    /// Its name.
    pub name: String,
    /// Digest of the evidence it judges.
    pub evidence: String,
    /// How far it is.
    pub state: EvaluationState,
}

/// How far an evaluation is.
#[derive(Clone, Debug, PartialEq)]
pub enum EvaluationState {
    /// Not finished.
    Pending,
    /// Finished with a verdict.
    Finished {
        /// The verdict.
        outcome: Outcome,
        /// The verdict in plain words, without what follows from it.
        sentence: String,
    },
    /// It could not be made; why.
    Failed(String),
}

/// Everything the plan of a policy depends on.
#[derive(Debug)]
pub struct ChampionInput<'a> {
    /// What is asked for.
    pub policy: &'a Policy,
    /// The registered model; `None` when it does not exist yet.
    pub registry: Option<&'a RegistryView>,
    /// What the status remembers.
    pub memory: &'a Memory,
    /// Predictions by version.
    pub predictions: &'a BTreeMap<String, Predictions>,
    /// The evaluation of the pair at hand on the evidence at hand, if it exists.
    pub evaluation: Option<&'a EvaluationView>,
    /// Consent given to that evaluation.
    pub approvals: Approvals,
}
