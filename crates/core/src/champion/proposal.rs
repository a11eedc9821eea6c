//! What is wanted while nothing is in flight: a pin, an answer to somebody else's move, a first champion, or a promotion.

use super::cause::{Cause, Move};
use super::checks::{self, REVERT_PAUSE_SECONDS, alias, consent_to};
use super::gates::{Closed, GateTable};
use super::input::{Challengers, ChampionInput, FirstChampion, OnExternalChange};
use super::memory::{InFlight, MovePhase, Pending};
use super::pipeline;
use super::plan::{Conclusion, PendingDecision, Plan};
use super::reason::Reason;
use super::situation::{rejection_of, remember_rejection};
use super::words;
use crate::time::Timestamp;

/// The versions that want to be champion, oldest first; the champion itself is none.
#[must_use]
pub fn challengers(input: &ChampionInput<'_>) -> Vec<String> {
    let Some(registry) = input.registry else {
        return Vec::new();
    };
    let policy = input.policy;
    let champion = registry.aliases.get(&policy.aliases.champion);
    let mut wanted: Vec<String> = match &policy.challengers {
        Challengers::Alias => {
            let of_alias = registry.aliases.get(&policy.aliases.challenger);
            of_alias.into_iter().cloned().collect()
        }
        Challengers::Versions {
            newer_than_champion,
            tags,
        } => registry
            .versions
            .iter()
            .filter(|(_, version)| tags.iter().all(|(k, v)| version.tags.get(k) == Some(v)))
            .map(|(name, _)| name)
            .filter(|name| {
                !newer_than_champion || champion.is_none_or(|champion| age(name) > age(champion))
            })
            .cloned()
            .collect(),
        Challengers::TuningJobs => {
            let registered = input.registered.iter();
            registered
                .filter(|v| registry.versions.contains_key(*v))
                .cloned()
                .collect()
        }
    };
    wanted.retain(|version| Some(version) != champion);
    wanted.sort_by(|left, right| age(left).cmp(&age(right)));
    wanted.dedup();
    wanted
}

/// Numbers in their order, before names in theirs.
pub(super) fn age(version: &str) -> (u8, u64, &str) {
    match version.parse() {
        Ok(number) => (0, number, ""),
        Err(_) => (1, 0, version),
    }
}

/// Plans what is wanted while nothing is in flight and the alias is where it was recorded.
pub(super) fn decide(table: &GateTable, input: &ChampionInput<'_>, now: Timestamp) -> Plan {
    let memory = input.memory;
    let champion = alias(input);
    if let Some(pin) = &input.policy.pin {
        if champion == Some(&pin.version) {
            let version = words::version(&pin.version);
            if !checks::exists(input, &pin.version) {
                let message = format!(
                    "{version} is pinned as champion and the alias `{}` points at it, but it does not exist any more; pin one of {}.",
                    input.policy.aliases.champion,
                    words::existing(input.registry)
                );
                return Plan::say(memory, Reason::VersionNotFound, message);
            }
            let message = format!("{version} is pinned as champion: {}", pin.reason);
            return Plan::say(memory, Reason::Pinned, message);
        }
        let finding = format!(
            "`spec.pin` names {}: {}",
            words::version(&pin.version),
            pin.reason
        );
        let wanted = next_move(input, Cause::Pin, pin.version.clone());
        return propose(table, input, wanted, finding, None, now);
    }
    if let Some(to) = to_revert_to(input, now) {
        let finding = format!(
            "The alias `{}` was moved to {} by somebody else, and `onExternalChange` is Revert.",
            input.policy.aliases.champion,
            words::version_or_nothing(champion.map(String::as_str)),
        );
        let wanted = next_move(input, Cause::Revert, to);
        return propose(table, input, wanted, finding, None, now);
    }
    if input.policy.suspend {
        let message = "suspended: nothing is scored, judged or moved, except to a pinned version";
        return Plan::say(memory, Reason::SuspendedByUser, message);
    }
    match champion {
        None if memory.had_champion() => removed(input),
        None => first(table, input, now),
        Some(champion) => pipeline::promotion(table, input, champion, now),
    }
}

/// The version that a move by somebody else is undone to: while that move is the last one and stands for less than an hour after another
/// one was undone.
fn to_revert_to(input: &ChampionInput<'_>, now: Timestamp) -> Option<String> {
    let change = input.memory.last_move_by_others()?;
    let wanted = input.policy.on_external_change == OnExternalChange::Revert
        && !checks::is_acknowledged(input, change);
    let stays =
        checks::once(input, now).is_err() && now >= change.at.plus_seconds(REVERT_PAUSE_SECONDS);
    change.from.clone().filter(|_| wanted && !stays)
}

fn removed(input: &ChampionInput<'_>) -> Plan {
    let message = format!(
        "The alias `{}` was removed by somebody else. A first champion is made only once: set the alias again, or set `spec.pin`.",
        input.policy.aliases.champion,
    );
    Plan::say(input.memory, Reason::ChampionRemoved, message)
}

