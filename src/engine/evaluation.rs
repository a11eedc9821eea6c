//! One comparison: the statistics are stored as they were found; the verdict follows once a look was paid for it.

use super::evaluation_report::with_report;
use crate::ports::{EvaluationResult, PortError, Wait};
use kube::ResourceExt;
use podium_api::Evaluation;
use podium_api::convert::{
    comparison_settings, from_time, measurements, settled_condition, to_time, with_conditions,
};
use podium_api::evaluation::{EvaluationSpec, EvaluationStatus, EvidenceStatus, LookStatus};
use podium_core::champion::{LookTaken, words};
use podium_core::comparison::{
    Comparison, Measurement, Naming, Statistics, Verdict, judge, sentence,
};
use podium_core::evaluation::{EvidenceFile, Place, Runs};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The phases of an `Evaluation`.
pub(super) const PENDING: &str = "Pending";
pub(super) const WAITING: &str = "Waiting";
pub(super) const COMPARED: &str = "Compared";
pub(super) const FINISHED: &str = "Finished";
pub(super) const FAILED: &str = "Failed";

/// The reason of one that failed by the fault of its files.
pub(super) const EVIDENCE_REFUSED: &str = "EvidenceRefused";
/// The reasons of one whose files are missing, and of one whose files cannot be read for now.
pub(super) const EVIDENCE_MISSING: &str = "EvidenceMissing";
pub(super) const EVIDENCE_UNREADABLE: &str = "EvidenceUnreadable";

/// Characters of a message in a status, and of one in a condition.
const MESSAGE: usize = 4096;
const CONDITION_MESSAGE: usize = 32_768;

fn as_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, PortError> {
    serde_json::to_value(value).map_err(|e| PortError::invalid(e.to_string()))
}

/// The address of a file of a comparison; `None` for one that it does not have.
pub(super) fn uri_of(spec: &EvaluationSpec, file: EvidenceFile) -> Option<&str> {
    match file {
        EvidenceFile::Champion => Some(&spec.champion.predictions),
        EvidenceFile::Challenger => Some(&spec.challenger.predictions),
        EvidenceFile::Holdout => spec.holdout.as_ref().map(|holdout| holdout.uri.as_str()),
    }
}

/// What a status says of the runs.
pub(super) fn runs_of(evaluation: &Evaluation) -> Runs {
    let status = evaluation.status.clone().unwrap_or_default();
    let count = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
    let is_missing = |file: &EvidenceFile| {
        let uri = uri_of(&evaluation.spec, *file);
        uri.is_some_and(|uri| status.missing.iter().any(|missing| missing == uri))
    };
    Runs {
        begun: count(status.attempts),
        lost: count(status.lost_runs),
        missing: EvidenceFile::ALL.into_iter().filter(is_missing).collect(),
        missing_since: status.missing_since.as_ref().map(from_time),
        next: status.next_attempt_time.as_ref().map(from_time),
    }
}

/// The status with these runs; `words` say what is waited for.
fn with_runs(status: EvaluationStatus, evaluation: &Evaluation, runs: &Runs) -> EvaluationStatus {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let missing = runs.missing.iter().copied();
    let phase = match runs.place() {
        Place::Waits(_) => WAITING,
        Place::Counts | Place::Pauses(_) => PENDING,
    };
    EvaluationStatus {
        phase: Some(phase.to_string()),
        attempts: Some(count(runs.begun)),
        lost_runs: (runs.lost > 0).then(|| count(runs.lost)),
        missing: missing
            .filter_map(|file| uri_of(&evaluation.spec, file))
            .map(str::to_string)
            .collect(),
        missing_since: runs.missing_since.map(to_time),
        next_attempt_time: runs.next.map(to_time),
        ..status
    }
}

/// What a comparison lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) reason: &'static str,
    pub(super) words: String,
}

/// Which files are missing, since when, and how long they are waited for; `None` when none are.
pub(super) fn missing_files(
    spec: &EvaluationSpec,
    runs: &Runs,
    deadline_seconds: u64,
) -> Option<Lack> {
    let since = runs.missing_since?;
    let uris: Vec<&str> = runs
        .missing
        .iter()
        .filter_map(|file| uri_of(spec, *file))
        .collect();
    let (have, are) = match uris.len() {
        0 => return None,
        1 => ("has", "it is"),
        _ => ("have", "they are"),
    };
    let until = since.plus_seconds(deadline_seconds);
    Some(Lack {
        reason: EVIDENCE_MISSING,
        words: format!(
            "{} {have} been missing since {}; {are} waited for until {}",
            uris.join(" and "),
            to_time(since).0,
            to_time(until).0
        ),
    })
}

/// Why files cannot be read, and how long that is tried.
pub(super) fn unreadable_files(why: &str, runs: &Runs, deadline_seconds: u64) -> Lack {
    let since = runs.missing_since.unwrap_or(Timestamp(0));
    let until = to_time(since.plus_seconds(deadline_seconds)).0;
    Lack {
        reason: EVIDENCE_UNREADABLE,
        words: format!("{why}; it is tried again until {until}"),
    }
}

