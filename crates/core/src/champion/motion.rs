//! Carries on with a move that was begun.
//!
//! | phase | alias where it was read | at the target | elsewhere |
//! |---|---|---|---|
//! | Intended | claim the epoch, if every gate is open | void | void |
//! | Claimed | ask the registry to move, if every gate is open | verified, if the registry was asked; else given up | contended, if the registry was asked; else given up |
//! | Applied | contended | verified | contended |
//! | Verified | record | record | record |
//!
//! A gate that is closed voids the move; where a look at the files of the evidence may open it, the move waits for that. What was given
//! up or contended is an outcome of the epoch too.

use super::cause::Move;
use super::checks::alias;
use super::gates::{Awaits, Closed, Gate, GateTable};
use super::input::{ChampionInput, Exclusivity};
use super::ledger::{EpochOutcome, OutcomeEntry, claim_register, outcome_register};
use super::memory::{ClosedEpoch, HISTORY_KEPT, HistoryEntry, InFlight, Memory, MovePhase};
use super::plan::{Action, Conclusion, Plan};
use super::reason::Reason;
use super::words;
use crate::time::Timestamp;

/// Where the alias is, seen from a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Origin,
    Target,
    Elsewhere,
}

fn position(input: &ChampionInput<'_>, move_: &InFlight) -> Position {
    match alias(input) {
        Some(version) if *version == move_.to => Position::Target,
        found if found == move_.from.as_ref() => Position::Origin,
        _ => Position::Elsewhere,
    }
}

/// Plans the next step of a move.
pub(super) fn carry_on(
    table: &GateTable,
    input: &ChampionInput<'_>,
    move_: &InFlight,
    now: Timestamp,
) -> Plan {
    use EpochOutcome::{AbortedExternal, Contended, Promoted};
    let asked = move_.attempts > 0;
    match (phase(input, move_), position(input, move_)) {
        (MovePhase::Intended, Position::Origin) => guarded(table, input, move_, now, claim),
        (MovePhase::Intended, _) => moved_meanwhile(input, move_, now),
        (MovePhase::Claimed, Position::Origin) => guarded(table, input, move_, now, apply),
        (MovePhase::Claimed, Position::Target) if asked => verified(input, move_, now),
        // It may have been moved and moved away since, so whoever did that is heard.
        (MovePhase::Claimed, Position::Elsewhere) if asked => close(input, move_, Contended, now),
        (MovePhase::Claimed, _) => close(input, move_, AbortedExternal, now),
        (MovePhase::Applied, Position::Target) => verified(input, move_, now),
        (MovePhase::Applied, _) => close(input, move_, Contended, now),
        (MovePhase::Verified, _) => close(input, move_, Promoted, now),
    }
}

/// The phase of a move; the ledger knows of a claim before the status does.
fn phase(input: &ChampionInput<'_>, move_: &InFlight) -> MovePhase {
    let claimed = input.ledger.is_ok_and(|ledger| {
        let epoch = ledger.epochs.get(&move_.epoch);
        epoch.is_some_and(|epoch| epoch.claim.decision == move_.decision)
    });
    match move_.phase {
        MovePhase::Intended if claimed => MovePhase::Claimed,
        phase => phase,
    }
}

/// The move that the gates are asked about.
fn wanted(input: &ChampionInput<'_>, move_: &InFlight) -> Move {
    Move {
        cause: move_.cause,
        from: move_.from.clone(),
        to: move_.to.clone(),
        evidence: move_.evidence.clone(),
        epoch: move_.epoch,
        exclusivity: input.policy.exclusivity,
        reconsidered: input.memory.reconsidered.get(&move_.to).copied(),
        begun: Some(move_.decision.clone()),
    }
}

