//! What must hold besides the evidence before a champion changes: an ordered list of small checks.

use super::ChampionInput;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How a decision is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// At once.
    Automatic,
    /// After consent.
    Approval,
    /// Not at all; it is only shown.
    DryRun,
}

/// What happens while there is no champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirstChampion {
    /// The challenger becomes champion after consent.
    Approval,
    /// The challenger becomes champion.
    Automatic,
    /// Nothing, until somebody sets one.
    Never,
}

/// Consent to one decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// How many approve.
    pub given: u32,
    /// Whether anybody rejects.
    pub rejected: bool,
}

/// A gate that is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// From the closed list of reasons.
    pub reason: &'static str,
    /// One sentence that follows the finding.
    pub why: String,
    /// Whether consent would open it.
    pub awaits_approval: bool,
}

type Gate = fn(&ChampionInput<'_>, Timestamp) -> Option<Closed>;

/// The policy is this list, in this order.
const GATES: [Gate; 4] = [not_rejected, not_a_dry_run, cooled_down, approved];

/// The first gate that is closed.
#[must_use]
pub fn first_closed(input: &ChampionInput<'_>, now: Timestamp) -> Option<Closed> {
    GATES.iter().find_map(|gate| gate(input, now))
}

fn closed(reason: &'static str, why: String) -> Option<Closed> {
    Some(Closed {
        reason,
        why,
        awaits_approval: false,
    })
}

fn not_rejected(input: &ChampionInput<'_>, _now: Timestamp) -> Option<Closed> {
    input
        .approvals
        .rejected
        .then(|| closed("Rejected", "Held: an approver rejected it.".to_string()))
        .flatten()
}

fn not_a_dry_run(input: &ChampionInput<'_>, _now: Timestamp) -> Option<Closed> {
    (input.policy.mode == Mode::DryRun)
        .then(|| closed("DryRun", "Held: `promotion.mode` is DryRun.".to_string()))
        .flatten()
}

fn cooled_down(input: &ChampionInput<'_>, now: Timestamp) -> Option<Closed> {
    let seconds = input.policy.cooldown_seconds;
    let since = input.memory.champion.as_ref()?.since;
    (seconds > 0 && now < since.plus_seconds(seconds))
        .then(|| {
            let why = format!(
                "Held: the champion changed less than `promotion.cooldownSeconds` {seconds} ago."
            );
            closed("CoolingDown", why)
        })
        .flatten()
}

fn approved(input: &ChampionInput<'_>, _now: Timestamp) -> Option<Closed> {
    let required = input.policy.approvals_required.max(1);
    (input.policy.mode == Mode::Approval && input.approvals.given < required).then(|| Closed {
        reason: "ApprovalNeeded",
        why: format!(
            "It becomes champion once {required} approve; {} did so far.",
            input.approvals.given
        ),
        awaits_approval: true,
    })
}
