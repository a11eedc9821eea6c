//! One comparison: the statistics are stored as they were found; the verdict follows once a look was paid for it.

use super::{Engine, Requeue};
use crate::ports::{Cluster, EvaluationResult, EvaluationState, Evaluator, PortError, Ports};
use kube::ResourceExt;
use podium_api::Evaluation;
use podium_api::convert::{comparison_settings, measurements, to_time, with_conditions};
use podium_api::evaluation::{EvaluationSpec, EvaluationStatus, EvidenceStatus, LookStatus};
use podium_core::champion::{LookTaken, words};
use podium_core::comparison::{
    Comparison, Measurement, Naming, Statistics, Verdict, judge, sentence,
};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The phases of an `Evaluation`.
const COMPARED: &str = "Compared";
const FINISHED: &str = "Finished";
pub(super) const FAILED: &str = "Failed";

impl<P: Ports> Engine<P> {
    /// Takes a comparison one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn reconcile_evaluation(&self, name: &str) -> Result<Requeue, PortError> {
        let Some(mut evaluation) = self.ports.cluster().get::<Evaluation>(name).await? else {
            return Ok(Requeue::default());
        };
        let phase = evaluation.status.as_ref().and_then(|s| s.phase.as_deref());
        if matches!(phase, Some(COMPARED | FINISHED | FAILED)) {
            return Ok(Requeue::default());
        }
        let found = self.ports.evaluator().evaluate(name, &evaluation.spec);
        let found = match found.await {
            // Nothing but a change by somebody helps, so it stands where people look.
            Err(error) if !error.is_transient() => EvaluationState::Refused(error.message),
            found => found?,
        };
        let status = match found {
            EvaluationState::Pending => {
                return Ok(Requeue {
                    pending: true,
                    ..Requeue::default()
                });
            }
            EvaluationState::Finished(result) => compared_status(&evaluation, *result, self.now())?,
            EvaluationState::Refused(why) => failed_status(&evaluation, &why, self.now()),
        };
        evaluation.status = Some(status);
        self.ports.cluster().write_status(&evaluation).await?;
        Ok(Requeue {
            changed: true,
            ..Requeue::default()
        })
    }
}

fn as_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, PortError> {
    serde_json::to_value(value).map_err(|e| PortError::invalid(e.to_string()))
}

fn compared_status(
    evaluation: &Evaluation,
    result: EvaluationResult,
    now: Timestamp,
) -> Result<EvaluationStatus, PortError> {
    let message = "the statistics are there; the verdict waits for its look at the holdout";
    Ok(EvaluationStatus {
        phase: Some(COMPARED.to_string()),
        seed: i64::try_from(result.statistics.seed).ok(),
        statistics: Some(as_json(&result.statistics)?),
        evidence: Some(EvidenceStatus {
            // The clock of whoever read is not this one.
            read_time: result.evidence.read_time.or_else(|| Some(to_time(now))),
            ..result.evidence
        }),
        ..with_end(evaluation, "Compared", message, None, now)
    })
}

fn failed_status(evaluation: &Evaluation, why: &str, now: Timestamp) -> EvaluationStatus {
    EvaluationStatus {
        phase: Some(FAILED.to_string()),
        message: Some(why.chars().take(4096).collect()),
        ..with_end(evaluation, "EvidenceRefused", why, Some(false), now)
    }
}

/// A status with its conditions: `good` says how it ended, if it did.
fn with_end(
    evaluation: &Evaluation,
    reason: &str,
    message: &str,
    good: Option<bool>,
    now: Timestamp,
) -> EvaluationStatus {
    let condition = |kind, holds: bool| Condition {
        kind,
        status: if holds { Status::True } else { Status::False },
        reason: reason.to_string(),
        message: message.chars().take(32_768).collect(),
    };
    let conditions = [
        condition("Ready", good.unwrap_or(false)),
        condition("Finished", good.is_some()),
    ];
    let before = evaluation.status.clone().unwrap_or_default();
    let generation = evaluation.metadata.generation;
    EvaluationStatus {
        observed_generation: generation,
        conditions: with_conditions(&before.conditions, &conditions, generation, now),
        completion_time: good.map(|_| to_time(now)),
        ..before
    }
}

/// A verdict as it follows from a status: recomputed from the statistics, not believed.
pub struct JudgedStatus {
    /// What was decided.
    pub comparison: Comparison,
    /// The look it was decided at; `None` where the holdout could not answer.
    pub look: Option<LookStatus>,
}

