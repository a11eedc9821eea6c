//! Between what the core knows of a retraining loop and what stands in statuses and annotations.

use super::status::{from_time, to_time};
use crate::champion_policy::RetrainStatus;
use crate::schema::StatusTime;
use crate::{RUN_NOW_ANNOTATION, SCHEDULED_TIME_ANNOTATION, TuningJob};
use kube::ResourceExt;
use podium_core::champion::ledger::bounded;
use podium_core::retraining::{Memory, Occasion, Plan, Search, SearchState, SeenSchedule};
use podium_core::time::Timestamp;

/// Characters that a value of a request may have in a status.
const LONGEST_REQUEST: usize = 250;
/// Searches that a status names.
const MOST_ACTIVE: usize = 100;
/// Characters that a sentence in a status may have.
const SENTENCE: usize = 4096;

/// The annotation of a search that tells what it was started for.
#[must_use]
pub fn annotation_of(occasion: &Occasion) -> (String, String) {
    match occasion {
        Occasion::Schedule(time) => (SCHEDULED_TIME_ANNOTATION.to_string(), shown(*time)),
        Occasion::RunNow(value) => (RUN_NOW_ANNOTATION.to_string(), value.clone()),
    }
}

/// The value of a request, as far as it is kept.
#[must_use]
pub fn request_of(value: &str) -> String {
    bounded(value.trim(), LONGEST_REQUEST)
}

/// A search as the core sees it.
#[must_use]
pub fn retraining_search(job: &TuningJob) -> Search {
    let status = job.status.as_ref();
    let completed = status.and_then(|status| status.completion_time.as_ref());
    let phase = status.and_then(|status| status.phase.as_deref());
    Search {
        name: job.name_any(),
        occasion: occasion_of(job),
        state: match (phase, completed) {
            (Some("Succeeded"), Some(at)) => SearchState::Succeeded(from_time(at)),
            (Some("Failed"), Some(_)) => SearchState::Failed,
            _ => SearchState::Active,
        },
        created: job
            .creation_timestamp()
            .map_or(Timestamp(0), |time| from_time(&time)),
        deleting: job.metadata.deletion_timestamp.is_some(),
    }
}

fn occasion_of(job: &TuningJob) -> Option<Occasion> {
    let annotations = job.annotations();
    if let Some(time) = annotations.get(SCHEDULED_TIME_ANNOTATION) {
        let time: jiff::Timestamp = time.parse().ok()?;
        return Some(Occasion::Schedule(Timestamp(time.as_millisecond())));
    }
    let value = annotations.get(RUN_NOW_ANNOTATION)?;
    // It may become a part of a status, and anybody may have written it who may write searches.
    Some(Occasion::RunNow(request_of(value)))
}

/// What the status of a loop remembers.
#[must_use]
pub fn retraining_memory(status: Option<&RetrainStatus>) -> Memory {
    let Some(status) = status else {
        return Memory::default();
    };
    let time = |of: &Option<StatusTime>| of.as_ref().map(from_time);
    let schedule = status
        .schedule
        .clone()
        .zip(status.schedule_since.as_ref().map(from_time));
    Memory {
        schedule: schedule.map(|(schedule, since)| SeenSchedule { schedule, since }),
        last_schedule: time(&status.last_schedule_time),
        last_missed: time(&status.last_missed_time),
        answered: status
            .last_run_now
            .iter()
            .chain(&status.earlier_run_now)
            .cloned()
            .collect(),
        last_successful: time(&status.last_successful_time),
    }
}

/// The status that says what a plan knows.
#[must_use]
pub fn retrain_status(plan: &Plan) -> RetrainStatus {
    let Memory {
        schedule,
        last_schedule,
        last_missed,
        answered,
        last_successful,
    } = plan.memory.clone();
    let mut answered = answered.into_iter();
    let (schedule, since) = schedule.map(|seen| (seen.schedule, seen.since)).unzip();
    RetrainStatus {
        last_schedule_time: last_schedule.map(to_time),
        last_successful_time: last_successful.map(to_time),
        last_missed_time: last_missed.map(to_time),
        next_schedule_time: plan.next_schedule.map(to_time),
        active: plan.active.iter().take(MOST_ACTIVE).cloned().collect(),
        last_run_now: answered.next(),
        earlier_run_now: answered.collect(),
        schedule,
        schedule_since: since.map(to_time),
        message: Some(retraining_sentence(plan)),
    }
}

/// Where a loop stands, in one sentence.
#[must_use]
pub fn retraining_sentence(plan: &Plan) -> String {
    let sentence = plan.standing.sentence(shown);
    sentence.chars().take(SENTENCE).collect()
}

/// A time as statuses and annotations have it.
fn shown(time: Timestamp) -> String {
    to_time(time).0.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::tuning_settings;
    use podium_core::retraining::{Standing, search_name};
    use serde_json::{Value, json};

    #[test]
    fn a_status_remembers_and_an_annotation_tells_what_a_search_was_started_for() {
        let memory = Memory {
            schedule: Some(SeenSchedule {
                schedule: "@daily UTC".to_string(),
                since: Timestamp(1_764_000_000_000),
            }),
            last_schedule: Some(Timestamp(1_764_100_000_000)),
            last_missed: Some(Timestamp(1_764_200_000_000)),
            answered: vec!["b".to_string(), "a".to_string()],
            last_successful: Some(Timestamp(1_764_300_000_000)),
        };
        let plan = Plan {
            memory: memory.clone(),
            delete: Vec::new(),
            start: Vec::new(),
            standing: Standing::PolicySuspended,
            active: Vec::new(),
            next_schedule: None,
            missed: None,
            look_again_at: None,
        };
        let status = serde_json::to_value(retrain_status(&plan)).unwrap();
        let status: RetrainStatus = serde_json::from_value(status).unwrap();
        assert_eq!(retraining_memory(Some(&status)), memory);
        for occasion in [
            Occasion::Schedule(Timestamp(1_764_100_000_000)),
            Occasion::RunNow("by hand".to_string()),
        ] {
            let mut job = TuningJob::new("a", serde_json::from_value(small_search()).unwrap());
            job.metadata.annotations = Some([annotation_of(&occasion)].into());
            assert_eq!(retraining_search(&job).occasion, Some(occasion));
        }
        let mut job = TuningJob::new("a", serde_json::from_value(small_search()).unwrap());
        let long = (RUN_NOW_ANNOTATION.to_string(), "x".repeat(100_000));
        job.metadata.annotations = Some([long].into());
        let told = retraining_search(&job).occasion;
        let fits = |value: &String| value.len() <= LONGEST_REQUEST && request_of(value) == *value;
        assert!(matches!(&told, Some(Occasion::RunNow(value)) if fits(value)));
    }

    fn small_search() -> Value {
        json!({
            "maxTrials": 1, "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "x", "real": {"min": 0.0, "max": 1.0}}],
            "trial": {"job": {"template": {"spec": {"containers": [{"name": "train"}]}}}},
        })
    }

    #[test]
    fn the_longest_names_of_searches_are_taken_by_searches() {
        let time = Occasion::Schedule(Timestamp(1_764_100_000_000));
        for occasion in [time, Occasion::RunNow("by hand".to_string())] {
            let name = search_name(&"p".repeat(253), &occasion);
            let job = TuningJob::new(&name, serde_json::from_value(small_search()).unwrap());
            assert!(tuning_settings(&job).is_ok(), "{name}");
        }
    }
}
