//! In which situation a policy is, before anything is decided. The first row that holds counts:
//!
//! | situation | holds when | what follows |
//! |---|---|---|
//! | no model | the registered model does not exist, and the status knows of no champion | wait |
//! | unreadable | the ledger cannot be read | blocked |
//! | set back | the ledger lacks an epoch that ended, or that a move in flight has claimed, as the status says; or the model is gone | blocked |
//! | taken over | another policy owns an alias that this one writes, and the annotation names the ledger's epoch, or only the alias of the previous champion is still with whoever owned the champion's before | claim the ownership |
//! | behind the owner | the same, and the ledger knows of an outcome that the status does not | take it in |
//! | owned by other | another policy owns an alias that this one writes | a move that was not claimed yet is given up; blocked |
//! | unowned | nobody owns an alias that this one writes | claim the ownership |
//! | unrecorded | the status refuses a version and the ledger does not say so: its process died, or there were no claims then | write it down |
//! | rejected | somebody rejected the decision that waits for consent, or the one in flight | remember it |
//! | behind | the ledger knows of an outcome, or of a rejection since the last one, that the status does not | take it in |
//! | orphaned | the ledger holds a claim that the status does not know | end its epoch |
//! | moving | a move was begun | carry on with it |
//! | changed | the alias is not where it was recorded | record the move as an epoch |
//! | at rest | none of the above | decide |
//!
//! Without claims (`exclusivity: Guarded`) the rows about the ledger's epochs and owners do not hold.

use super::catch_up;
use super::checks::{OtherOwner, alias, other_owner, owned_by_other};
use super::gates::{Gate, GateTable};
use super::input::{ApprovalView, ChampionInput, Exclusivity};
use super::ledger::{
    Claim, EpochOutcome, Ledger, OutcomeEntry, Owner, claim_register, outcome_register,
    owner_register, refusal_register,
};
use super::memory::{Memory, MovePhase, Pending, Refusal};
use super::motion;
use super::plan::{Action, Plan};
use super::proposal;
use super::reason::Reason;
use super::words;
use super::{EpochCause, InFlight};
use crate::time::Timestamp;

