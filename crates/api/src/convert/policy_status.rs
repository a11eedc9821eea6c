//! Between what the core remembers of a policy and what stands in its status.

use super::status::{from_time, name_of, parse, to_time};
use crate::champion_policy::{
    ChampionPolicyStatus, ChampionStatus, ExternalChangeStatus, HistoryStatus, InFlightStatus,
    PendingDecisionStatus, ReconsideredStatus, RefusedStatus, ScoredStatus,
};
use podium_core::champion::{
    Cause, ChampionRecord, EpochCause, EpochOutcome, Evidence, ExternalChange, HistoryEntry,
    InFlight, Memory, MovePhase, Origin, Pending, PendingDecision, Refusal,
};
use std::cmp::Reverse;

/// Characters that a sentence in a status may have.
const SENTENCE: usize = 4096;
/// Versions of which the scorer's inputs are kept.
const SCORED_KEPT: usize = 50;

/// What a policy's status remembers.
#[must_use]
pub fn memory_of(status: Option<&ChampionPolicyStatus>) -> Memory {
    let Some(status) = status else {
        return Memory::default();
    };
    Memory {
        epoch: number(status.epoch.unwrap_or(0)),
        champion: status.champion.as_ref().map(|c| ChampionRecord {
            version: c.version.clone(),
            since: from_time(&c.since),
            epoch: number(c.epoch.unwrap_or(0)),
            origin: parse(Some(&c.origin)).unwrap_or(Origin::Adopted),
            decision: c.decision_id.clone(),
            evidence: c.evidence_digest.clone(),
        }),
        previous: status.previous.clone(),
        refused: status.refused.iter().map(refusal_of).collect(),
        reconsidered: status
            .reconsidered
            .iter()
            .map(|entry| (entry.version.clone(), number(entry.refusals)))
            .collect(),
        refusals: number(status.refusals),
        external: status
            .external_change
            .as_ref()
            .map(|change| ExternalChange {
                epoch: number(change.epoch),
                from: change.from.clone(),
                to: change.to.clone(),
                at: from_time(&change.time),
            }),
        last_revert: status.last_revert_time.as_ref().map(from_time),
        in_flight: status.in_flight.as_ref().and_then(in_flight_of),
        pending: status.pending_decision.as_ref().map(|pending| Pending {
            decision: pending.id.clone(),
            to: pending.to.clone(),
            evidence: pending.holdout.clone().map(|holdout| Evidence {
                digest: pending.evidence_digest.clone(),
                holdout,
            }),
        }),
        history: status.history.iter().filter_map(history_of).collect(),
        scored: status
            .scored
            .iter()
            .map(|entry| (entry.version.clone(), entry.inputs.clone()))
            .collect(),
        guarded: status.guarded,
    }
}

fn refusal_of(refused: &RefusedStatus) -> Refusal {
    Refusal {
        number: number(refused.number),
        version: refused.version.clone(),
        evidence: refused.evidence_digest.clone(),
        epoch: number(refused.epoch),
        by: refused.by.clone(),
        decision: refused.decision_id.clone(),
        comment: refused.comment.clone(),
        reconsidered: refused.reconsidered,
        at: from_time(&refused.when),
    }
}

/// A move that cannot be understood was not written by Podium; the ledger says what became of its epoch.
fn in_flight_of(in_flight: &InFlightStatus) -> Option<InFlight> {
    let evidence = in_flight
        .evidence_digest
        .clone()
        .zip(in_flight.holdout.clone());
    Some(InFlight {
        decision: in_flight.decision_id.clone(),
        epoch: number(in_flight.epoch),
        cause: parse::<Cause>(Some(&in_flight.cause))?,
        phase: parse::<MovePhase>(Some(&in_flight.phase))?,
        from: in_flight.from.clone(),
        to: in_flight.to.clone(),
        evidence: evidence.map(|(digest, holdout)| Evidence { digest, holdout }),
        sentence: in_flight.sentence.clone(),
        since: from_time(&in_flight.since),
        attempts: u32::try_from(in_flight.attempts).unwrap_or(0),
    })
}