/// What a comparison lacked when it was last told of.
pub(super) fn told_lack(evaluation: &Evaluation) -> Option<Lack> {
    let status = evaluation.status.as_ref()?;
    let (_, told, _) = settled_condition(&status.conditions, "Ready")?;
    let mut reasons = [EVIDENCE_MISSING, EVIDENCE_UNREADABLE].into_iter();
    let reason = reasons.find(|reason| *reason == told)?;
    let words = status.message.clone()?;
    Some(Lack { reason, words })
}

/// The status of a comparison whose next run is to begin, for this generation of its policy; what it lacks stands until a run has found it.
pub(super) fn ordered_status(
    evaluation: &Evaluation,
    runs: &Runs,
    lack: Option<Lack>,
    policy_generation: Option<i64>,
    now: Timestamp,
) -> EvaluationStatus {
    EvaluationStatus {
        policy_generation,
        ..running_status(evaluation, runs, lack, None, now)
    }
}

/// The status of a comparison whose run goes on, or is to begin; what it lacks, and what its run waits for.
pub(super) fn running_status(
    evaluation: &Evaluation,
    runs: &Runs,
    lack: Option<Lack>,
    wait: Option<&Wait>,
    now: Timestamp,
) -> EvaluationStatus {
    let (reason, message) = match (wait, lack) {
        (Some(wait), _) => (wait.reason, Some(wait.why.clone())),
        (None, Some(lack)) => (lack.reason, Some(lack.words)),
        (None, None) => ("Comparing", None),
    };
    let said = message.as_deref();
    let said = said.unwrap_or("the versions are being compared");
    let status = with_stage(evaluation, Stage::GoesOn, reason, said, now);
    EvaluationStatus {
        message: message.as_deref().map(cut),
        ..with_runs(status, evaluation, runs)
    }
}

/// The status of a comparison whose run ended without deciding it: what it lacked, or that it was lost.
pub(super) fn again_status(
    evaluation: &Evaluation,
    runs: &Runs,
    lack: &Lack,
    now: Timestamp,
) -> EvaluationStatus {
    let status = with_stage(evaluation, Stage::GoesOn, lack.reason, &lack.words, now);
    EvaluationStatus {
        message: Some(cut(&lack.words)),
        ..with_runs(status, evaluation, runs)
    }
}

pub(super) fn compared_status(
    evaluation: &Evaluation,
    result: EvaluationResult,
    page: Option<&str>,
    now: Timestamp,
) -> Result<EvaluationStatus, PortError> {
    let message = "the statistics are there; the verdict waits for its look at the holdout";
    let status = with_stage(evaluation, Stage::GoesOn, COMPARED, message, now);
    Ok(EvaluationStatus {
        phase: Some(COMPARED.to_string()),
        seed: i64::try_from(result.statistics.seed).ok(),
        statistics: Some(as_json(&result.statistics)?),
        left_out: result.left_out,
        evidence: Some(EvidenceStatus {
            // The clock of whoever read is not this one.
            read_time: result.evidence.read_time.or_else(|| Some(to_time(now))),
            ..result.evidence
        }),
        ..without_waits(with_report(status, page, result.report.as_ref()))
    })
}

pub(super) fn failed_status(
    evaluation: &Evaluation,
    reason: &str,
    why: &str,
    now: Timestamp,
) -> EvaluationStatus {
    let status = with_stage(evaluation, Stage::Failed, reason, why, now);
    EvaluationStatus {
        phase: Some(FAILED.to_string()),
        message: Some(cut(why)),
        completion_time: Some(to_time(now)),
        ..without_waits(status)
    }
}

/// Nothing is waited for any more.
fn without_waits(status: EvaluationStatus) -> EvaluationStatus {
    EvaluationStatus {
        message: None,
        missing: Vec::new(),
        missing_since: None,
        next_attempt_time: None,
        lost_runs: None,
        ..status
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}

/// How far a comparison is, as its conditions tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    GoesOn,
    Finished,
    Failed,
}

/// The status with its conditions.
fn with_stage(
    evaluation: &Evaluation,
    stage: Stage,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> EvaluationStatus {
    let condition = |kind, holds: bool| Condition {
        kind,
        status: if holds { Status::True } else { Status::False },
        reason: reason.to_string(),
        message: message.chars().take(CONDITION_MESSAGE).collect(),
    };
    let mut conditions = vec![
        condition("Ready", stage == Stage::Finished),
        condition("Finished", stage != Stage::GoesOn),
    ];
    // What is abnormal is absent instead of false.
    match stage {
        Stage::GoesOn => conditions.push(condition("Reconciling", true)),
        Stage::Failed => conditions.push(condition("Stalled", true)),
        Stage::Finished => {}
    }
    let before = evaluation.status.clone().unwrap_or_default();
    let generation = evaluation.metadata.generation;
    EvaluationStatus {
        observed_generation: generation,
        conditions: with_conditions(&before.conditions, &conditions, generation, now),
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
        completion_time: Some(to_time(now)),
        look: look.map(look_status),
        verdict: Some(comparison.verdict.name().to_string()),
        minimum_detectable_effect: comparison.minimum_detectable_effect,
        sentence: Some(cut(&sentence)),
        ..with_stage(
            evaluation,
            Stage::Finished,
            reason_of(&comparison.verdict),
            &sentence,
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
