//! What a policy's status remembers, and how a finished epoch changes it.

use super::cause::{Cause, EpochCause};
use super::input::Exclusivity;
use super::ledger::{Claim, EpochOutcome};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entries of the history that are kept.
pub const HISTORY_KEPT: usize = 20;
/// Refusals that are kept; the newest ones.
pub const REFUSALS_KEPT: usize = 200;

/// What the policy's status remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The last epoch whose outcome is known.
    pub epoch: u64,
    /// The champion as last recorded.
    pub champion: Option<ChampionRecord>,
    /// The champion to fall back on: the last one before that was not refused.
    pub previous: Option<String>,
    /// Versions that are not proposed again, newest first.
    pub refused: Vec<Refusal>,
    /// How many refusals there have been; each has its number.
    pub refusals: u64,
    /// How many refusals there had been when each version of `spec.reconsider` was first seen: those are lifted.
    pub reconsidered: BTreeMap<String, u64>,
    /// The last move by somebody else.
    pub external: Option<ExternalChange>,
    /// When a move by somebody else was last undone.
    pub last_revert: Option<Timestamp>,
    /// A move that was begun.
    pub in_flight: Option<InFlight>,
    /// A decision that waits for consent.
    pub pending: Option<Pending>,
    /// Changes of the champion and attempts at one, newest first.
    pub history: Vec<HistoryEntry>,
    /// From which inputs the scorer last made the predictions of each version.
    pub scored: BTreeMap<String, String>,
    /// Whether the epochs were counted without the ledger (`exclusivity: Guarded`).
    pub guarded: bool,
}

/// The champion as last recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChampionRecord {
    /// Its version.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
    /// The epoch in which it became champion; 0 where nobody remembers it.
    pub epoch: u64,
    /// How it became champion.
    pub origin: Origin,
    /// The decision that made it champion.
    pub decision: Option<String>,
    /// Fingerprint of the holdout that it was promoted on.
    pub evidence: Option<String>,
}

/// How a champion became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// By a comparison.
    Promoted,
    /// As the first one.
    First,
    /// By `spec.pin`.
    Pinned,
    /// By undoing somebody else's move.
    Reverted,
    /// By somebody else.
    Adopted,
}

impl From<EpochCause> for Origin {
    fn from(cause: EpochCause) -> Self {
        match cause {
            EpochCause::Promotion => Self::Promoted,
            EpochCause::First => Self::First,
            EpochCause::Pin => Self::Pinned,
            EpochCause::Revert => Self::Reverted,
            EpochCause::External => Self::Adopted,
        }
    }
}

/// A version that is not proposed again on the evidence that it was refused on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Its number among the refusals of the alias, from 1.
    pub number: u64,
    /// The version.
    pub version: String,
    /// Fingerprint of the holdout; without one the refusal holds on every holdout.
    pub evidence: Option<String>,
    /// The epoch in which it was refused.
    pub epoch: u64,
    /// By whom or what.
    pub by: String,
    /// The decision that was rejected; `None` where the alias was moved away from the version.
    pub decision: Option<String>,
    /// Why, in the words of who rejected it; the ledger does not keep them.
    pub comment: Option<String>,
    /// Whether `spec.reconsider` named the version then: such an entry does not lift it.
    pub reconsidered: bool,
    /// When.
    pub at: Timestamp,
}

/// A decision that waits for consent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// What an `Approval` names.
    pub decision: String,
    /// Who would become champion.
    pub to: String,
    /// What was judged; `None` where nothing was.
    pub evidence: Option<Evidence>,
}

/// A move of the alias by somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalChange {
    /// Its epoch.
    pub epoch: u64,
    /// Where the alias pointed.
    pub from: Option<String>,
    /// Where it points.
    pub to: Option<String>,
    /// When it was seen.
    pub at: Timestamp,
}

/// How far a move of the champion alias is. Each phase is stored before what follows it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MovePhase {
    /// It was decided.
    Intended,
    /// Its epoch was claimed.
    Claimed,
    /// The registry confirmed the move.
    Applied,
    /// The alias was read back.
    Verified,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Digest of the files and settings.
    pub digest: String,
    /// Fingerprint of the holdout.
    pub holdout: String,
}

