//! Decides who is champion of a registered model, and plans how the alias moves.
//!
//! One epoch is one change of one alias. A change has a cause, passes the gates of one table ([`gates::GATES`]) when it is decided and
//! again right before it is carried out, and goes through the phases of [`memory::MovePhase`]. Every step is taken from what the registry,
//! its ledger and the stored record say now, so a crash between any two steps is healed by planning again. No evidence is never a
//! reason to promote.

mod catch_up;
pub mod cause;
mod checks;
pub mod conditions;
mod confirmation;
mod freshness;
pub mod gates;
mod input;
pub mod ledger;
mod look;
pub mod memory;
mod motion;
mod pipeline;
mod plan;
mod proposal;
mod reason;
mod situation;
pub mod words;

pub use cause::{Cause, EpochCause, Move};
pub use confirmation::{
    Confirmation, ConfirmationAnswer, ConfirmationStep, MAX_EVIDENCE_AGE_SECONDS, confirmation_step,
};
pub use freshness::{Freshness, RECENT_SECONDS};
pub use gates::{GATES, Gate, GateTable};
pub use input::*;
pub use ledger::{EpochOutcome, Ledger};
pub use memory::{
    ChampionRecord, Evidence, ExternalChange, HistoryEntry, InFlight, Memory, MovePhase, Origin,
    Pending, Refusal,
};
pub use plan::{Action, Conclusion, LookTaken, PendingDecision, Plan};
pub use proposal::challengers;
pub use reason::{Phase, Reason};

use crate::time::Timestamp;

/// Plans the next step of a policy. Pure and total.
pub fn plan(input: &ChampionInput<'_>, now: Timestamp) -> Plan {
    plan_by(&GATES, input, now)
}

/// Plans by another table of gates; for tests that show that each entry of the table matters.
pub fn plan_by(table: &GateTable, input: &ChampionInput<'_>, now: Timestamp) -> Plan {
    let memory = situation::refreshed(input);
    // A change of `exclusivity` counts from the next move on.
    let policy = Policy {
        exclusivity: memory.exclusivity(),
        ..input.policy.clone()
    };
    let input = ChampionInput {
        policy: &policy,
        memory: &memory,
        ..*input
    };
    let mut plan = situation::Situation::of(&input).plan(table, &input, now);
    plan.memory.pending = plan.pending.as_ref().map(|pending| Pending {
        decision: pending.id.clone(),
        to: pending.wanted.to.clone(),
        evidence: pending.wanted.evidence.clone(),
    });
    plan
}
