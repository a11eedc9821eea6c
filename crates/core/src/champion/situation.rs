//! In which situation a policy is, before anything is decided. The first row that holds counts:
//!
//! | situation | holds when | what follows |
//! |---|---|---|
//! | no model | the registered model does not exist | wait |
//! | unreadable | the ledger cannot be read | blocked |
//! | set back | the ledger knows fewer epochs than the status | blocked |
//! | taken over | another policy owns the alias, and the annotation names the ledger's epoch | claim the ownership |
//! | owned by other | another policy owns the alias | blocked |
//! | unowned | nobody owns the alias | claim the ownership |
//! | rejected | somebody rejected the decision that waits for consent, or the one in flight | remember it |
//! | behind | the ledger knows of an outcome that the status does not | take it in |
//! | orphaned | the ledger holds a claim that the status does not know | end its epoch |
//! | moving | a move was begun | carry on with it |
//! | changed | the alias is not where it was recorded | record the move as an epoch |
//! | at rest | none of the above | decide |
//!
//! Without claims (`exclusivity: Guarded`) the rows about the ledger's epochs and owners do not hold.

use super::checks::{alias, other_owner};
use super::gates::{Gate, GateTable};
use super::input::{ChampionInput, Exclusivity};
use super::ledger::{
    Claim, EpochOutcome, Ledger, OutcomeEntry, Owner, claim_register, outcome_register,
    owner_register, refusal_register,
};
use super::memory::{ClosedEpoch, Memory, Pending, Refusal};
use super::motion;
use super::plan::{Action, Plan};
use super::proposal;
use super::reason::Reason;
use super::words;
use super::{EpochCause, InFlight};
use crate::time::Timestamp;
use std::collections::BTreeMap;

