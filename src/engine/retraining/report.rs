//! What is said of a retraining loop: its part of the policy's status, and events that are called as those of a CronJob.

use crate::engine::events::note;
use crate::engine::{Engine, Requeue};
use crate::ports::{Cluster, EventRecord, Events, PortError, PortErrorKind, Ports};
use kube::Resource;
use podium_api::ChampionPolicy;
use podium_api::champion_policy::{ChampionPolicyStatus, RetrainStatus};
use podium_api::convert::{
    retrain_status, retraining_sentence, settled_condition, to_time, with_conditions,
};
use podium_core::retraining::{Cause, Deletion, Plan, Search, SearchState, Start};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};

/// The condition of a policy that retrains.
const RETRAIN_READY: &str = "RetrainReady";
/// Its reasons where a loop could not be carried out.
const FAILURES: [&str; 2] = ["Forbidden", "CannotCarryOut"];
/// Characters that a sentence in a status may have.
const SENTENCE: usize = 4096;

impl<P: Ports> Engine<P> {
    /// Writes what a plan knows; whether that was new.
    pub(super) async fn report_loop(
        &self,
        policy: &ChampionPolicy,
        plan: &Plan,
        searches: &[Search],
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let ready = match plan.standing.is_ready() {
            true => Status::True,
            false => Status::False,
        };
        let before = policy.status.clone().unwrap_or_default();
        // What could not be done is told until it is done.
        let failed = failure_in(&before).filter(|_| plan.acts());
        let said = failed.unwrap_or_else(|| {
            condition(ready, plan.standing.reason(), &retraining_sentence(plan))
        });
        let retrain = RetrainStatus {
            message: Some(cut(&said.message)),
            ..retrain_status(plan)
        };
        let after = with_loop(&before, Some(retrain), &[said], now);
        let is_new = self.write_loop(policy, &before, &after).await?;
        for happened in changes(policy, &before, &after, plan, searches) {
            self.ports.events().publish(happened).await;
        }
        Ok(is_new)
    }

    /// Says why a loop could not be carried out.
    pub(super) async fn report_failed_loop(
        &self,
        name: &str,
        error: &PortError,
    ) -> Result<(), PortError> {
        // Its status may have been written before it failed.
        let found = self.ports.cluster().get::<ChampionPolicy>(name).await?;
        let Some(policy) = found else {
            return Ok(());
        };
        let reason = match error.kind {
            PortErrorKind::Forbidden => FAILURES[0],
            _ => FAILURES[1],
        };
        let said = condition(Status::False, reason, &error.message);
        let before = policy.status.clone().unwrap_or_default();
        let retrain = RetrainStatus {
            message: Some(cut(&error.message)),
            ..before.retrain.clone().unwrap_or_default()
        };
        let after = with_loop(&before, Some(retrain), &[said], self.now());
        self.write_loop(&policy, &before, &after).await.map(drop)
    }

    /// A policy that retrains no more says nothing of it. Requests that were answered stay so.
    pub(super) async fn forget_loop(&self, policy: &ChampionPolicy) -> Result<Requeue, PortError> {
        let before = policy.status.clone().unwrap_or_default();
        let answered = before.retrain.clone().map(|retrain| RetrainStatus {
            last_run_now: retrain.last_run_now,
            earlier_run_now: retrain.earlier_run_now,
            ..RetrainStatus::default()
        });
        let answered = answered.filter(|left| *left != RetrainStatus::default());
        let after = with_loop(&before, answered, &[], self.now());
        self.write_loop(policy, &before, &after).await?;
        Ok(Requeue::default())
    }

    /// The status remembers what was started, so it replaces nothing but what was read.
    async fn write_loop(
        &self,
        policy: &ChampionPolicy,
        before: &ChampionPolicyStatus,
        after: &ChampionPolicyStatus,
    ) -> Result<bool, PortError> {
        if before == after {
            return Ok(false);
        }
        let mut updated = policy.clone();
        updated.status = Some(after.clone());
        self.ports.cluster().replace_status(&updated).await?;
        Ok(true)
    }
}

fn cut(sentence: &str) -> String {
    sentence.chars().take(SENTENCE).collect()
}

fn condition(status: Status, reason: &str, message: &str) -> Condition {
    Condition {
        kind: RETRAIN_READY,
        status,
        reason: reason.to_string(),
        message: message.to_string(),
    }
}

/// What a status says of why the loop could not be carried out.
fn failure_in(status: &ChampionPolicyStatus) -> Option<Condition> {
    let (_, reason, message) = settled_condition(&status.conditions, RETRAIN_READY)?;
    let failed = FAILURES.contains(&reason);
    failed.then(|| condition(Status::False, reason, message))
}

/// The status with another word of the loop.
fn with_loop(
    before: &ChampionPolicyStatus,
    retrain: Option<RetrainStatus>,
    said: &[Condition],
    now: Timestamp,
) -> ChampionPolicyStatus {
    let others = before.conditions.iter();
    let others = others.filter(|condition| condition.type_ != RETRAIN_READY);
    let mut conditions: Vec<_> = others.cloned().collect();
    let generation = before.observed_generation;
    conditions.extend(with_conditions(&before.conditions, said, generation, now));
    ChampionPolicyStatus {
        conditions,
        retrain,
        ..before.clone()
    }
}

