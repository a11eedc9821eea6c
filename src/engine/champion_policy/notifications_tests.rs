//! Which changes are told, as what, and under which id.

use super::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const TIME: &str = "2026-01-01T00:00:00Z";

/// An end of an epoch; `from` and `to` are versions, empty for none.
fn entry(epoch: i64, cause: &str, outcome: &str, [from, to]: [&str; 2]) -> Value {
    let mut entry = json!({
        "epoch": epoch, "cause": cause, "outcome": outcome, "actor": "the policy",
        "sentence": format!("epoch {epoch}"), "time": TIME,
    });
    for (field, version) in [("from", from), ("to", to)] {
        if !version.is_empty() {
            entry[field] = json!(version);
        }
    }
    entry
}

fn status(more: Value) -> ChampionPolicyStatus {
    let mut status = json!({"epoch": 1, "phase": "Watching"});
    for (field, value) in more.as_object().unwrap() {
        status[field] = value.clone();
    }
    serde_json::from_value(status).unwrap()
}

fn history(entries: &[Value]) -> ChampionPolicyStatus {
    status(json!({"history": entries}))
}

fn waits_with(phase: &str, reason: &str, more: &Value) -> ChampionPolicyStatus {
    let ready = json!({
        "type": "Ready", "status": "True", "reason": reason, "message": "why", "lastTransitionTime": TIME,
    });
    let mut fields = json!({"phase": phase, "conditions": [ready], "challenger": "2"});
    for (field, value) in more.as_object().unwrap() {
        fields[field] = value.clone();
    }
    status(fields)
}

fn told(before: &ChampionPolicyStatus, after: &ChampionPolicyStatus) -> Vec<NotificationStatus> {
    changes("uid", before, after, NOW)
}

fn kinds(before: &ChampionPolicyStatus, after: &ChampionPolicyStatus) -> Vec<String> {
    let told = told(before, after).into_iter();
    told.map(|told| told.kind).collect()
}

#[test]
fn the_end_of_an_epoch_is_told_by_where_the_alias_came_to() {
    let first = entry(1, "First", "Promoted", ["", "1"]);
    let second = entry(2, "Promotion", "Promoted", ["1", "2"]);
    let known = [second, first];
    let cases = [
        ("Promotion", "Promoted", ["2", "3"], Some("Promoted")),
        ("Pin", "Promoted", ["2", "1"], Some("RolledBack")),
        ("Pin", "Promoted", ["2", "3"], Some("Promoted")),
        ("Revert", "Promoted", ["2", "1"], Some("RolledBack")),
        ("External", "External", ["2", "1"], Some("RolledBack")),
        ("External", "External", ["2", "3"], Some("Promoted")),
        ("External", "External", ["2", ""], Some("RolledBack")),
        ("External", "External", ["", "3"], Some("Promoted")),
        ("Promotion", "Contended", ["2", "3"], Some("Promoted")),
        ("Promotion", "Void(Window)", ["2", "3"], None),
        ("Promotion", "AbortedExternal", ["2", "3"], None),
        ("Promotion", "of tomorrow", ["2", "3"], None),
    ];
    for (cause, outcome, versions, expected) in cases {
        let newest = entry(3, cause, outcome, versions);
        let after = history(&[&[newest][..], &known[..]].concat());
        let found = kinds(&history(&known), &after);
        assert_eq!(
            found,
            expected.into_iter().collect::<Vec<_>>(),
            "{cause} {outcome} {versions:?}"
        );
    }
}

#[test]
fn a_champion_that_was_there_before_the_policy_is_no_news() {
    let found = history(&[entry(1, "External", "External", ["", "1"])]);
    assert_eq!(kinds(&history(&[]), &found), [""; 0]);
    // Nor is what a lost status is rebuilt of.
    let both = [
        entry(2, "Promotion", "Promoted", ["1", "2"]),
        entry(1, "First", "Promoted", ["", "1"]),
    ];
    let lost = ChampionPolicyStatus::default();
    assert_eq!(kinds(&lost, &history(&both)), [""; 0]);
}