fn first(table: &GateTable, input: &ChampionInput<'_>, now: Timestamp) -> Plan {
    let policy = input.policy;
    let Some(challenger) = challengers(input).pop() else {
        return no_challenger(input);
    };
    let finding = format!(
        "No version carries the alias `{}` yet, so {} has nothing to be compared with.",
        policy.aliases.champion,
        words::version(&challenger)
    );
    if policy.first_champion == FirstChampion::Never {
        let message = format!("{finding} Held: `promotion.firstChampion` is Never.");
        return Plan::say(input.memory, Reason::FirstChampionNever, message);
    }
    let wanted = next_move(input, Cause::First, challenger);
    propose(table, input, wanted, finding, None, now)
}

pub(super) fn no_challenger(input: &ChampionInput<'_>) -> Plan {
    let policy = input.policy;
    let message = match policy.challengers {
        Challengers::Alias => {
            format!(
                "no version carries the alias `{}`",
                policy.aliases.challenger
            )
        }
        Challengers::Versions { .. } => {
            "no version is a challenger by `spec.challengers.versions`".to_string()
        }
        Challengers::TuningJobs => {
            "no search of `spec.challengers.tuningJobs` has registered a version".to_string()
        }
    };
    Plan::say(input.memory, Reason::NoChallenger, message)
}

/// A move in the next epoch, without evidence.
pub(super) fn next_move(input: &ChampionInput<'_>, cause: Cause, to: String) -> Move {
    Move {
        cause,
        from: alias(input).cloned(),
        evidence: None,
        epoch: input.memory.epoch + 1,
        exclusivity: input.policy.exclusivity,
        reconsidered: input.memory.reconsidered.get(&to).copied(),
        begun: None,
        to,
    }
}

/// Begins a move whose gates are open, or says which one is closed. `evaluation` names the comparison behind a promotion.
pub(super) fn propose(
    table: &GateTable,
    input: &ChampionInput<'_>,
    wanted: Move,
    finding: String,
    evaluation: Option<&str>,
    now: Timestamp,
) -> Plan {
    let closed = table.first_closed(input, &wanted, now);
    let challenger = wanted.to.clone();
    let mut plan = match closed {
        None => begin(input, wanted, &finding, now),
        Some(closed) => rejected(input, &wanted, &closed, now)
            .unwrap_or_else(|| hold(input, &wanted, &closed, &finding, now)),
    };
    plan.conclusion = evaluation.map(|name| Conclusion {
        challenger,
        evaluation: Some(name.to_string()),
        verdict: Some(crate::comparison::Verdict::Superior.name()),
        sentence: plan.message.clone(),
    });
    plan
}

/// Stores the intent; the next plan claims its epoch.
fn begin(input: &ChampionInput<'_>, wanted: Move, finding: &str, now: Timestamp) -> Plan {
    let message = format!("{finding} It is becoming champion.");
    let sentence = words::with_consent(finding, &consent_to(input, &wanted, now).people);
    let mut memory = input.memory.clone();
    memory.in_flight = Some(InFlight {
        decision: wanted.decision(&input.identity.uid),
        epoch: wanted.epoch,
        cause: wanted.cause,
        phase: MovePhase::Intended,
        from: wanted.from,
        to: wanted.to,
        evidence: wanted.evidence,
        sentence,
        since: now,
        attempts: 0,
    });
    Plan::say(&memory, Reason::MovingAlias, message).and_again()
}

/// Remembers a rejection that was made while the decision was not the one that waited: it stands also once its object is deleted, or the
/// decision has become another one.
fn rejected(
    input: &ChampionInput<'_>,
    wanted: &Move,
    closed: &Closed,
    now: Timestamp,
) -> Option<Plan> {
    if closed.reason != Reason::Rejected {
        return None;
    }
    let decision = Pending {
        decision: wanted.decision(&input.identity.uid),
        to: wanted.to.clone(),
        evidence: wanted.evidence.clone(),
    };
    let by = rejection_of(input, &decision)?;
    Some(remember_rejection(input, &decision, by, now))
}

fn hold(
    input: &ChampionInput<'_>,
    wanted: &Move,
    closed: &Closed,
    finding: &str,
    now: Timestamp,
) -> Plan {
    let message = format!("{finding} {}", closed.why);
    let mut plan = Plan::closed_by(input.memory, closed, message);
    plan.held_back = Some(wanted.to.clone());
    if closed.reason == Reason::ApprovalNeeded {
        plan.pending = Some(PendingDecision {
            id: wanted.decision(&input.identity.uid),
            wanted: wanted.clone(),
            sentence: plan.message.clone(),
            approvals: consent_to(input, wanted, now).given,
            required: input.policy.approvals_required.max(1),
        });
    }
    plan
}