fn history_of(entry: &HistoryStatus) -> Option<HistoryEntry> {
    Some(HistoryEntry {
        epoch: number(entry.epoch),
        cause: parse::<EpochCause>(Some(&entry.cause))?,
        outcome: EpochOutcome::parse(&entry.outcome)?,
        actor: entry.actor.clone(),
        from: entry.from.clone(),
        to: entry.to.clone(),
        evidence: entry.evidence.clone(),
        sentence: entry.sentence.clone(),
        at: from_time(&entry.time),
    })
}

/// The parts of a status that say what a memory holds; the other parts are left empty.
#[must_use]
pub fn policy_status(memory: &Memory, pending: Option<&PendingDecision>) -> ChampionPolicyStatus {
    ChampionPolicyStatus {
        epoch: Some(integer(memory.epoch)),
        champion: memory.champion.as_ref().map(|record| ChampionStatus {
            version: record.version.clone(),
            since: to_time(record.since),
            epoch: Some(integer(record.epoch)).filter(|epoch| *epoch > 0),
            decision_id: record.decision.clone(),
            origin: name_of(record.origin),
            evidence_digest: record.evidence.clone(),
        }),
        previous: memory.previous.clone(),
        pending_decision: pending.map(pending_status),
        in_flight: memory.in_flight.as_ref().map(in_flight_status),
        external_change: memory.external.as_ref().map(|change| ExternalChangeStatus {
            epoch: integer(change.epoch),
            from: change.from.clone(),
            to: change.to.clone(),
            time: to_time(change.at),
        }),
        last_revert_time: memory.last_revert.map(to_time),
        refused: memory.refused.iter().map(refused_status).collect(),
        reconsidered: memory
            .reconsidered
            .iter()
            .map(|(version, refusals)| ReconsideredStatus {
                version: version.clone(),
                refusals: integer(*refusals),
            })
            .collect(),
        refusals: integer(memory.refusals),
        scored: newest_scored(memory)
            .into_iter()
            .take(SCORED_KEPT)
            .map(|(version, inputs)| ScoredStatus {
                version: version.clone(),
                inputs: inputs.clone(),
            })
            .collect(),
        history: memory.history.iter().map(history_status).collect(),
        guarded: memory.guarded,
        ..ChampionPolicyStatus::default()
    }
}

/// Versions with the inputs of their scorers: the champion, which may be old, and then the newest first. Of two numbers the longer one is newer.
fn newest_scored(memory: &Memory) -> Vec<(&String, &String)> {
    let champion = memory.champion.as_ref().map(|champion| &champion.version);
    let mut scored: Vec<_> = memory.scored.iter().collect();
    scored.sort_by_key(|(version, _)| {
        let is_champion = Some(*version) == champion;
        Reverse((is_champion, version.len(), *version))
    });
    scored
}

fn pending_status(pending: &PendingDecision) -> PendingDecisionStatus {
    PendingDecisionStatus {
        id: pending.id.clone(),
        cause: name_of(pending.wanted.cause),
        from: pending.wanted.from.clone(),
        to: pending.wanted.to.clone(),
        evidence_digest: pending.wanted.evidence_digest().to_string(),
        holdout: pending.wanted.evidence.as_ref().map(|e| e.holdout.clone()),
        sentence: cut(&pending.sentence),
        approvals: i32::try_from(pending.approvals).unwrap_or(i32::MAX),
        required: i32::try_from(pending.required).unwrap_or(i32::MAX),
    }
}

fn in_flight_status(in_flight: &InFlight) -> InFlightStatus {
    InFlightStatus {
        decision_id: in_flight.decision.clone(),
        epoch: integer(in_flight.epoch),
        cause: name_of(in_flight.cause),
        phase: name_of(in_flight.phase),
        from: in_flight.from.clone(),
        to: in_flight.to.clone(),
        evidence_digest: in_flight.evidence.as_ref().map(|e| e.digest.clone()),
        holdout: in_flight.evidence.as_ref().map(|e| e.holdout.clone()),
        sentence: cut(&in_flight.sentence),
        since: to_time(in_flight.since),
        attempts: i32::try_from(in_flight.attempts).unwrap_or(i32::MAX),
    }
}

fn refused_status(refusal: &Refusal) -> RefusedStatus {
    RefusedStatus {
        number: integer(refusal.number),
        version: refusal.version.clone(),
        evidence_digest: refusal.evidence.clone(),
        epoch: integer(refusal.epoch),
        by: refusal.by.chars().take(253).collect(),
        decision_id: refusal.decision.clone(),
        comment: refusal
            .comment
            .as_ref()
            .map(|text| text.chars().take(300).collect()),
        reconsidered: refusal.reconsidered,
        when: to_time(refusal.at),
    }
}

