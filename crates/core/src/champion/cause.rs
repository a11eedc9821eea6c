//! Why the champion alias moves, and the identity of a decision.

use super::input::Exclusivity;
use super::memory::Evidence;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why Podium moves the champion alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// A challenger was shown to be better.
    Promotion,
    /// There has never been a champion.
    First,
    /// `spec.pin` names the version.
    Pin,
    /// Somebody else moved the alias, and `onExternalChange` is `Revert`.
    Revert,
}

impl Cause {
    /// All causes, in the order of the table of gates.
    pub const ALL: [Self; 4] = [Self::Promotion, Self::First, Self::Pin, Self::Revert];
}

/// Why the champion alias moved in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EpochCause {
    /// See [`Cause::Promotion`].
    Promotion,
    /// See [`Cause::First`].
    First,
    /// See [`Cause::Pin`].
    Pin,
    /// See [`Cause::Revert`].
    Revert,
    /// Somebody else moved it; this is only recorded.
    External,
}

impl From<Cause> for EpochCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Promotion => Self::Promotion,
            Cause::First => Self::First,
            Cause::Pin => Self::Pin,
            Cause::Revert => Self::Revert,
        }
    }
}

impl EpochCause {
    /// Who or what moves the alias for this cause, as the history names it.
    #[must_use]
    pub fn actor(self) -> &'static str {
        match self {
            Self::Promotion | Self::First => "the policy",
            Self::Pin => "`spec.pin`",
            Self::Revert => "`onExternalChange: Revert`",
            Self::External => "somebody else",
        }
    }
}

/// A move that is wanted: what the gates are asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// Why.
    pub cause: Cause,
    /// Where the alias points.
    pub from: Option<String>,
    /// Where it would point.
    pub to: String,
    /// What was judged; `None` where nothing is judged.
    pub evidence: Option<Evidence>,
    /// The epoch that it would be.
    pub epoch: u64,
    /// How epochs are counted: with claims and without each by itself.
    pub exclusivity: Exclusivity,
    /// How many refusals there had been when `spec.reconsider` lifted those of the target; a rejection before does not concern this
    /// decision.
    pub reconsidered: Option<u64>,
    /// The decision, where the move was begun: it stays what it was.
    pub begun: Option<String>,
}

impl Move {
    /// The digest that consent names: of the evidence, or `none`.
    #[must_use]
    pub fn evidence_digest(&self) -> &str {
        self.evidence.as_ref().map_or("none", |e| e.digest.as_str())
    }

    /// Identity of the decision: of the policy, the epoch, both versions, the cause and the evidence with its settings.
    /// Whatever changes one of them makes another decision, to which earlier consent does not apply.
    #[must_use]
    pub fn decision(&self, uid: &str) -> String {
        if let Some(begun) = &self.begun {
            return begun.clone();
        }
        let epoch = format!("{:?} {}", self.exclusivity, self.epoch);
        let cause = format!("{:?}", self.cause);
        let from = self.from.as_deref().unwrap_or("");
        let reconsidered = self
            .reconsidered
            .map(|refusals| refusals.to_string())
            .unwrap_or_default();
        let evidence = self.evidence_digest();
        digest(&[uid, &epoch, &cause, from, &self.to, evidence, &reconsidered])
    }
}

/// The first 80 bits of the SHA-256 of length-prefixed texts, in hexadecimal.
#[must_use]
pub fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let bytes = hash.finalize();
    bytes
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
