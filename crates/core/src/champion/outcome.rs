//! What a plan says: actions, memory, and where the policy is.

use super::decision::Decision;
use super::input::{InFlight, Memory};
use serde::{Deserialize, Serialize};

/// One thing to do; each is idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the predictions of a version on the holdout.
    Score {
        /// The version.
        version: String,
        /// Its files.
        source: String,
    },
    /// Create the evaluation of a pair.
    Evaluate {
        /// The champion.
        champion: String,
        /// The challenger.
        challenger: String,
    },
    /// Point an alias at a version, if it still points where it did.
    MoveAlias {
        /// The alias.
        alias: String,
        /// Where it points now.
        from: Option<String>,
        /// Where it must point.
        to: String,
    },
    /// Write who decided, and on which evidence, on the version before it is promoted.
    TagVersion {
        /// The version.
        version: String,
        /// The move that it is part of.
        change: InFlight,
    },
}

/// Where a policy is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing is known yet.
    Pending,
    /// Nothing to decide.
    Watching,
    /// Evidence is being made or compared.
    Evaluating,
    /// A decision waits for consent.
    AwaitingApproval,
    /// The alias is being moved.
    Promoting,
    /// The challenger was compared and stays challenger.
    Held,
    /// `spec.suspend` is set.
    Suspended,
    /// Held until somebody changes something.
    Blocked,
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
    /// From the closed list of reasons.
    pub reason: &'static str,
    /// In one sentence.
    pub message: String,
    /// Where a decision was taken: what it is.
    pub decision: Option<Decision>,
    /// Whether planning again at once has something to do.
    pub again: bool,
}

impl Plan {
    pub(super) fn say(
        memory: &Memory,
        phase: Phase,
        reason: &'static str,
        message: String,
    ) -> Self {
        Self {
            actions: Vec::new(),
            memory: memory.clone(),
            phase,
            reason,
            message,
            decision: None,
            again: false,
        }
    }

    pub(super) fn with_actions(mut self, actions: Vec<Action>) -> Self {
        self.actions = actions;
        self
    }
}