fn history_status(entry: &HistoryEntry) -> HistoryStatus {
    HistoryStatus {
        epoch: integer(entry.epoch),
        cause: name_of(entry.cause),
        outcome: entry.outcome.name(),
        actor: entry.actor.clone(),
        from: entry.from.clone(),
        to: entry.to.clone(),
        evidence: entry.evidence.clone(),
        sentence: cut(&entry.sentence),
        time: to_time(entry.at),
    }
}

fn cut(sentence: &str) -> String {
    sentence.chars().take(SENTENCE).collect()
}

fn number(of_status: i64) -> u64 {
    u64::try_from(of_status).unwrap_or(0)
}

fn integer(of_core: u64) -> i64 {
    i64::try_from(of_core).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::champion::Gate;
    use podium_core::time::Timestamp;
    use std::collections::BTreeMap;

    const WHEN: Timestamp = Timestamp(1_764_177_600_000);

    fn mk_memory() -> Memory {
        let history = |epoch, cause, outcome| HistoryEntry {
            epoch,
            cause,
            outcome,
            actor: "the policy".to_string(),
            from: Some("1".to_string()),
            to: Some("2".to_string()),
            evidence: Some("abc".to_string()),
            sentence: "v2 replaced v1.".to_string(),
            at: WHEN,
        };
        Memory {
            epoch: 7,
            champion: Some(ChampionRecord {
                version: "2".to_string(),
                since: WHEN,
                epoch: 7,
                origin: Origin::Promoted,
                decision: Some("d".to_string()),
                evidence: Some("abc".to_string()),
            }),
            previous: Some("1".to_string()),
            refusals: 6,
            refused: vec![Refusal {
                number: 6,
                version: "3".to_string(),
                evidence: None,
                epoch: 5,
                by: "somebody else".to_string(),
                decision: Some("c".to_string()),
                comment: Some("too many alerts".to_string()),
                reconsidered: true,
                at: WHEN,
            }],
            reconsidered: BTreeMap::from([("3".to_string(), 4)]),
            external: Some(ExternalChange {
                epoch: 5,
                from: Some("3".to_string()),
                to: None,
                at: WHEN,
            }),
            last_revert: Some(WHEN),
            pending: None,
            in_flight: Some(InFlight {
                decision: "e".to_string(),
                epoch: 8,
                cause: Cause::Pin,
                phase: MovePhase::Claimed,
                from: Some("2".to_string()),
                to: "1".to_string(),
                evidence: Some(Evidence {
                    digest: "sha256:1".to_string(),
                    holdout: "abc".to_string(),
                }),
                sentence: "v1 is pinned.".to_string(),
                since: WHEN,
                attempts: 2,
            }),
            history: vec![
                history(7, EpochCause::Promotion, EpochOutcome::Promoted),
                history(6, EpochCause::Promotion, EpochOutcome::Void(Gate::Window)),
            ],
            scored: BTreeMap::from([("2".to_string(), "inputs".to_string())]),
            guarded: true,
        }
    }

    #[test]
    fn of_many_scored_versions_the_champion_and_the_newest_are_remembered() {
        let mut memory = mk_memory();
        memory.scored = (1..=120)
            .map(|version| (version.to_string(), "inputs".to_string()))
            .collect();
        let champion = memory.champion.as_mut().unwrap();
        champion.version = "7".to_string();
        let status = policy_status(&memory, None);
        let kept: Vec<&str> = status.scored.iter().map(|it| it.version.as_str()).collect();
        assert_eq!(kept.len(), SCORED_KEPT);
        assert_eq!(kept[..3], ["7", "120", "119"]);
        assert_eq!(kept[SCORED_KEPT - 1], "72");
    }

    #[test]
    fn a_memory_survives_its_status() {
        let memory = mk_memory();
        let status = policy_status(&memory, None);
        let text = serde_json::to_string(&status).unwrap();
        let read: ChampionPolicyStatus = serde_json::from_str(&text).unwrap();
        assert_eq!(memory_of(Some(&read)), memory);
        assert_eq!(memory_of(None), Memory::default());
    }
}