/// The verdict of a status that has one.
#[must_use]
pub fn judged(
    spec: &EvaluationSpec,
    status: &EvaluationStatus,
    statistics: &Statistics,
) -> Option<JudgedStatus> {
    (status.phase.as_deref() == Some(FINISHED)).then(|| {
        let error = status.look.as_ref().map(|look| look.allowed_error);
        JudgedStatus {
            comparison: comparison_of(spec, statistics, error),
            look: status.look.clone(),
        }
    })
}

/// The statistics judged at an error; at the nominal one where the holdout cannot answer.
#[must_use]
pub fn comparison_of(
    spec: &EvaluationSpec,
    statistics: &Statistics,
    allowed_error: Option<f64>,
) -> Comparison {
    let nominal = comparison_settings(&spec.test).one_sided_error();
    let measurements = measurements_of(spec, &measurements(&spec.test));
    judge(statistics, &measurements, allowed_error.unwrap_or(nominal))
}

/// The numbers of both versions, with what guardrails allow.
#[must_use]
pub fn measurements_of(spec: &EvaluationSpec, allowed: &BTreeMap<String, f64>) -> Vec<Measurement> {
    let measured = spec.measurements.iter();
    measured
        .filter_map(|pair| {
            Some(Measurement {
                name: pair.name.clone(),
                champion: pair.champion,
                challenger: pair.challenger,
                max_increase_percent: *allowed.get(&pair.name)?,
            })
        })
        .collect()
}

/// Two values of one field.
pub struct Difference {
    /// Where the field stands.
    pub path: String,
    /// The value on the left.
    pub left: Value,
    /// The value on the right.
    pub right: Value,
}

/// The first field in which two documents differ, by the order of their keys.
#[must_use]
pub fn first_difference(path: &str, left: &Value, right: &Value) -> Option<Difference> {
    match (left, right) {
        (Value::Object(of_left), Value::Object(of_right)) => {
            let keys: BTreeSet<&String> = of_left.keys().chain(of_right.keys()).collect();
            keys.into_iter().find_map(|key| {
                let of = |map: &serde_json::Map<_, _>| map.get(key).cloned().unwrap_or_default();
                first_difference(&format!("{path}.{key}"), &of(of_left), &of(of_right))
            })
        }
        (Value::Array(of_left), Value::Array(of_right)) if of_left.len() == of_right.len() => {
            let mut pairs = of_left.iter().zip(of_right).enumerate();
            pairs.find_map(|(index, (left, right))| {
                first_difference(&format!("{path}[{index}]"), left, right)
            })
        }
        (left, right) if left == right => None,
        (left, right) => Some(Difference {
            path: path.to_string(),
            left: left.clone(),
            right: right.clone(),
        }),
    }
}

/// The status with the verdict that is taken at `look`.
///
/// # Errors
/// The statistics cannot be read.
pub(super) fn judged_status(
    evaluation: &Evaluation,
    look: Option<&LookTaken>,
    now: Timestamp,
) -> Result<EvaluationStatus, PortError> {
    let statistics = evaluation
        .status
        .as_ref()
        .and_then(|s| s.statistics.clone());
    let statistics: Statistics =
        serde_json::from_value(statistics.unwrap_or_default()).map_err(|error| {
            PortError::refused(format!(
                "the status of the Evaluation {} cannot be read: {error}",
                evaluation.name_any()
            ))
        })?;
    let spec = &evaluation.spec;
    let comparison = comparison_of(spec, &statistics, look.map(|look| look.allowed_error));
    let sentence = sentence_of(spec, &comparison, look.map(|look| look.ordinal));
    Ok(EvaluationStatus {
        phase: Some(FINISHED.to_string()),
        look: look.map(look_status),
        verdict: Some(comparison.verdict.name().to_string()),
        minimum_detectable_effect: comparison.minimum_detectable_effect,
        sentence: Some(sentence.chars().take(4096).collect()),
        ..with_end(
            evaluation,
            reason_of(&comparison.verdict),
            &sentence,
            Some(true),
            now,
        )
    })
}

fn reason_of(verdict: &Verdict) -> &'static str {
    verdict.name()
}

/// The verdict in plain words.
#[must_use]
pub fn sentence_of(spec: &EvaluationSpec, comparison: &Comparison, look: Option<u32>) -> String {
    let naming = Naming {
        champion: &words::version(&spec.champion.version),
        challenger: &words::version(&spec.challenger.version),
        rows: &spec.rows_noun,
        look,
    };
    sentence(comparison, &naming)
}

fn look_status(look: &LookTaken) -> LookStatus {
    LookStatus {
        number: i64::try_from(look.number).unwrap_or(i64::MAX),
        ordinal: i32::try_from(look.ordinal).unwrap_or(i32::MAX),
        challengers: i32::try_from(look.challengers).unwrap_or(i32::MAX),
        allowed_error: look.allowed_error,
    }
}
