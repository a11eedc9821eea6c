//! What a plan says: actions, memory, and where the policy is.

use super::cause::Move;
use super::gates::{Closed, Gate};
use super::ledger::Register;
use super::memory::{InFlight, Memory};
use super::reason::{Phase, Reason};
use crate::time::Timestamp;
use std::hash::{Hash, Hasher};

/// One thing to do; each is idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make the predictions of a version on the holdout.
    Score {
        /// The version.
        version: String,
        /// The challenger for whose comparison they are made.
        challenger: String,
        /// The version's files.
        source: String,
        /// Digest of the scorer's inputs.
        inputs: String,
    },
    /// Create the comparison of a pair.
    Evaluate {
        /// The champion.
        champion: String,
        /// The challenger.
        challenger: String,
    },
    /// Look again for the files that a comparison lacks.
    LookAgain {
        /// Name of the comparison.
        evaluation: String,
    },
    /// Take the verdict of a comparison at a look that was claimed, or without one where nothing could be compared.
    Judge {
        /// Name of the comparison.
        evaluation: String,
        /// The look.
        look: Option<LookTaken>,
    },
    /// Have somebody look whether the files of a comparison are still what was read.
    Confirm {
        /// Name of the comparison.
        evaluation: String,
        /// Which look it is, from 1.
        number: u32,
    },
    /// Write a register of the ledger once. If it holds another text, the actions that follow are not carried out.
    Write(Register),
    /// Point an alias at a version, or remove it, if it still points where it did.
    MoveAlias {
        /// The alias.
        alias: String,
        /// Where it points now.
        from: Option<String>,
        /// Where it must point; `None` removes it.
        to: Option<String>,
        /// Whether this is the move in flight, whose phase becomes `Applied` once the registry has confirmed it.
        in_flight: bool,
    },
    /// Write who decided, and on which evidence, on the version before it is promoted.
    TagVersion {
        /// The version.
        version: String,
        /// The move that it is part of.
        change: InFlight,
    },
}

/// The look that a verdict is taken at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LookTaken {
    /// Its number in the ledger.
    pub number: u64,
    /// Which look it is at holdouts that share most rows.
    pub ordinal: u32,
    /// Number of challengers that share it.
    pub challengers: u32,
    /// The one-sided error that this verdict is allowed; never NaN.
    pub allowed_error: f64,
}

impl Eq for LookTaken {}

impl Hash for LookTaken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.number, self.ordinal, self.challengers).hash(state);
        self.allowed_error.to_bits().hash(state);
    }
}

/// A decision that waits for consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDecision {
    /// What an `Approval` names.
    pub id: String,
    /// What it would do.
    pub wanted: Move,
    /// Why, and what is missing.
    pub sentence: String,
    /// Different people who approved so far.
    pub approvals: u32,
    /// Different people who must approve.
    pub required: u32,
}

/// What was concluded from a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// The challenger that it is about.
    pub challenger: String,
    /// Name of the comparison; `None` where the one that was last concluded from goes on.
    pub evaluation: Option<String>,
    /// The verdict in one word, where there is a comparison.
    pub verdict: Option<&'static str>,
    /// What was found and what became of it.
    pub sentence: String,
}

/// What to do, what to remember, what to say.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In the order in which they must be carried out, after `memory` is stored.
    pub actions: Vec<Action>,
    /// To be stored before any action.
    pub memory: Memory,
    /// Where the policy is.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// The same in one sentence.
    pub message: String,
    /// A decision that waits for consent.
    pub pending: Option<PendingDecision>,
    /// What was concluded from a comparison.
    pub conclusion: Option<Conclusion>,
    /// A gate that holds back a move.
    pub closed: Option<Gate>,
    /// The version that is held back, where the message is about one.
    pub held_back: Option<String>,
    /// Whether planning again at once has something to do.
    pub again: bool,
    /// When to plan again without any event.
    pub look_again_at: Option<Timestamp>,
}

impl Plan {
    pub(super) fn say(memory: &Memory, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            actions: Vec::new(),
            memory: memory.clone(),
            phase: reason.phase(),
            reason,
            message: message.into(),
            pending: None,
            conclusion: None,
            closed: None,
            held_back: None,
            again: false,
            look_again_at: None,
        }
    }

    pub(super) fn with_actions(mut self, actions: Vec<Action>) -> Self {
        self.again |= !actions.is_empty();
        self.actions = actions;
        self
    }

    pub(super) fn and_again(mut self) -> Self {
        self.again = true;
        self
    }

    /// A move that a gate holds back, with what is done so that it opens. Nothing more is to be planned before that has had its effect.
    pub(super) fn closed_by(memory: &Memory, closed: &Closed, message: String) -> Self {
        let mut plan = Self::say(memory, closed.reason, message);
        plan.closed = Some(closed.gate);
        plan.look_again_at = closed.opens_at;
        plan.actions.extend(closed.awaits.action().cloned());
        plan
    }
}