pub(super) enum Situation<'a> {
    NoModel,
    Unreadable(&'a str),
    SetBack { ledger: u64 },
    Unowned { number: u64 },
    OwnedByOther(String),
    Behind(&'a Ledger),
    Rejected { decision: Pending, by: &'a str },
    Orphaned { number: u64, claim: &'a Claim },
    Moving(&'a InFlight),
    Changed,
    AtRest,
}

impl<'a> Situation<'a> {
    pub(super) fn of(input: &ChampionInput<'a>) -> Self {
        let memory = input.memory;
        let ledger = match input.ledger {
            _ if input.registry.is_none() => return Self::NoModel,
            Err(why) => return Self::Unreadable(why),
            Ok(ledger) => ledger,
        };
        let claims = input.policy.exclusivity == Exclusivity::Ledger;
        if claims && memory.epoch > ledger.closed_epoch() {
            return Self::SetBack {
                ledger: ledger.closed_epoch(),
            };
        }
        if let Some(situation) = Self::by_owner(input, ledger) {
            return situation;
        }
        if let Some((decision, by)) = rejected(input) {
            return Self::Rejected { decision, by };
        }
        if claims && memory.epoch < ledger.closed_epoch() {
            return Self::Behind(ledger);
        }
        if claims && let Some((number, claim)) = orphan(memory, ledger) {
            return Self::Orphaned { number, claim };
        }
        match &memory.in_flight {
            Some(in_flight) => Self::Moving(in_flight),
            None if alias(input) != memory.champion.as_ref().map(|c| &c.version) => Self::Changed,
            None => Self::AtRest,
        }
    }

    fn by_owner(input: &ChampionInput<'a>, ledger: &Ledger) -> Option<Self> {
        let claims = input.policy.exclusivity == Exclusivity::Ledger;
        let number = ledger
            .owners
            .keys()
            .next_back()
            .map_or(1, |number| number + 1);
        let named = input.identity.older.is_none()
            && claims
            && input.identity.take_over == Some(ledger.last_epoch())
            && ledger.owner().and_then(|owner| owner.taken_over) != input.identity.take_over;
        match other_owner(input) {
            Some(_) if named => Some(Self::Unowned { number }),
            Some(other) => Some(Self::OwnedByOther(other)),
            None => (claims && ledger.owners.is_empty()).then_some(Self::Unowned { number }),
        }
    }

    pub(super) fn plan(self, table: &GateTable, input: &ChampionInput<'_>, now: Timestamp) -> Plan {
        let memory = input.memory;
        match self {
            Self::NoModel => {
                let message = format!(
                    "the registered model {} does not exist yet",
                    input.policy.model
                );
                Plan::say(memory, Reason::ModelNotFound, message)
            }
            Self::Unreadable(why) => {
                let message = format!("{why}; nothing is judged or moved until it can be read.");
                Plan::say(memory, Reason::LedgerUnreadable, message)
            }
            Self::SetBack { ledger } => {
                let message = format!(
                    "the ledger of {} ends with epoch {ledger}, but this policy has seen epoch {}: the registry was set back. \
                     Nothing is judged or moved; restore the registry, or delete and apply the policy to go on from the ledger.",
                    input.policy.model, memory.epoch
                );
                Plan::say(memory, Reason::RegistrySetBack, message)
            }
            Self::OwnedByOther(owner) => {
                let message = words::owned_by(&input.policy.aliases.champion, &owner);
                Plan::say(memory, Reason::AliasOwnedByOther, message)
            }
            Self::Unowned { number } => claim_ownership(input, number, now),
            Self::Behind(ledger) => catch_up(input, ledger),
            Self::Rejected { decision, by } => remember_rejection(input, &decision, by, now),
            Self::Orphaned { number, claim } => {
                let outcome = orphan_outcome(input, claim);
                motion::close_epoch(input, number, claim, outcome, now)
            }
            Self::Moving(in_flight) => motion::carry_on(table, input, in_flight, now),
            Self::Changed => record_change(input, now),
            Self::AtRest => at_rest(table, input, now),
        }
    }
}

fn claim_ownership(input: &ChampionInput<'_>, number: u64, now: Timestamp) -> Plan {
    let alias = &input.policy.aliases.champion;
    let owner = Owner {
        policy: input.identity.owner.clone(),
        at: now,
        taken_over: input.identity.take_over.filter(|_| number > 1),
    };
    let message = format!("the ownership of the alias `{alias}` is being claimed");
    Plan::say(input.memory, Reason::ClaimingOwnership, message)
        .with_actions(vec![Action::Write(owner_register(alias, number, &owner))])
}

/// Takes in every epoch that ended since the last one that the status knows. A status that was lost is rebuilt the same way.
fn catch_up(input: &ChampionInput<'_>, ledger: &Ledger) -> Plan {
    let mut memory = input.memory.clone();
    let lost = memory.is_new();
    let mut last = None;
    for (number, epoch) in ledger.epochs.range(memory.epoch + 1..) {
        let Some(entry) = &epoch.outcome else {
            break;
        };
        let closed = ClosedEpoch {
            number: *number,
            claim: &epoch.claim,
            outcome: entry.outcome,
            at: entry.at,
        };
        last = Some((entry.outcome, motion::fold(&mut memory, &closed)));
    }
    if lost {
        for refusal in ledger.refusals.values() {
            memory.add_refusal(refusal.clone());
        }
        memory.reconsidered = reconsidered_before(&memory, &input.policy.reconsider);
    }
    let (outcome, conclusion) = last.unwrap_or((EpochOutcome::Promoted, None));
    motion::folded(&memory, outcome, conclusion)
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
    let lifted = |version: &String| match used(version) {
        None => memory.refusals,
        Some(epoch) => {
            let before = memory
                .refused
                .iter()
                .filter(|refusal| refusal.epoch < epoch);
            before.map(|refusal| refusal.number).max().unwrap_or(0)
        }
    };
    reconsider
        .iter()
        .map(|version| (version.clone(), lifted(version)))
        .collect()
}

/// The memory as the policy of today sees it: with what each entry of `spec.reconsider` lifted when it was first seen, and with epochs
/// counted by the ledger once `exclusivity` asks for it.
pub(super) fn refreshed(input: &ChampionInput<'_>) -> Memory {
    let mut memory = input.memory.clone();
    let guarded = input.policy.exclusivity == Exclusivity::Guarded;
    if memory.guarded
        && !guarded
        && let Ok(ledger) = input.ledger
    {
        // Epochs that were counted without claims are none of the ledger's.
        memory.epoch = ledger.closed_epoch();
        memory.in_flight = None;
    }
    memory.guarded = guarded;
    let wanted = &input.policy.reconsider;
    memory
        .reconsidered
        .retain(|version, _| wanted.contains(version));
    for version in wanted {
        let refusals = memory.refusals;
        memory
            .reconsidered
            .entry(version.clone())
            .or_insert(refusals);
    }
    memory
}

/// A decision that waits for consent, or is in flight, and that somebody rejected; who. Each is remembered once.
fn rejected<'a>(input: &ChampionInput<'a>) -> Option<(Pending, &'a str)> {
    let memory = input.memory;
    let in_flight = memory.in_flight.as_ref().map(InFlight::pending);
    [memory.pending.clone(), in_flight]
        .into_iter()
        .flatten()
        .filter(|decision| {
            let mut known = memory.refused.iter();
            known.all(|refusal| refusal.decision.as_ref() != Some(&decision.decision))
        })
        .find_map(|decision| {
            let evidence = decision
                .evidence
                .as_ref()
                .map_or("none", |e| e.digest.as_str());
            let by = input.approvals.iter().find(|approval| {
                !approval.approves
                    && approval.decision == decision.decision
                    && approval.evidence == evidence
            })?;
            Some((decision.clone(), by.approver.as_str()))
        })
}

/// A rejection stands for the version on this evidence, also after its decision has become void.
fn remember_rejection(
    input: &ChampionInput<'_>,
    decision: &Pending,
    by: &str,
    now: Timestamp,
) -> Plan {
    let mut memory = input.memory.clone();
    let refusal = Refusal {
        number: 0,
        version: decision.to.clone(),
        evidence: decision.evidence.as_ref().map(|e| e.holdout.clone()),
        epoch: memory.epoch,
        by: by.to_string(),
        decision: Some(decision.decision.clone()),
        at: now,
    };
    memory.add_refusal(refusal.clone());
    let number = input.ledger.map_or(1, |ledger| {
        ledger
            .refusals
            .keys()
            .next_back()
            .map_or(1, |last| last + 1)
    });
    let register = refusal_register(&input.policy.aliases.champion, number, &refusal);
    let message = format!("{} was rejected by {by}", words::version(&decision.to));
    Plan::say(&memory, Reason::Rejected, message).with_actions(vec![Action::Write(register)])
}

/// The epoch that was claimed and that the status does not know: it was lost, or its process died.
fn orphan<'a>(memory: &Memory, ledger: &'a Ledger) -> Option<(u64, &'a Claim)> {
    let (number, epoch) = ledger.open_epoch()?;
    let own = memory.in_flight.as_ref();
    let known =
        own.is_some_and(|move_| move_.epoch == number && move_.decision == epoch.claim.decision);
    (!known).then_some((number, &epoch.claim))
}

/// How an epoch ends of which only its claim is known: the status was lost, or its process died.
fn orphan_outcome(input: &ChampionInput<'_>, claim: &Claim) -> EpochOutcome {
    let found = alias(input);
    match claim.cause {
        EpochCause::External => EpochOutcome::External,
        _ if found == claim.to.as_ref() => EpochOutcome::Promoted,
        _ if found == claim.from.as_ref() => EpochOutcome::Void(Gate::Authority),
        _ => EpochOutcome::AbortedExternal,
    }
}

/// Records a move by somebody else as an epoch.
fn record_change(input: &ChampionInput<'_>, now: Timestamp) -> Plan {
    let memory = input.memory;
    let number = memory.epoch + 1;
    let claim = Claim {
        decision: String::new(),
        from: memory.champion.as_ref().map(|c| c.version.clone()),
        to: alias(input).cloned(),
        cause: EpochCause::External,
        evidence: None,
        at: now,
    };
    if input.policy.exclusivity == Exclusivity::Guarded {
        return motion::close_epoch(input, number, &claim, EpochOutcome::External, now);
    }
    let alias = &input.policy.aliases.champion;
    let message = format!("a move of the alias `{alias}` by somebody else is being recorded");
    let entry = OutcomeEntry {
        outcome: EpochOutcome::External,
        at: now,
    };
    let registers = [
        claim_register(alias, number, &claim),
        outcome_register(alias, number, &entry),
    ];
    Plan::say(memory, Reason::ChampionAdopted, message)
        .with_actions(registers.map(Action::Write).to_vec())
}

fn at_rest(table: &GateTable, input: &ChampionInput<'_>, now: Timestamp) -> Plan {
    let mut plan = proposal::decide(table, input, now);
    if let Some(action) = fallback_alias(input) {
        plan.actions.push(action);
        plan.again = true;
    }
    plan
}

/// The alias of the previous champion follows the record; a dry run moves nothing.
fn fallback_alias(input: &ChampionInput<'_>) -> Option<Action> {
    let (policy, registry) = (input.policy, input.registry?);
    let alias = &policy.aliases.previous;
    let found = registry.aliases.get(alias);
    let existing = |version: &&String| registry.versions.contains_key(*version);
    let wanted = input.memory.previous.as_ref().filter(existing);
    let names_champion = found.is_some() && found == registry.aliases.get(&policy.aliases.champion);
    let differs = match wanted {
        Some(_) => found != wanted,
        // An alias that this policy did not set is left alone, unless it names the champion.
        None => names_champion && input.memory.epoch > 1,
    };
    let foreign = input
        .ledger
        .is_ok_and(|ledger| ledger.others.contains(alias));
    let may = !foreign && policy.mode != super::Mode::DryRun && !policy.suspend && input.leads;
    (differs && may).then(|| Action::MoveAlias {
        alias: alias.clone(),
        from: found.cloned(),
        to: wanted.cloned(),
        in_flight: false,
    })
}
