//! What must hold before a search is started: one table of gates by occasion.

use super::input::{Concurrency, Input, Occasion};
use crate::time::Timestamp;

/// Something that must hold before a search is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// The policy is not suspended.
    PolicyRuns,
    /// The schedule is not suspended.
    ScheduleRuns,
    /// The starting deadline has not passed.
    InTime,
    /// A search can be made of the template.
    Template,
    /// No other search is in the way.
    Room,
}

impl Gate {
    /// The name, as the documentation has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PolicyRuns => "PolicyRuns",
            Self::ScheduleRuns => "ScheduleRuns",
            Self::InTime => "InTime",
            Self::Template => "Template",
            Self::Room => "Room",
        }
    }

    fn is_open(self, seen: &Seen<'_>, occasion: &Occasion) -> bool {
        let retraining = seen.input.retraining;
        match self {
            Self::PolicyRuns => !retraining.policy_suspended,
            Self::ScheduleRuns => !retraining.schedule_suspended,
            Self::InTime => match (retraining.starting_deadline_seconds, occasion) {
                (Some(seconds), Occasion::Schedule(time)) => seen.now <= time.plus_seconds(seconds),
                (None, _) | (_, Occasion::RunNow(_)) => true,
            },
            Self::Template => seen.input.unusable.is_none(),
            Self::Room => retraining.concurrency != Concurrency::Forbid || !seen.others,
        }
    }
}

/// What becomes of an occasion while a gate is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits. A later time of the schedule takes the place of an earlier one.
    Waits,
    /// Nothing is started for it any more.
    GivenUp,
}

impl Fate {
    /// The name, as the documentation has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::GivenUp => "given up",
        }
    }
}

/// One row of the table: which occasions ask a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The gate.
    pub gate: Gate,
    /// Whether a time of the schedule asks it, and whether somebody who asks for a search does.
    pub asked: [bool; 2],
    /// What becomes of an occasion while it is closed.
    pub closed: Fate,
    /// What must hold, as the documentation says it.
    pub must_hold: &'static str,
}

const fn row(gate: Gate, asked: [bool; 2], closed: Fate, must_hold: &'static str) -> Row {
    Row {
        gate,
        asked,
        closed,
        must_hold,
    }
}

const X: bool = true;
const O: bool = false;

/// The table. Of several gates that are closed the first one counts. `docs/retraining.md` shows it.
#[rustfmt::skip]
pub const GATES: [Row; 5] = [
    //                       Schedule, RunNow
    row(Gate::PolicyRuns,   [X, X], Fate::Waits,   "the policy's `suspend` is not set"),
    row(Gate::ScheduleRuns, [X, O], Fate::Waits,   "`retrain.suspend` is not set"),
    row(Gate::InTime,       [X, O], Fate::GivenUp, "no more than `startingDeadlineSeconds` have passed since the time"),
    row(Gate::Template,     [X, X], Fate::Waits,   "a search can be made of `tuningJobTemplate`"),
    row(Gate::Room,         [X, X], Fate::Waits,   "no search of the policy goes on, or `concurrencyPolicy` is not Forbid"),
];

/// What gates are asked about.
pub(super) struct Seen<'a> {
    pub(super) input: &'a Input<'a>,
    /// Whether another search of the policy goes on.
    pub(super) others: bool,
    pub(super) now: Timestamp,
}

/// The first closed gate among those that an occasion asks.
pub(super) fn closed_for(seen: &Seen<'_>, occasion: &Occasion) -> Option<&'static Row> {
    let column = match occasion {
        Occasion::Schedule(_) => 0,
        Occasion::RunNow(_) => 1,
    };
    GATES
        .iter()
        .find(|row| row.asked[column] && !row.gate.is_open(seen, occasion))
}
