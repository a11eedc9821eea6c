//! Between what the core knows of a trial or a search and what stands in a status.

use crate::Trial;
use crate::schema::Conditions;
use crate::trial::{TrialAttempt, TrialMetric, TrialStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff;
use podium_core::report::CombinedMetric;
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition as Said, Status};
use podium_core::tuning::trial::{self, Attempt, Phase, Reason, TrialRecord};
use podium_core::value::{Configuration, ParameterValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A time of the core as one of a status, to the second.
#[must_use]
pub fn to_time(timestamp: Timestamp) -> Time {
    let seconds = timestamp.0.div_euclid(1000);
    Time(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX))
}

/// A time of a status as one of the core.
#[must_use]
pub fn from_time(time: &Time) -> Timestamp {
    Timestamp(time.0.as_millisecond())
}

/// The name that an enumeration of the core has in a status.
pub fn name_of<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

pub(super) fn parse<T: DeserializeOwned>(name: Option<&str>) -> Option<T> {
    serde_json::from_value(Value::String(name?.to_string())).ok()
}

/// What a status says of a trial.
#[must_use]
pub fn record_of(status: Option<&TrialStatus>) -> TrialRecord {
    let Some(status) = status else {
        return TrialRecord::default();
    };
    let said = parse(status.phase.as_deref()).unwrap_or(Phase::Pending);
    TrialRecord {
        // Every end has a time. What somebody else calls an end has none, and the trial goes on.
        phase: match (said.is_finished(), &status.completion_time) {
            (true, None) if status.start_time.is_some() => Phase::Running,
            (true, None) => Phase::Pending,
            _ => said,
        },
        objective: status.objective,
        metrics: status
            .metrics
            .iter()
            .map(|m| CombinedMetric {
                name: m.name.clone(),
                value: m.value,
                weight: m.weight,
                parts: u32::try_from(m.parts).unwrap_or(0),
            })
            .collect(),
        attempts: status
            .attempts
            .iter()
            .map(|a| Attempt {
                number: u32::try_from(a.number).unwrap_or(0),
                pod: a.pod_name.clone(),
                started: a.start_time.as_ref().map(from_time),
                reason: parse::<Reason>(a.reason.as_deref()),
                ended: a.completion_time.as_ref().map(from_time),
            })
            .collect(),
        start: status.start_time.as_ref().map(from_time),
        completion: status.completion_time.as_ref().map(from_time),
        reason: parse(status.reason.as_deref()),
        message: status.message.clone().unwrap_or_default(),
    }
}

/// Whether phase and conditions of a trial are those of its record, and not what somebody else says of it.
#[must_use]
pub fn matches_record(status: Option<&TrialStatus>, record: &TrialRecord) -> bool {
    let Some(status) = status else {
        return true;
    };
    let is_new = record.phase == Phase::Pending && status.conditions.is_empty();
    status.phase.as_deref() == Some(record.phase.as_str())
        && (is_new || conditions_match(&status.conditions, &trial::conditions(record)))
}

/// Whether a condition of this type is Podium's to say. Others may add conditions of their own.
#[must_use]
pub fn is_own_condition(kind: &str) -> bool {
    let own = [
        "Ready",
        "Succeeded",
        "Finished",
        "Suspended",
        "Reconciling",
        "Stalled",
    ];
    own.contains(&kind)
}

/// Whether the stored conditions that are Podium's are these.
#[must_use]
pub fn conditions_match(stored: &Conditions, said: &[Said]) -> bool {
    let own = stored.iter().filter(|c| is_own_condition(&c.type_));
    own.count() == said.len()
        && said.iter().all(|said| {
            let found = settled_condition(stored, said.kind);
            found.is_some_and(|(status, reason, _)| {
                status == said.status.as_str() && reason == said.reason
            })
        })
}

/// The status that says what a record knows of a trial.
#[must_use]
pub fn trial_status(
    record: &TrialRecord,
    trial: &Trial,
    output_uri: Option<String>,
    now: Timestamp,
) -> TrialStatus {
    let generation = trial.metadata.generation;
    let known = trial.status.as_ref();
    let before = known.map(|status| &status.conditions);
    TrialStatus {
        observed_generation: generation,
        phase: Some(name_of(record.phase)),
        conditions: with_conditions(
            before.unwrap_or(&Vec::new()),
            &trial::conditions(record),
            generation,
            now,
        ),
        objective: record.objective,
        metrics: record
            .metrics
            .iter()
            .map(|m| TrialMetric {
                name: m.name.clone(),
                value: m.value,
                weight: m.weight,
                parts: i32::try_from(m.parts).unwrap_or(i32::MAX),
            })
            .collect(),
        attempts: record
            .attempts
            .iter()
            .map(|a| TrialAttempt {
                number: i32::try_from(a.number).unwrap_or(i32::MAX),
                pod_name: a.pod.clone(),
                start_time: a.started.map(to_time),
                reason: a.reason.map(name_of),
                completion_time: a.ended.map(to_time),
            })
            .collect(),
        start_time: record.start.map(to_time),
        completion_time: record.completion.map(to_time),
        duration: record
            .completion
            .zip(record.start)
            .map(|(end, start)| duration(end.milliseconds_since(start))),
        parameters_text: Some(parameters_text(&trial.spec.parameters)),
        // Not the record's to say, and kept whatever it says.
        mlflow_run_id: known.and_then(|status| status.mlflow_run_id.clone()),
        mlflow_run_status: known.and_then(|status| status.mlflow_run_status.clone()),
        output_uri,
        reason: record.reason.map(name_of),
        message: Some(record.message.chars().take(4096).collect())
            .filter(|m: &String| !m.is_empty()),
    }
}

