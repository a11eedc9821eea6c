//! Takes in what the ledger knows and the status does not: another process ended an epoch, or the status was lost.

use super::cause::EpochCause;
use super::input::ChampionInput;
use super::ledger::Ledger;
use super::memory::{ClosedEpoch, Memory, REFUSALS_KEPT, Refusal};
use super::motion;
use super::plan::Plan;
use super::reason::Reason;
use std::collections::BTreeMap;

/// Takes in every epoch that ended since the last one that the status knows, and what was rejected meanwhile: another cluster's policy
/// may have owned the alias, or an older status was restored. A status that was lost is rebuilt the same way.
pub(super) fn plan(input: &ChampionInput<'_>, ledger: &Ledger) -> Plan {
    let mut memory = input.memory.clone();
    let lost = memory.is_new();
    let mut last = None;
    for (number, epoch) in ledger.epochs.range(memory.epoch + 1..) {
        let Some(entry) = &epoch.outcome else {
            break;
        };
        add_refusals(&mut memory, ledger, *number);
        let closed = ClosedEpoch {
            number: *number,
            claim: &epoch.claim,
            outcome: entry.outcome,
            at: entry.at,
        };
        last = Some((entry.outcome, motion::fold(&mut memory, &closed)));
    }
    add_refusals(&mut memory, ledger, u64::MAX);
    if lost {
        memory.reconsidered = reconsidered_before(&memory, &input.policy.reconsider);
    }
    match last {
        Some((outcome, conclusion)) => motion::folded(&memory, outcome, conclusion),
        None => {
            let message = "what the ledger says was refused is being taken in";
            Plan::say(&memory, Reason::Refused, message).and_again()
        }
    }
}

/// Whether the ledger tells of a rejection since the last epoch that was taken in, and the status does not. An older one was taken in
/// before the epochs that followed it, which may have lifted it. A status that is full has dropped others, of which nothing is known any
/// more.
pub(super) fn misses_refusals(memory: &Memory, ledger: &Ledger) -> bool {
    if memory.refused.len() >= REFUSALS_KEPT {
        return false;
    }
    let mut refusals = ledger.refusals.values();
    refusals.any(|refusal| refusal.epoch >= memory.epoch && !is_known(memory, refusal))
}

/// Whether the status tells of a refusal, or of a newer one of the same version on the same evidence.
fn is_known(memory: &Memory, refusal: &Refusal) -> bool {
    let same = |known: &Refusal| {
        (&known.version, &known.evidence) == (&refusal.version, &refusal.evidence)
            // A status keeps whole seconds.
            && known.at.whole_seconds() >= refusal.at.whole_seconds()
    };
    memory.refused.iter().any(same)
}

/// Takes in what the ledger says was refused after the last epoch that was taken in and before `number`.
fn add_refusals(memory: &mut Memory, ledger: &Ledger, number: u64) {
    let since = memory.epoch;
    let of_epoch = ledger
        .refusals
        .values()
        .filter(|refusal| (since..number).contains(&refusal.epoch));
    for refusal in of_epoch {
        if !is_known(memory, refusal) {
            memory.add_refusal(refusal.clone());
        }
    }
}

/// When the status was lost, an entry of `spec.reconsider` that was used before lifts only what had been refused when it was used.
fn reconsidered_before(memory: &Memory, reconsider: &[String]) -> BTreeMap<String, u64> {
    let by_podium = |cause| matches!(cause, EpochCause::Promotion | EpochCause::First);
    let used = |version: &String| {
        let of_version = memory
            .history
            .iter()
            .filter(|h| h.to.as_ref() == Some(version));
        let mut moved = of_version.filter(|h| h.outcome.moved() && by_podium(h.cause));
        moved.next().map(|h| h.epoch)
    };
    let lifted = |version: &String| {
        let used = used(version);
        let before = memory.refused.iter().filter(|refusal| {
            let earlier = used.is_none_or(|epoch| refusal.epoch < epoch);
            refusal.version == *version && !refusal.reconsidered && earlier
        });
        before.map(|refusal| refusal.number).max().unwrap_or(0)
    };
    reconsider
        .iter()
        .map(|version| (version.clone(), lifted(version)))
        .collect()
}