#[test]
fn a_promotion_is_told_with_its_decision_verdict_and_evidence() {
    let in_flight = json!({
        "decisionID": "abc", "epoch": 2, "cause": "Promotion", "phase": "Verified", "from": "1", "to": "2",
        "evidenceDigest": "sha", "holdout": "rows", "sentence": "why", "since": TIME,
    });
    let first = entry(1, "First", "Promoted", ["", "1"]);
    let before = status(json!({"inFlight": in_flight, "history": [first]}));
    let promoted = entry(2, "Promotion", "Promoted", ["1", "2"]);
    let last = json!({"name": "fraud-2-1", "verdict": "Superior", "sentence": "v2 is better."});
    let champion =
        json!({"version": "2", "since": TIME, "decisionID": "abc", "origin": "Promoted"});
    let after = status(json!({
        "epoch": 2, "history": [promoted, first], "lastEvaluation": last, "champion": champion,
    }));
    let [found] = told(&before, &after).try_into().unwrap();
    assert_eq!(found.id, "abc-promoted");
    assert_eq!(found.decision_id.as_deref(), Some("abc"));
    assert_eq!(found.verdict.as_deref(), Some("Superior"));
    assert_eq!(found.evidence_digest.as_deref(), Some("sha"));
    assert_eq!(
        (found.epoch, found.cause.as_deref()),
        (2, Some("Promotion"))
    );
    assert_eq!(found.sentence, "epoch 2");
    // Whoever has lost sight of the move knows the decision by its champion.
    let mut without = before.clone();
    without.in_flight = None;
    let [again] = told(&without, &after).try_into().unwrap();
    assert_eq!(again.id, found.id);
    assert_eq!(told(&after, &after), []);
}

#[test]
fn a_move_that_nobody_here_decided_has_an_id_of_its_epoch() {
    let known = [entry(1, "First", "Promoted", ["", "1"])];
    let moved = |to: &str| {
        let newest = entry(2, "External", "External", ["1", to]);
        let after = history(&[&[newest][..], &known[..]].concat());
        let [found] = told(&history(&known), &after).try_into().unwrap();
        assert_eq!(found.decision_id, None);
        assert!(found.id.ends_with("-promoted"), "{found:?}");
        found.id
    };
    assert_eq!(moved("2"), moved("2"));
    assert_ne!(moved("2"), moved("3"));
}

#[test]
fn a_decision_that_waits_is_told_once() {
    let pending = |id: &str| {
        let pending = json!({
            "id": id, "cause": "First", "to": "2", "evidenceDigest": "none", "sentence": "It waits.",
            "approvals": 0, "required": 1,
        });
        waits_with(
            "AwaitingApproval",
            "ApprovalNeeded",
            &json!({"pendingDecision": pending}),
        )
    };
    let [found] = told(&status(json!({})), &pending("abc"))
        .try_into()
        .unwrap();
    assert_eq!(found.id, "abc-awaiting-approval");
    assert_eq!(found.evidence_digest, None);
    assert_eq!((found.from, found.to.as_deref()), (None, Some("2")));
    assert_eq!(told(&pending("abc"), &pending("abc")), []);
    assert_eq!(
        kinds(&pending("abc"), &pending("def")),
        ["AwaitingApproval"]
    );
    assert_eq!(told(&pending("abc"), &status(json!({}))), []);
}

#[test]
fn a_hold_is_told_for_each_reason_and_comparison_and_keeps_its_id() {
    let last = |name: &str| json!({"lastEvaluation": {"name": name, "verdict": "Inferior", "sentence": "no"}});
    let held = |reason: &str, last: &Value| waits_with("Held", reason, last);
    let none = json!({});
    let [found] = told(&status(json!({})), &held("EvidenceMissing", &none))
        .try_into()
        .unwrap();
    assert!(found.id.ends_with("-held"), "{found:?}");
    assert_eq!(
        (found.to.as_deref(), found.sentence.as_str()),
        (Some("2"), "why")
    );
    assert_eq!(found.verdict, None);
    // The registry cannot be reached for a while.
    let degraded = waits_with("Degraded", "Unavailable", &none);
    let [again] = told(&degraded, &held("EvidenceMissing", &none))
        .try_into()
        .unwrap();
    assert_eq!(again.id, found.id);

    let inferior = held("Inferior", &last("a"));
    let [by_verdict] = told(&held("EvidenceMissing", &none), &inferior)
        .try_into()
        .unwrap();
    assert_eq!(by_verdict.verdict.as_deref(), Some("Inferior"));
    assert_eq!(told(&inferior, &inferior), []);
    assert_eq!(kinds(&inferior, &held("Inferior", &last("b"))), ["Held"]);
    // A rejection is told when it is made, and not when it stands.
    let rejected = held("Rejected", &none);
    assert_eq!(told(&rejected, &held("Refused", &none)), []);
}

#[test]
fn kinds_are_written_as_types_are() {
    let written = NotificationKind::ALL.map(|kind| kebab(&name_of(kind)));
    assert_eq!(
        written,
        ["promoted", "held", "awaiting-approval", "rolled-back"]
    );
}
