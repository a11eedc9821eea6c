//! What people are told of a policy as events: each change of the champion, and each state that somebody has to do something about.

use crate::engine::events::note;
use crate::ports::{EventRecord, PortError};
use kube::Resource;
use podium_api::ChampionPolicy;
use podium_api::champion_policy::{ChampionPolicyStatus, HistoryStatus};
use podium_api::convert::settled_condition;

/// What became of the policy with this status, which was `before`.
pub(super) fn changes(
    policy: &ChampionPolicy,
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
) -> Vec<EventRecord> {
    let ended = ended_epochs(before, after).iter();
    // The oldest first.
    let ended = ended.rev().map(|entry| epoch_ended(policy, entry));
    let mut events: Vec<EventRecord> = ended.collect();
    events.extend(waits_for_people(policy, before, after));
    events
}

/// The epochs that have ended since the status was `before`, newest first: the first entries of the history.
pub(super) fn ended_epochs<'a>(
    before: &ChampionPolicyStatus,
    after: &'a ChampionPolicyStatus,
) -> &'a [HistoryStatus] {
    // A status that was lost is rebuilt from the ledger: what it tells is no news.
    let is_rebuilt = before.epoch.is_none() && after.history.len() > 1;
    if is_rebuilt {
        return &[];
    }
    let known = before.history.first();
    let new = after
        .history
        .iter()
        .take_while(|entry| Some(*entry) != known);
    after.history.get(..new.count()).unwrap_or_default()
}

/// An epoch ended.
fn epoch_ended(policy: &ChampionPolicy, entry: &HistoryStatus) -> EventRecord {
    let (warning, reason) = match (entry.outcome.as_str(), entry.cause.as_str()) {
        ("Promoted", "Pin") => (false, "Pinned"),
        ("Promoted", "Revert") => (false, "Reverted"),
        ("Promoted", _) => (false, "Promoted"),
        ("External", _) => (false, "ChampionMoved"),
        _ => (true, "PromotionVoid"),
    };
    record(policy, warning, reason, "MoveAlias", &entry.sentence)
}

/// The policy came to a state in which it stays until somebody does something.
fn waits_for_people(
    policy: &ChampionPolicy,
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
) -> Option<EventRecord> {
    fn state(status: &ChampionPolicyStatus) -> Option<(&str, &str, Option<&str>)> {
        let (_, reason, _) = settled_condition(&status.conditions, "Ready")?;
        let pending = status.pending_decision.as_ref();
        Some((
            status.phase.as_deref()?,
            reason,
            pending.map(|p| p.id.as_str()),
        ))
    }
    let (phase, reason, _) = state(after)?;
    if state(before) == state(after) {
        return None;
    }
    let warning = match phase {
        "AwaitingApproval" | "Held" | "Suspended" => false,
        "Blocked" | "Degraded" => true,
        _ => return None,
    };
    let (_, _, message) = settled_condition(&after.conditions, "Ready")?;
    Some(record(policy, warning, reason, "PlanPromotion", message))
}

/// The registry's account may not move an alias that nothing depends on.
pub(super) fn alias_denied(policy: &ChampionPolicy, alias: &str, error: &PortError) -> EventRecord {
    let text = format!("the alias `{alias}` stays where it is: {}", error.message);
    record(policy, true, "AliasDenied", "MoveAlias", &text)
}

/// Receivers will never hear of something, as far as Podium is concerned.
pub(super) fn notification_given_up(policy: &ChampionPolicy, text: &str) -> EventRecord {
    record(policy, true, "NotificationGivenUp", "Notify", text)
}

fn record(
    policy: &ChampionPolicy,
    warning: bool,
    reason: &str,
    action: &'static str,
    text: &str,
) -> EventRecord {
    EventRecord {
        regarding: policy.object_ref(&()),
        related: None,
        warning,
        reason: reason.to_string(),
        action,
        note: note(text),
        took: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn policy() -> ChampionPolicy {
        serde_json::from_value(json!({
            "metadata": {"name": "fraud", "uid": "a"},
            "spec": {
                "registryRef": {"name": "mlflow"}, "model": "fraud",
                "evidence": {"predictions": {"uri": "s3://a/$(version)", "columns": {"id": "i", "label": "l", "score": "s"}}},
                "test": {"primary": {"metric": "rocAuc"}},
            },
        }))
        .unwrap()
    }

    fn entry(epoch: i64, cause: &str, outcome: &str) -> Value {
        json!({
            "epoch": epoch, "cause": cause, "outcome": outcome, "actor": "the policy", "to": "1",
            "sentence": format!("epoch {epoch}"), "time": "2026-01-01T00:00:00Z",
        })
    }

    fn status(phase: &str, reason: &str, history: &[Value]) -> ChampionPolicyStatus {
        let ready = json!({
            "type": "Ready", "status": "False", "reason": reason, "message": "why", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(json!({
            "phase": phase, "conditions": [ready], "history": history, "epoch": history.len(),
        }))
        .unwrap()
    }

    fn told(before: &ChampionPolicyStatus, after: &ChampionPolicyStatus) -> Vec<(bool, String)> {
        let events = changes(&policy(), before, after);
        let told = events.into_iter();
        told.map(|event| (event.warning, format!("{} {}", event.reason, event.note)))
            .collect()
    }

    #[test]
    fn each_end_of_an_epoch_is_told_once_the_oldest_first() {
        let pin = entry(1, "Pin", "Promoted");
        let void = entry(2, "Promotion", "Void(Window)");
        let before = status("Watching", "UpToDate", std::slice::from_ref(&pin));
        let after = status(
            "Watching",
            "UpToDate",
            &[entry(3, "External", "External"), void, pin],
        );
        assert_eq!(
            told(&before, &after),
            [
                (true, "PromotionVoid epoch 2".to_string()),
                (false, "ChampionMoved epoch 3".to_string())
            ]
        );
        assert_eq!(told(&after, &after), []);
    }

    #[test]
    fn what_a_lost_status_is_rebuilt_of_is_no_news() {
        let history = [entry(2, "Pin", "Promoted"), entry(1, "Pin", "Promoted")];
        let rebuilt = status("Watching", "UpToDate", &history);
        assert_eq!(told(&ChampionPolicyStatus::default(), &rebuilt), []);
    }

    #[test]
    fn a_state_that_people_end_is_told_when_it_begins() {
        let watching = status("Watching", "UpToDate", &[]);
        let held = status("Held", "EvidenceMissing", &[]);
        let blocked = status("Blocked", "AliasOwnedByOther", &[]);
        assert_eq!(
            told(&watching, &held),
            [(false, "EvidenceMissing why".to_string())]
        );
        assert_eq!(
            told(&held, &blocked),
            [(true, "AliasOwnedByOther why".to_string())]
        );
        assert_eq!(told(&blocked, &blocked), []);
        assert_eq!(told(&blocked, &watching), []);
    }
}