/// `4.2s`, `3m12s`, `2h5m`.
fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        ..60 => format!("{}.{}s", seconds, milliseconds % 1000 / 100),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The configuration in one line of at most 500 characters.
#[must_use]
pub fn parameters_text(parameters: &Configuration) -> String {
    let all: Vec<String> = parameters
        .iter()
        .map(|(name, value)| match value {
            ParameterValue::Real(number) => format!("{name}={}", six_digits(*number)),
            ParameterValue::Integer(_) | ParameterValue::Text(_) => format!("{name}={value}"),
        })
        .collect();
    all.join(",").chars().take(500).collect()
}

/// A number with at most six significant digits, for people.
fn six_digits(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

/// The conditions as said now: a transition time changes only where the status did, and nothing is
/// written again where nothing changed.
#[must_use]
pub fn with_conditions(
    before: &Conditions,
    said: &[Said],
    generation: Option<i64>,
    now: Timestamp,
) -> Conditions {
    said.iter()
        .map(|said| {
            let old = before.iter().find(|c| c.type_ == said.kind);
            let unchanged = old.filter(|c| c.status == said.status.as_str());
            Condition {
                type_: said.kind.to_string(),
                status: said.status.as_str().to_string(),
                reason: said.reason.clone(),
                message: said.message.clone(),
                observed_generation: generation,
                last_transition_time: unchanged
                    .map_or_else(|| to_time(now), |c| c.last_transition_time.clone()),
            }
        })
        .collect()
}

/// The conditions of an object with which nothing is done until somebody changes something: what kstatus calls failed.
#[must_use]
pub fn stalled_conditions(reason: &str, message: &str) -> Vec<Said> {
    let condition = |kind, status| Said {
        kind,
        status,
        reason: reason.to_string(),
        message: message.to_string(),
    };
    vec![
        condition("Ready", Status::False),
        condition("Stalled", Status::True),
    ]
}

/// Whether a stored condition of this type is `True`, and its reason and message.
#[must_use]
pub fn settled_condition<'a>(
    conditions: &'a Conditions,
    kind: &str,
) -> Option<(&'a str, &'a str, &'a str)> {
    conditions
        .iter()
        .find(|c| c.type_ == kind)
        .map(|c| (c.status.as_str(), c.reason.as_str(), c.message.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_status(record: &TrialRecord) -> TrialStatus {
        let spec = crate::TrialSpec {
            index: 1,
            parameters: Configuration::new(),
            seed: 1,
            origin: "Random".to_string(),
        };
        trial_status(record, &Trial::new("forest-1", spec), None, Timestamp(1000))
    }

    #[test]
    fn what_somebody_else_calls_an_end_is_none() {
        let running = TrialRecord {
            phase: Phase::Running,
            start: Some(Timestamp(1000)),
            ..TrialRecord::default()
        };
        let mut status = mk_status(&running);
        assert_eq!(record_of(Some(&status)), running);
        assert!(matches_record(Some(&status), &running));
        status.phase = Some("Failed".to_string());
        assert_eq!(record_of(Some(&status)).phase, Phase::Running);
        assert!(!matches_record(Some(&status), &running));
        status.start_time = None;
        assert_eq!(record_of(Some(&status)).phase, Phase::Pending);
        let ended = TrialRecord {
            phase: Phase::Failed,
            completion: Some(Timestamp(2000)),
            ..running
        };
        assert_eq!(record_of(Some(&mk_status(&ended))), ended);
    }

    #[test]
    fn conditions_of_others_are_theirs() {
        let record = TrialRecord::default();
        let mut status = mk_status(&record);
        let condition = |kind: &str| Condition {
            type_: kind.to_string(),
            ..status.conditions[0].clone()
        };
        let (foreign, stalled) = (condition("example.com/Approved"), condition("Stalled"));
        status.conditions.push(foreign);
        assert!(matches_record(Some(&status), &record));
        status.conditions.push(stalled);
        assert!(!matches_record(Some(&status), &record));
        status.conditions.clear();
        assert!(
            matches_record(Some(&status), &record),
            "as the API server makes it"
        );
    }

    #[test]
    fn parameters_are_short_for_people() {
        let configuration = Configuration::from([
            ("depth".to_string(), ParameterValue::Integer(7)),
            ("kind".to_string(), ParameterValue::Text("gini".to_string())),
            (
                "rate".to_string(),
                ParameterValue::Real(0.624_737_089_344_035_5),
            ),
            ("tiny".to_string(), ParameterValue::Real(1.234_567_891e-9)),
        ]);
        assert_eq!(
            parameters_text(&configuration),
            "depth=7,kind=gini,rate=0.624737,tiny=0.00000000123457"
        );
    }
}
