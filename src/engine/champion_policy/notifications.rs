//! Which changes of a policy's status receivers are told of.
//!
//! | what changed | is told as | under the id of |
//! |---|---|---|
//! | an epoch ended in which the alias came to a version that had not been champion in the epochs that the status keeps | Promoted | the decision, or the epoch where nobody here decided |
//! | an epoch ended in which it came to one that had been, or was removed | RolledBack | the same |
//! | the policy found a champion that was there before it | nothing | |
//! | an epoch ended in which the alias was not moved | nothing | |
//! | a decision waits for consent that did not before | AwaitingApproval | the decision |
//! | a challenger, or the version of a pin or a revert, is held for a reason, or by a comparison, for which it was not before | Held | the policy, the epoch, the version, the reason and the comparison |
//!
//! The id follows from what happened and not from when it was seen, so that what is found again after a crash, or comes and goes while a
//! registry cannot be reached, is the same to whoever hears it.

use super::events::ended_epochs;
use podium_api::champion_policy::{
    ChampionPolicyStatus, ChampionStatus, HistoryStatus, InFlightStatus, NotificationKind,
    NotificationStatus,
};
use podium_api::convert::{name_of, settled_condition, to_time};
use podium_core::champion::EpochOutcome;
use podium_core::champion::cause::digest;
use podium_core::champion::ledger::bounded;
use podium_core::time::Timestamp;

/// Characters of a sentence that are told.
const SENTENCE: usize = 1024;
/// Bytes of a decision in an id.
const DECISION: usize = 40;
/// What a hold for a verdict is called.
const VERDICTS: [&str; 3] = ["Inferior", "Inconclusive", "NotComparable"];

/// What is to be told of the policy with this uid since its status was `before`, the oldest first.
pub(super) fn changes(
    uid: &str,
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
    now: Timestamp,
) -> Vec<NotificationStatus> {
    let ended = ended_epochs(before, after).len();
    let moves = (0..ended)
        .rev()
        .filter_map(|place| of_epoch(uid, before, after, place));
    let waiting = awaiting_approval(before, after, now);
    moves
        .chain(waiting)
        .chain(held(uid, before, after, now))
        .collect()
}

/// The id of something of this kind.
fn id(of: &str, kind: NotificationKind) -> String {
    format!("{}-{}", bounded(of, DECISION), kebab(&name_of(kind)))
}

/// `awaiting-approval` of `AwaitingApproval`.
pub(super) fn kebab(name: &str) -> String {
    let mut written = String::with_capacity(name.len() + 1);
    for (place, character) in name.char_indices() {
        if place > 0 && character.is_ascii_uppercase() {
            written.push('-');
        }
        written.push(character.to_ascii_lowercase());
    }
    written
}

fn cut(sentence: &str) -> String {
    sentence.chars().take(SENTENCE).collect()
}

fn moved(entry: &HistoryStatus) -> bool {
    EpochOutcome::parse(&entry.outcome).is_some_and(EpochOutcome::moved)
}

/// What the end of an epoch is, after these older ones; newest first.
fn kind_of(entry: &HistoryStatus, older: &[HistoryStatus]) -> Option<NotificationKind> {
    if !moved(entry) {
        return None;
    }
    let reigned: Vec<&String> = older
        .iter()
        .filter(|entry| moved(entry))
        .flat_map(|entry| [&entry.from, &entry.to])
        .flatten()
        .collect();
    match (&entry.from, &entry.to) {
        (None, Some(_)) if entry.cause == "External" && reigned.is_empty() => None,
        (_, Some(to)) if reigned.contains(&to) => Some(NotificationKind::RolledBack),
        (_, Some(_)) => Some(NotificationKind::Promoted),
        (_, None) => Some(NotificationKind::RolledBack),
    }
}

/// The end of the epoch at this place of the history.
fn of_epoch(
    uid: &str,
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
    place: usize,
) -> Option<NotificationStatus> {
    let (entry, older) = after.history.get(place..)?.split_first()?;
    let kind = kind_of(entry, older)?;
    let is_newest = after.history.iter().position(moved) == Some(place);
    let own = own_move(before, after, entry, is_newest);
    let epoch = entry.epoch.to_string();
    let [from, to] = [&entry.from, &entry.to].map(|version| version.as_deref().unwrap_or_default());
    let time = entry.time.0.to_string();
    let of = match &own.decision {
        Some(decision) => decision.clone(),
        None => digest(&[uid, "epoch", &epoch, &entry.cause, from, to, &time]),
    };
    let is_compared = entry.cause == "Promotion" && is_newest;
    let last = after.last_evaluation.as_ref().filter(|_| is_compared);
    Some(NotificationStatus {
        id: id(&of, kind),
        kind: name_of(kind),
        time: entry.time.clone(),
        decision_id: own.decision,
        epoch: entry.epoch,
        cause: Some(entry.cause.clone()),
        from: entry.from.clone(),
        to: entry.to.clone(),
        verdict: last.map(|last| last.verdict.clone()),
        evidence_digest: own.evidence,
        sentence: cut(&entry.sentence),
        undelivered: Vec::new(),
    })
}