/// A move of the champion alias that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InFlight {
    /// The decision.
    pub decision: String,
    /// The epoch that it changes the alias in.
    pub epoch: u64,
    /// Why the alias moves.
    pub cause: Cause,
    /// How far it is.
    pub phase: MovePhase,
    /// Where the alias pointed when it was decided.
    pub from: Option<String>,
    /// Where it will point.
    pub to: String,
    /// What was judged; `None` where nothing was.
    pub evidence: Option<Evidence>,
    /// Why, in plain words, without what became of it.
    pub sentence: String,
    /// When it was decided.
    pub since: Timestamp,
    /// How many times the registry was asked to move the alias.
    pub attempts: u32,
}

impl InFlight {
    /// The decision as consent and rejections name it.
    #[must_use]
    pub fn pending(&self) -> Pending {
        Pending {
            decision: self.decision.clone(),
            to: self.to.clone(),
            evidence: self.evidence.clone(),
        }
    }

    /// The claim of its epoch.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            decision: self.decision.clone(),
            from: self.from.clone(),
            to: Some(self.to.clone()),
            cause: self.cause.into(),
            evidence: self.evidence.as_ref().map(|e| e.holdout.clone()),
            at: self.since,
        }
    }
}

/// A change of the champion, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HistoryEntry {
    /// Its epoch.
    pub epoch: u64,
    /// Why.
    pub cause: EpochCause,
    /// How it ended.
    pub outcome: EpochOutcome,
    /// Who or what moved the alias.
    pub actor: String,
    /// The champion before.
    pub from: Option<String>,
    /// The champion after.
    pub to: Option<String>,
    /// Fingerprint of the holdout that was decided on.
    pub evidence: Option<String>,
    /// What happened.
    pub sentence: String,
    /// When.
    pub at: Timestamp,
}

/// An epoch that has an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedEpoch<'a> {
    /// Its number.
    pub number: u64,
    /// What was claimed.
    pub claim: &'a Claim,
    /// How it ended.
    pub outcome: EpochOutcome,
    /// When.
    pub at: Timestamp,
}

impl Memory {
    /// Whether nothing was remembered yet: the policy is new, or its status was lost.
    #[must_use]
    pub fn is_new(&self) -> bool {
        let nothing_moved = self.epoch == 0 && self.history.is_empty() && self.in_flight.is_none();
        nothing_moved && self.refusals == 0
    }

    /// Whether the alias ever pointed at a champion that this policy knew of.
    #[must_use]
    pub fn had_champion(&self) -> bool {
        self.champion.is_some() || self.external.is_some() || !self.lineage().is_empty()
    }

    /// Takes an epoch in that has ended: the one place where champion, refusals and history change.
    pub fn fold(&mut self, epoch: &ClosedEpoch<'_>) {
        let own = self
            .in_flight
            .take_if(|move_| move_.epoch <= epoch.number)
            .filter(|move_| move_.decision == epoch.claim.decision);
        // A move that was begun with a claim may end without: numbers that were used meanwhile are not used a second time.
        self.epoch = self.epoch.max(epoch.number);
        let claim = epoch.claim;
        match epoch.outcome {
            // Whoever moved the alias away right after it was moved makes the next epoch.
            EpochOutcome::Promoted | EpochOutcome::Contended => self.fold_move(epoch),
            EpochOutcome::External => self.fold_external(epoch),
            EpochOutcome::AbortedExternal | EpochOutcome::Void(_) => {}
        }
        let entry = HistoryEntry {
            epoch: epoch.number,
            cause: claim.cause,
            outcome: epoch.outcome,
            actor: claim.cause.actor().to_string(),
            from: claim.from.clone(),
            to: claim.to.clone(),
            evidence: claim.evidence.clone(),
            sentence: super::words::of_epoch(epoch, own.as_ref()),
            at: epoch.at,
        };
        self.history.insert(0, entry);
        self.history.truncate(HISTORY_KEPT);
        self.previous = self.fallback();
    }

    fn fold_move(&mut self, epoch: &ClosedEpoch<'_>) {
        let claim = epoch.claim;
        if claim.cause == EpochCause::Pin {
            self.lift_refusals(claim.to.as_deref());
        }
        if matches!(claim.cause, EpochCause::Pin | EpochCause::Revert) {
            let evidence = self.evidence_of(claim.from.as_deref());
            self.refuse(claim.from.clone(), evidence, epoch, claim.cause.actor());
        }
        if claim.cause == EpochCause::Revert {
            self.last_revert = Some(epoch.at);
            // The move that is undone had refused the version that is champion again.
            let undone = self.external.as_ref().map(|e| e.epoch);
            self.refused
                .retain(|r| Some(&r.version) != claim.to.as_ref() || Some(r.epoch) != undone);
        }
        self.enthrone(epoch);
    }