/// A status of the champion with what the status before said of the loop, as far as that was said of the same generation.
pub(in crate::engine) fn kept(
    mut status: ChampionPolicyStatus,
    before: &ChampionPolicyStatus,
) -> ChampionPolicyStatus {
    let generation = status.observed_generation;
    let said = before.conditions.iter().filter(|condition| {
        condition.type_ == RETRAIN_READY && condition.observed_generation == generation
    });
    status.conditions.extend(said.cloned());
    status.retrain.clone_from(&before.retrain);
    status
}

/// What became of the loop with a plan.
fn changes(
    policy: &ChampionPolicy,
    before: &ChampionPolicyStatus,
    after: &ChampionPolicyStatus,
    plan: &Plan,
    searches: &[Search],
) -> Vec<EventRecord> {
    let mut events = Vec::new();
    let was_active = before.retrain.iter().flat_map(|retrain| &retrain.active);
    for name in was_active.filter(|name| !plan.active.contains(name)) {
        let found = searches.iter().find(|search| search.name == *name);
        let how = match found.map(|search| search.state) {
            Some(SearchState::Succeeded(_)) => "Succeeded",
            Some(SearchState::Failed) => "Failed",
            Some(SearchState::Active) | None => continue,
        };
        let text = format!("the search {name} has ended: {how}");
        events.push(record(policy, false, "SawCompletedJob", &text));
    }
    if let Some(missed) = plan.missed {
        let text = format!(
            "no search was started for {}: `spec.retrain.startingDeadlineSeconds` have passed since",
            to_time(missed).0
        );
        events.push(record(policy, true, "MissSchedule", &text));
    }
    let ready = |status: &ChampionPolicyStatus| {
        let said = settled_condition(&status.conditions, RETRAIN_READY)?;
        Some((said.1.to_string(), said.2.to_string()))
    };
    let said = ready(after);
    if said != ready(before)
        && let Some((reason, message)) = said
    {
        match reason.as_str() {
            "AlreadyActive" => events.push(record(policy, false, "JobAlreadyActive", &message)),
            "InvalidTemplate" | "TemplateRefused" => {
                events.push(record(policy, true, &reason, &message));
            }
            _ => {}
        }
    }
    events
}

/// A search was created.
pub(super) fn started(policy: &ChampionPolicy, start: &Start) -> EventRecord {
    let text = format!("created the search {}", start.name);
    record(policy, false, "SuccessfulCreate", &text)
}

/// A search could not be created.
pub(super) fn not_started(
    policy: &ChampionPolicy,
    start: &Start,
    error: &PortError,
) -> EventRecord {
    let text = format!("the search {} was not created: {error}", start.name);
    record(policy, true, "FailedCreate", &text)
}

/// A search was deleted.
pub(super) fn deleted(policy: &ChampionPolicy, deletion: &Deletion) -> EventRecord {
    let name = &deletion.name;
    let text = match deletion.cause {
        Cause::Replaced => format!("deleted the search {name}, which another one replaces"),
        Cause::History => {
            format!("deleted the search {name}: newer ones that ended alike are kept")
        }
    };
    record(policy, false, "SuccessfulDelete", &text)
}

fn record(policy: &ChampionPolicy, warning: bool, reason: &str, text: &str) -> EventRecord {
    EventRecord {
        regarding: policy.object_ref(&()),
        related: None,
        warning,
        reason: reason.to_string(),
        action: "Retrain",
        note: note(text),
        took: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::convert::stalled_conditions;

    fn of_generation(generation: i64) -> ChampionPolicyStatus {
        let conditions = stalled_conditions("Paused", "why");
        ChampionPolicyStatus {
            observed_generation: Some(generation),
            conditions: with_conditions(&Vec::new(), &conditions, Some(generation), Timestamp(0)),
            ..ChampionPolicyStatus::default()
        }
    }

    #[test]
    fn what_is_said_of_the_loop_stays_beside_the_champion_until_the_specification_changes() {
        let said = condition(Status::True, "Scheduled", "soon");
        let retrain = RetrainStatus {
            last_run_now: Some("a".to_string()),
            ..RetrainStatus::default()
        };
        let first = of_generation(1);
        let told = with_loop(&first, Some(retrain.clone()), &[said], Timestamp(0));
        assert_eq!(told.conditions.len(), first.conditions.len() + 1);
        assert_eq!(told.observed_generation, Some(1));
        assert_eq!(kept(of_generation(1), &told), told);
        let changed = kept(of_generation(2), &told);
        assert_eq!(changed.conditions, of_generation(2).conditions);
        assert_eq!(changed.retrain, Some(retrain), "what was started is known");
        let silent = with_loop(&told, None, &[], Timestamp(0));
        assert_eq!(silent, first);
    }
}