fn guarded(
    table: &GateTable,
    input: &ChampionInput<'_>,
    move_: &InFlight,
    now: Timestamp,
    step: fn(&ChampionInput<'_>, &InFlight) -> Plan,
) -> Plan {
    match table.first_closed(input, &wanted(input, move_), now) {
        None => step(input, move_),
        Some(closed) if closed.awaits.is_confirmation() => unconfirmed(input, move_, &closed),
        Some(closed) => void(input, move_, &closed, now),
    }
}

/// Keeps a move as far as it is until the files of its evidence were looked at.
fn unconfirmed(input: &ChampionInput<'_>, move_: &InFlight, closed: &Closed) -> Plan {
    let memory = with_phase(input, move_, phase(input, move_));
    let message = format!("{} {}", move_.sentence, closed.why);
    Plan::closed_by(&memory, closed, message)
}

fn moving(memory: &Memory, move_: &InFlight) -> Plan {
    let message = format!("{} It is becoming champion.", move_.sentence);
    Plan::say(memory, Reason::MovingAlias, message)
}

fn claim(input: &ChampionInput<'_>, move_: &InFlight) -> Plan {
    if input.policy.exclusivity == Exclusivity::Guarded {
        return moving(&with_phase(input, move_, MovePhase::Claimed), move_).and_again();
    }
    let alias = &input.policy.aliases.champion;
    let register = claim_register(alias, move_.epoch, &move_.claim());
    moving(input.memory, move_).with_actions(vec![Action::Write(register)])
}

fn apply(input: &ChampionInput<'_>, move_: &InFlight) -> Plan {
    let mut memory = with_phase(input, move_, MovePhase::Claimed);
    if let Some(in_flight) = &mut memory.in_flight {
        in_flight.attempts = in_flight.attempts.saturating_add(1).min(1000);
    }
    let actions = vec![
        Action::TagVersion {
            version: move_.to.clone(),
            change: move_.clone(),
        },
        Action::MoveAlias {
            alias: input.policy.aliases.champion.clone(),
            from: move_.from.clone(),
            to: Some(move_.to.clone()),
            in_flight: true,
        },
    ];
    moving(&memory, move_).with_actions(actions)
}

fn with_phase(input: &ChampionInput<'_>, move_: &InFlight, phase: MovePhase) -> Memory {
    let mut memory = input.memory.clone();
    memory.in_flight = Some(InFlight {
        phase,
        ..move_.clone()
    });
    memory
}

fn verified(input: &ChampionInput<'_>, move_: &InFlight, now: Timestamp) -> Plan {
    let mut plan = close(input, move_, EpochOutcome::Promoted, now);
    if let Some(in_flight) = &mut plan.memory.in_flight {
        in_flight.phase = MovePhase::Verified;
    }
    plan
}

/// Ends an epoch that was claimed. The ledger's outcome is folded into the status by the next plan; without claims it is folded now.
fn close(
    input: &ChampionInput<'_>,
    move_: &InFlight,
    outcome: EpochOutcome,
    now: Timestamp,
) -> Plan {
    close_epoch(input, move_.epoch, &move_.claim(), outcome, now)
}

/// See [`close`]; `claim` is that of the ledger, or of the move in flight.
pub(super) fn close_epoch(
    input: &ChampionInput<'_>,
    number: u64,
    claim: &super::ledger::Claim,
    outcome: EpochOutcome,
    now: Timestamp,
) -> Plan {
    let mut memory = input.memory.clone();
    match input.policy.exclusivity {
        Exclusivity::Ledger => {
            let entry = OutcomeEntry { outcome, at: now };
            let register = outcome_register(&input.policy.aliases.champion, number, &entry);
            let message = words::version_or_nothing(claim.to.as_deref());
            let message = format!("the outcome for {message} in epoch {number} is being recorded");
            Plan::say(&memory, Reason::MovingAlias, message)
                .with_actions(vec![Action::Write(register)])
        }
        Exclusivity::Guarded => {
            let closed = ClosedEpoch {
                number,
                claim,
                outcome,
                at: now,
            };
            let conclusion = fold(&mut memory, &closed);
            folded(&memory, outcome, conclusion)
        }
    }
}

/// Folds an epoch into the memory; returns what is concluded if it was the move in flight.
pub(super) fn fold(memory: &mut Memory, closed: &ClosedEpoch<'_>) -> Option<Conclusion> {
    let own = memory
        .in_flight
        .as_ref()
        .filter(|move_| move_.decision == closed.claim.decision && move_.evidence.is_some())
        .map(|move_| move_.to.clone());
    memory.fold(closed);
    let sentence = memory.history.first()?.sentence.clone();
    own.map(|challenger| Conclusion {
        challenger,
        evaluation: None,
        verdict: None,
        sentence,
    })
}

/// What is said once an epoch was folded.
pub(super) fn folded(
    memory: &Memory,
    outcome: EpochOutcome,
    conclusion: Option<Conclusion>,
) -> Plan {
    let reason = match outcome {
        EpochOutcome::Promoted => Reason::Promoted,
        EpochOutcome::External => Reason::ChampionAdopted,
        EpochOutcome::AbortedExternal | EpochOutcome::Contended | EpochOutcome::Void(_) => {
            Reason::Void
        }
    };
    let message = memory
        .history
        .first()
        .map(|h| h.sentence.clone())
        .unwrap_or_default();
    let mut plan = Plan::say(memory, reason, message).and_again();
    plan.conclusion = conclusion;
    plan
}

fn moved_meanwhile(input: &ChampionInput<'_>, move_: &InFlight, now: Timestamp) -> Plan {
    let closed = Closed {
        gate: Gate::Authority,
        reason: Reason::NotInAuthority,
        why: String::new(),
        opens_at: None,
        awaits: Awaits::Change,
    };
    void(input, move_, &closed, now)
}

/// Gives a move up whose gate closed. Only a claim has an epoch to end.
fn void(input: &ChampionInput<'_>, move_: &InFlight, closed: &Closed, now: Timestamp) -> Plan {
    let outcome = EpochOutcome::Void(closed.gate);
    let mut plan = if phase(input, move_) == MovePhase::Intended {
        forget(input, move_, closed.gate, now)
    } else {
        close(input, move_, outcome, now)
    };
    plan.closed = Some(closed.gate);
    plan
}

/// Gives up a move of which nobody else knows, since this gate closed; `None` where there is none.
pub(super) fn give_up_unclaimed(
    input: &ChampionInput<'_>,
    gate: Gate,
    now: Timestamp,
) -> Option<Plan> {
    let move_ = input.memory.in_flight.as_ref()?;
    let unclaimed = phase(input, move_) == MovePhase::Intended;
    unclaimed.then(|| forget(input, move_, gate, now))
}

fn forget(input: &ChampionInput<'_>, move_: &InFlight, gate: Gate, now: Timestamp) -> Plan {
    let mut memory = input.memory.clone();
    memory.in_flight = None;
    let sentence = words::void(Some(&move_.to), &gate.name());
    memory.history.insert(
        0,
        HistoryEntry {
            epoch: move_.epoch,
            cause: move_.cause.into(),
            outcome: EpochOutcome::Void(gate),
            actor: super::cause::EpochCause::from(move_.cause)
                .actor()
                .to_string(),
            from: move_.from.clone(),
            to: Some(move_.to.clone()),
            evidence: move_.evidence.as_ref().map(|e| e.holdout.clone()),
            sentence: sentence.clone(),
            at: now,
        },
    );
    memory.history.truncate(HISTORY_KEPT);
    let mut plan = Plan::say(&memory, Reason::Void, sentence.clone()).and_again();
    plan.conclusion = move_.evidence.as_ref().map(|_| Conclusion {
        challenger: move_.to.clone(),
        evaluation: None,
        verdict: None,
        sentence,
    });
    plan
}