    fn fold_external(&mut self, epoch: &ClosedEpoch<'_>) {
        let claim = epoch.claim;
        self.lift_refusals(claim.to.as_deref());
        let evidence = self.evidence_of(claim.from.as_deref());
        self.refuse(claim.from.clone(), evidence, epoch, "somebody else");
        self.external = Some(ExternalChange {
            epoch: epoch.number,
            from: claim.from.clone(),
            to: claim.to.clone(),
            at: epoch.at,
        });
        self.enthrone(epoch);
    }

    fn enthrone(&mut self, epoch: &ClosedEpoch<'_>) {
        let claim = epoch.claim;
        self.champion = claim.to.clone().map(|version| ChampionRecord {
            evidence: claim
                .evidence
                .clone()
                .or_else(|| self.evidence_of(Some(&version))),
            version,
            since: epoch.at,
            epoch: epoch.number,
            origin: claim.cause.into(),
            decision: Some(claim.decision.clone()).filter(|d| !d.is_empty()),
        });
    }

    /// Fingerprint of the holdout on which a version last became champion.
    fn evidence_of(&self, version: Option<&str>) -> Option<String> {
        let version = version?;
        let champion = self.champion.as_ref().filter(|c| c.version == version);
        champion.and_then(|c| c.evidence.clone()).or_else(|| {
            let reigned = self
                .history
                .iter()
                .filter(|h| h.to.as_deref() == Some(version));
            reigned
                .filter(|h| h.outcome.moved())
                .find_map(|h| h.evidence.clone())
        })
    }

    fn refuse(
        &mut self,
        version: Option<String>,
        evidence: Option<String>,
        epoch: &ClosedEpoch<'_>,
        by: &str,
    ) {
        if let Some(version) = version {
            self.add_refusal(Refusal {
                number: 0,
                version,
                evidence,
                epoch: epoch.number,
                by: by.to_string(),
                decision: None,
                comment: None,
                reconsidered: false,
                at: epoch.at,
            });
        }
    }

    /// Somebody made this version champion, and so does not refuse it any more.
    fn lift_refusals(&mut self, version: Option<&str>) {
        self.refused
            .retain(|refusal| Some(refusal.version.as_str()) != version);
    }

    /// How epochs are counted.
    #[must_use]
    pub fn exclusivity(&self) -> Exclusivity {
        match self.guarded {
            true => Exclusivity::Guarded,
            false => Exclusivity::Ledger,
        }
    }

    /// Whether the alias was moved since this policy first saw it.
    #[must_use]
    pub fn has_seen_a_move(&self) -> bool {
        let moves = self.history.iter().filter(|entry| entry.outcome.moved());
        moves.count() > 1
    }

    /// Whether `spec.reconsider` lifted a refusal.
    #[must_use]
    pub fn is_lifted(&self, refusal: &Refusal) -> bool {
        let lifted = self.reconsidered.get(&refusal.version);
        lifted.is_some_and(|lifted| refusal.number <= *lifted)
    }

    /// The last move by somebody else, if the alias was not moved since.
    #[must_use]
    pub fn last_move_by_others(&self) -> Option<&ExternalChange> {
        let last = self.history.iter().find(|entry| entry.outcome.moved());
        // Epochs with claims and without are numbered each by itself, so the number alone says little.
        let is_last = |change: &&ExternalChange| {
            last.is_none_or(|last| last.epoch == change.epoch && last.cause == EpochCause::External)
        };
        self.external.as_ref().filter(is_last)
    }

    /// Adds a refusal in front of the others and numbers it; a newer one of the same version and evidence replaces an older one.
    pub fn add_refusal(&mut self, mut refusal: Refusal) {
        self.refusals += 1;
        refusal.number = self.refusals;
        self.refused
            .retain(|r| (&r.version, &r.evidence) != (&refusal.version, &refusal.evidence));
        self.refused.insert(0, refusal);
        self.refused.truncate(REFUSALS_KEPT);
    }

    /// Versions that were champion, newest first.
    fn lineage(&self) -> Vec<&String> {
        let reigned = self.history.iter().filter(|entry| entry.outcome.moved());
        reigned
            .flat_map(|entry| [entry.to.as_ref(), entry.from.as_ref()])
            .flatten()
            .collect()
    }

    /// The newest earlier champion that was not refused.
    fn fallback(&self) -> Option<String> {
        let current = self.champion.as_ref().map(|c| &c.version);
        self.lineage()
            .into_iter()
            .find(|version| {
                Some(*version) != current && self.refused.iter().all(|r| &r.version != *version)
            })
            .cloned()
    }
}