pub(super) enum Situation<'a> {
    NoModel,
    Unreadable(&'a str),
    SetBack {
        /// Where the ledger ends; `None` when the model itself is gone.
        ledger: Option<u64>,
    },
    Unowned {
        alias: &'a str,
        number: u64,
    },
    OwnedByOther(OtherOwner<'a>),
    Unrecorded(Refusal),
    Behind(&'a Ledger),
    Rejected {
        decision: Pending,
        by: &'a ApprovalView,
    },
    Orphaned {
        number: u64,
        claim: &'a Claim,
    },
    Moving(&'a InFlight),
    Changed,
    AtRest,
}

impl<'a> Situation<'a> {
    pub(super) fn of(input: &ChampionInput<'a>) -> Self {
        let memory = input.memory;
        let ledger = match input.ledger {
            _ if input.registry.is_none() && memory.had_champion() => {
                return Self::SetBack { ledger: None };
            }
            _ if input.registry.is_none() => return Self::NoModel,
            Err(why) => return Self::Unreadable(why),
            Ok(ledger) => ledger,
        };
        let claims = claims(input);
        if claims && is_set_back(memory, ledger) {
            return Self::SetBack {
                ledger: Some(ledger.closed_epoch()),
            };
        }
        if let Some(situation) = Self::by_owner(input, ledger) {
            return situation;
        }
        if claims && let Some(refusal) = unrecorded(memory, ledger) {
            return Self::Unrecorded(refusal.clone());
        }
        if let Some((decision, by)) = rejected(input) {
            return Self::Rejected { decision, by };
        }
        let misses = claims && catch_up::misses_refusals(memory, ledger);
        if is_behind(input, ledger) || misses {
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

    fn by_owner(input: &ChampionInput<'a>, ledger: &'a Ledger) -> Option<Self> {
        if let Some(other) = other_owner(input) {
            let number = ledger.next_owner(other.alias);
            return Some(match takes_over(input, ledger, &other) {
                true => Self::Unowned {
                    alias: other.alias,
                    number,
                },
                false if is_behind(input, ledger) => Self::Behind(ledger),
                false => Self::OwnedByOther(other),
            });
        }
        if !claims(input) {
            return None;
        }
        let aliases = input.policy.aliases.written();
        let unowned = aliases
            .into_iter()
            .find(|alias| ledger.owner_of(alias).is_none());
        unowned.map(|alias| Self::Unowned { alias, number: 1 })
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
            Self::SetBack { ledger: None } => {
                let message = format!(
                    "the registered model {} is gone, although this policy has seen its champion: the registry was removed or set back. \
                     Nothing is judged or moved; restore the registry, or delete and apply the policy to begin anew.",
                    input.policy.model
                );
                Plan::say(memory, Reason::RegistrySetBack, message)
            }
            Self::SetBack {
                ledger: Some(ledger),
            } => {
                let message = format!(
                    "the ledger of {} ends with epoch {ledger}, but this policy has seen epoch {}: the registry was set back. \
                     Nothing is judged or moved; restore the registry, or delete and apply the policy to go on from the ledger.",
                    input.policy.model,
                    last_epoch_seen(memory)
                );
                Plan::say(memory, Reason::RegistrySetBack, message)
            }
            Self::OwnedByOther(other) => {
                let message = other.words(input);
                let blocked = || Plan::say(memory, Reason::AliasOwnedByOther, message);
                motion::give_up_unclaimed(input, Gate::Owner, now).unwrap_or_else(blocked)
            }
            Self::Unowned { alias, number } => claim_ownership(input, alias, number, now),
            Self::Unrecorded(refusal) => record_refusal(input, &refusal),
            Self::Behind(ledger) => catch_up::plan(input, ledger),
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

/// Whether epochs are claimed in the ledger.
fn claims(input: &ChampionInput<'_>) -> bool {
    input.policy.exclusivity == Exclusivity::Ledger
}

/// The last epoch of which the status knows that the ledger holds it: one that ended, or the one that the move in flight has claimed.
fn last_epoch_seen(memory: &Memory) -> u64 {
    let in_flight = memory.in_flight.as_ref();
    let claimed = in_flight.filter(|move_| move_.phase >= MovePhase::Claimed);
    claimed.map_or(memory.epoch, |move_| memory.epoch.max(move_.epoch))
}

/// Whether the ledger lacks what the status has seen in it. An outcome of an epoch whose claim is gone must not be written: nobody could
/// read the ledger any more.
fn is_set_back(memory: &Memory, ledger: &Ledger) -> bool {
    memory.epoch > ledger.closed_epoch() || last_epoch_seen(memory) > ledger.last_epoch()
}

/// Whether the ledger knows of an outcome that the status does not.
fn is_behind(input: &ChampionInput<'_>, ledger: &Ledger) -> bool {
    claims(input) && input.memory.epoch < ledger.closed_epoch()
}

/// Whether an alias may be taken over from its owner: that of the champion once, by the annotation that names the epoch, and that of the
/// previous champion from whoever owned the champion's before, so that the two do not stay with different owners whoever wrote in between.
fn takes_over(input: &ChampionInput<'_>, ledger: &Ledger, other: &OtherOwner<'_>) -> bool {
    if input.identity.older.is_some() {
        return false;
    }
    let champion = &input.policy.aliases.champion;
    let mut owners = ledger.owners_of(champion).rev();
    let last = owners.next();
    if other.alias == *champion {
        let asked = input.identity.take_over;
        let served = last.and_then(|owner| owner.taken_over) == asked;
        return asked == Some(ledger.last_epoch()) && !served;
    }
    let is_own = last.is_some() && owned_by_other(input, champion).is_none();
    is_own && owners.any(|before| before.policy == other.policy)
}

fn claim_ownership(input: &ChampionInput<'_>, alias: &str, number: u64, now: Timestamp) -> Plan {
    let owner = Owner {
        policy: input.identity.owner.clone(),
        at: now,
        taken_over: input.identity.take_over.filter(|_| number > 1),
    };
    let message = format!("the ownership of the alias `{alias}` is being claimed");
    Plan::say(input.memory, Reason::ClaimingOwnership, message)
        .with_actions(vec![Action::Write(owner_register(alias, number, &owner))])
}

/// A refusal that stands, and that neither a rejection of the ledger nor an epoch says. A status keeps whole seconds.
fn unrecorded<'a>(memory: &'a Memory, ledger: &Ledger) -> Option<&'a Refusal> {
    let rejected = |refusal: &Refusal| {
        let key = |r: &Refusal| {
            let at = r.at.whole_seconds();
            (r.version.clone(), r.evidence.clone(), at)
        };
        let mut rejections = ledger.refusals.values();
        rejections.any(|rejection| key(rejection) == key(refusal))
    };
    let moved_away = |refusal: &Refusal| {
        let epoch = ledger.epochs.get(&refusal.epoch);
        let ended = epoch.and_then(|epoch| epoch.outcome.as_ref());
        let same = |ended: &OutcomeEntry| ended.at.whole_seconds() == refusal.at.whole_seconds();
        refusal.decision.is_none() && ended.is_some_and(same)
    };
    let mut standing = memory.refused.iter().filter(|r| !memory.is_lifted(r));
    // The oldest first, so that a newer one of the same version follows it.
    standing.rfind(|refusal| !rejected(refusal) && !moved_away(refusal))
}

fn record_refusal(input: &ChampionInput<'_>, refusal: &Refusal) -> Plan {
    let message = format!(
        "the refusal of {} is being recorded in the ledger",
        words::version(&refusal.version)
    );
    Plan::say(input.memory, Reason::Rejected, message)
        .with_actions(vec![write_refusal(input, refusal)])
}

fn write_refusal(input: &ChampionInput<'_>, refusal: &Refusal) -> Action {
    let number = input.ledger.map_or(1, Ledger::next_refusal);
    let alias = &input.policy.aliases.champion;
    // Epochs that are counted without claims are none of the ledger's.
    let refusal = Refusal {
        epoch: input.ledger.map_or(0, Ledger::closed_epoch),
        ..refusal.clone()
    };
    Action::Write(refusal_register(alias, number, &refusal))
}

/// The memory as the policy of today sees it: with what each entry of `spec.reconsider` lifted when it was first seen, and with epochs
/// counted by the ledger once `exclusivity` asks for it.
pub(super) fn refreshed(input: &ChampionInput<'_>) -> Memory {
    let mut memory = input.memory.clone();
    match (input.policy.exclusivity, input.ledger) {
        (Exclusivity::Guarded, _) if !memory.guarded => {
            // Numbers of epochs are not used a second time.
            let known = memory.history.iter().map(|entry| entry.epoch).max();
            memory.epoch = memory.epoch.max(known.unwrap_or(0));
            memory.guarded = true;
        }
        // Epochs that were counted without claims are none of the ledger's. A move that was begun ends as it began.
        (Exclusivity::Ledger, Ok(ledger)) if memory.guarded && memory.in_flight.is_none() => {
            memory.epoch = ledger.closed_epoch();
            memory.guarded = false;
        }
        _ => {}
    }
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
fn rejected<'a>(input: &ChampionInput<'a>) -> Option<(Pending, &'a ApprovalView)> {
    let memory = input.memory;
    let in_flight = memory.in_flight.as_ref().map(InFlight::pending);
    [memory.pending.clone(), in_flight]
        .into_iter()
        .flatten()
        .find_map(|decision| {
            let by = rejection_of(input, &decision)?;
            Some((decision, by))
        })
}

/// A rejection of this decision that is not remembered yet.
pub(super) fn rejection_of<'a>(
    input: &ChampionInput<'a>,
    decision: &Pending,
) -> Option<&'a ApprovalView> {
    let mut known = input.memory.refused.iter();
    if known.any(|refusal| refusal.decision.as_ref() == Some(&decision.decision)) {
        return None;
    }
    let evidence = decision.evidence.as_ref();
    let evidence = evidence.map_or("none", |e| e.digest.as_str());
    input.approvals.iter().find(|approval| {
        !approval.approves
            && approval.decision == decision.decision
            && approval.evidence == evidence
    })
}

/// A rejection stands for the version on this evidence, also after its decision has become void.
pub(super) fn remember_rejection(
    input: &ChampionInput<'_>,
    decision: &Pending,
    rejection: &ApprovalView,
    now: Timestamp,
) -> Plan {
    let mut memory = input.memory.clone();
    let refusal = Refusal {
        number: 0,
        version: decision.to.clone(),
        evidence: decision.evidence.as_ref().map(|e| e.holdout.clone()),
        epoch: memory.epoch,
        by: rejection.approver.clone(),
        decision: Some(decision.decision.clone()),
        comment: rejection.comment.clone(),
        reconsidered: input.memory.reconsidered.contains_key(&decision.to),
        at: now,
    };
    memory.add_refusal(refusal.clone());
    let by = words::with_comment(&rejection.approver, rejection.comment.as_deref());
    let message = format!("{} was rejected by {by}", words::version(&decision.to));
    let mut plan = Plan::say(&memory, Reason::Rejected, message);
    plan.held_back = Some(decision.to.clone());
    match input.ledger_denied {
        None => plan.with_actions(vec![write_refusal(input, &refusal)]),
        // It stands in the status, and is written down once the account may.
        Some(_) => plan.and_again(),
    }
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
        None => names_champion && input.memory.has_seen_a_move(),
    };
    let foreign = owned_by_other(input, alias).is_some();
    let may = !foreign
        && !input.previous_denied
        && policy.mode != super::Mode::DryRun
        && !policy.suspend
        && input.leads;
    (differs && may).then(|| Action::MoveAlias {
        alias: alias.clone(),
        from: found.cloned(),
        to: wanted.cloned(),
        in_flight: false,
    })
}