/// What is known of the decision behind an epoch.
#[derive(Default)]
struct OwnMove {
    decision: Option<String>,
    evidence: Option<String>,
}

/// The move that was begun before the epoch ended tells most; without it, the champion that came of it.
fn own_move(
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
    entry: &HistoryStatus,
    is_newest: bool,
) -> OwnMove {
    if entry.cause == "External" {
        return OwnMove::default();
    }
    let is_of_epoch = |begun: &&InFlightStatus| {
        begun.epoch == entry.epoch && Some(&begun.to) == entry.to.as_ref()
    };
    if let Some(begun) = before.in_flight.as_ref().filter(is_of_epoch) {
        return OwnMove {
            decision: Some(begun.decision_id.clone()),
            evidence: begun.evidence_digest.clone(),
        };
    }
    let came_of_it =
        |champion: &&ChampionStatus| is_newest && Some(&champion.version) == entry.to.as_ref();
    let champion = after.champion.as_ref().filter(came_of_it);
    OwnMove {
        decision: champion.and_then(|champion| champion.decision_id.clone()),
        evidence: None,
    }
}

fn awaiting_approval(
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
    now: Timestamp,
) -> Option<NotificationStatus> {
    let pending = after.pending_decision.as_ref()?;
    let known = before.pending_decision.as_ref();
    if known.is_some_and(|known| known.id == pending.id) {
        return None;
    }
    let kind = NotificationKind::AwaitingApproval;
    let is_compared = pending.cause == "Promotion";
    let last = after.last_evaluation.as_ref().filter(|_| is_compared);
    Some(NotificationStatus {
        id: id(&pending.id, kind),
        kind: name_of(kind),
        time: to_time(now),
        decision_id: Some(pending.id.clone()),
        epoch: after.epoch.unwrap_or_default(),
        cause: Some(pending.cause.clone()),
        from: pending.from.clone(),
        to: Some(pending.to.clone()),
        verdict: last.map(|last| last.verdict.clone()),
        evidence_digest: Some(pending.evidence_digest.clone()).filter(|digest| digest != "none"),
        sentence: cut(&pending.sentence),
        undelivered: Vec::new(),
    })
}

/// What tells one hold from another.
#[derive(PartialEq)]
struct Hold<'a> {
    reason: &'a str,
    challenger: Option<&'a str>,
    epoch: i64,
    comparison: Option<&'a str>,
}

/// The hold that a status tells of.
fn hold(status: &ChampionPolicyStatus) -> Option<Hold<'_>> {
    let (_, reason, _) = settled_condition(&status.conditions, "Ready")?;
    if status.phase.as_deref() != Some("Held") {
        return None;
    }
    let last = status.last_evaluation.as_ref();
    Some(Hold {
        // A rejection stands as a refusal from then on.
        reason: match reason {
            "Rejected" => "Refused",
            other => other,
        },
        challenger: status.challenger.as_deref(),
        epoch: status.epoch.unwrap_or_default(),
        comparison: last.map(|last| last.name.as_str()),
    })
}

fn held(
    uid: &str,
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
    now: Timestamp,
) -> Option<NotificationStatus> {
    let Hold {
        reason,
        challenger,
        epoch,
        comparison,
    } = hold(after).filter(|found| hold(before).as_ref() != Some(found))?;
    let of = digest(&[
        uid,
        "hold",
        &epoch.to_string(),
        challenger.unwrap_or_default(),
        reason,
        comparison.unwrap_or_default(),
    ]);
    let (_, _, message) = settled_condition(&after.conditions, "Ready")?;
    let last = after.last_evaluation.as_ref();
    let last = last.filter(|_| VERDICTS.contains(&reason));
    let kind = NotificationKind::Held;
    Some(NotificationStatus {
        id: id(&of, kind),
        kind: name_of(kind),
        time: to_time(now),
        decision_id: None,
        epoch,
        cause: None,
        from: after
            .champion
            .as_ref()
            .map(|champion| champion.version.clone()),
        to: challenger.map(str::to_string),
        verdict: last.map(|last| last.verdict.clone()),
        evidence_digest: None,
        sentence: cut(message),
        undelivered: Vec::new(),
    })
}

#[cfg(test)]
#[path = "notifications_tests.rs"]
mod tests;
