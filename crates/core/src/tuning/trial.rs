//! Plans one trial: when its run starts, what its end means, when it is tried again.

use crate::expression::Expression;
use crate::objective::{Judgement, Objective};
use crate::report::{CombinedMetric, parse_termination_message};
use crate::time::Timestamp;
use crate::value::ParameterValue;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Created, nothing of it runs.
    Pending,
    /// Its run waits for room.
    Queued,
    /// Its run goes on.
    Running,
    /// Ended with an objective.
    Succeeded,
    /// Stopped before its end.
    StoppedEarly,
    /// Ended with metrics that a constraint refuses, or by a rule for such ends.
    Infeasible,
    /// Ended without an objective.
    Failed,
}

impl Phase {
    /// Whether nothing of the trial can change any more.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::StoppedEarly | Self::Infeasible | Self::Failed
        )
    }
}

/// Why a trial or one of its attempts ended; a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Metrics were reported and judged.
    Completed,
    /// A constraint of the objective does not hold.
    ConstraintViolated,
    /// The container's exit code was not 0.
    NonZeroExit,
    /// A signal ended the container.
    Signalled,
    /// The container could not be started.
    CannotStart,
    /// The container used more memory than it may.
    OutOfMemory,
    /// It ran longer than `trial.activeDeadlineSeconds`.
    DeadlineExceeded,
    /// It waited longer than `trial.queueDeadlineSeconds`.
    QueueDeadlineExceeded,
    /// It ended well, without any report.
    MetricsMissing,
    /// Its report cannot be read, or lacks what the objective needs.
    MetricsInvalid,
    /// The machine under it went away; it is run again and this does not count.
    InfrastructureLost,
    /// The machine under it went away too often.
    TooManyInfrastructureFailures,
    /// The search ended before it did.
    SearchEnded,
    /// A rule of `trial.failureRules` decided.
    FailureRule,
}

impl Reason {
    /// The name as it stands in the trial's status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::ConstraintViolated => "ConstraintViolated",
            Self::NonZeroExit => "NonZeroExit",
            Self::Signalled => "Signalled",
            Self::CannotStart => "CannotStart",
            Self::OutOfMemory => "OutOfMemory",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::QueueDeadlineExceeded => "QueueDeadlineExceeded",
            Self::MetricsMissing => "MetricsMissing",
            Self::MetricsInvalid => "MetricsInvalid",
            Self::InfrastructureLost => "InfrastructureLost",
            Self::TooManyInfrastructureFailures => "TooManyInfrastructureFailures",
            Self::SearchEnded => "SearchEnded",
            Self::FailureRule => "FailureRule",
        }
    }
}

/// One run of a trial's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Why it ended without deciding the trial.
    pub reason: Option<Reason>,
}

/// What is known of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// Where it is.
    pub phase: Phase,
    /// Its objective, once it has one.
    pub objective: Option<f64>,
    /// Its combined metrics.
    pub metrics: Vec<CombinedMetric>,
    /// Its runs; the last one is the current one.
    pub attempts: Vec<Attempt>,
    /// When its first run began.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub completion: Option<Timestamp>,
    /// Why it is where it is.
    pub reason: Option<Reason>,
    /// The same in one sentence.
    pub message: String,
}

impl Default for TrialRecord {
    fn default() -> Self {
        Self {
            phase: Phase::Pending,
            objective: None,
            metrics: Vec::new(),
            attempts: Vec::new(),
            start: None,
            completion: None,
            reason: None,
            message: String::new(),
        }
    }
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It ran longer than allowed and was ended.
    DeadlineExceeded,
    /// It used more memory than allowed and was ended.
    OutOfMemory,
    /// It could not be started; why.
    CannotStart(String),
    /// The machine, not the container, was the cause; how.
    Infrastructure(String),
}

/// The run of a trial's container as seen in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// There is none for the current attempt.
    Absent,
    /// It waits for room; why.
    Queued {
        /// In the world's own words.
        why: String,
    },
    /// It goes on.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It ended.
    Ended(EndedRun),
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedRun {
    /// How.
    pub exit: Exit,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What the container wrote as its termination message.
    pub termination_message: Option<String>,
    /// The last lines of its log, for the message of a failure.
    pub log_tail: String,
}

/// What a failure rule makes of the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureAction {
    /// The configuration cannot work: like a violated constraint.
    Infeasible,
    /// The trial failed.
    Fail,
    /// Run it again; this end does not count.
    Retry,
}

/// The first rule whose expression holds decides; variables: `exitCode`, `signal`, `reason`, `message`.
#[derive(Clone, Debug)]
pub struct FailureRule {
    /// A boolean expression.
    pub when: Expression,
    /// What then.
    pub action: FailureAction,
}

/// Names that a failure rule's expression may use.
pub const FAILURE_RULE_VARIABLES: [&str; 4] = ["exitCode", "signal", "reason", "message"];

/// Everything the plan of a trial depends on.
#[derive(Debug)]
pub struct TrialInput<'a> {
    /// How its metrics are judged; `None` for a refit, which only has to end well.
    pub objective: Option<&'a Objective>,
    /// Rules of the user, before the built-in ones.
    pub failure_rules: &'a [FailureRule],
    /// `trial.activeDeadlineSeconds`, for messages: the runner itself enforces it.
    pub active_deadline_seconds: Option<u64>,
    /// Runs that may be lost to the infrastructure before the trial fails.
    pub max_infrastructure_failures: u32,
    /// What is known.
    pub record: &'a TrialRecord,
    /// The run of the current attempt.
    pub run: &'a Run,
}

/// What to do with the run of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialAction {
    /// Start this attempt; starting one that runs or ran does nothing.
    Start {
        /// Its number, from 1.
        attempt: u32,
    },
}

/// What to do, and what is known afterwards.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct TrialPlan {
    /// Carried out after the record is stored.
    pub action: Option<TrialAction>,
    /// To be stored.
    pub record: TrialRecord,
}

/// Plans the next step of one trial. Pure and total.
pub fn plan(input: &TrialInput<'_>) -> TrialPlan {
    let mut record = input.record.clone();
    if record.phase.is_finished() {
        return TrialPlan {
            action: None,
            record,
        };
    }
    let action = match input.run {
        Run::Absent => Some(start_current_attempt(&mut record)),
        Run::Queued { why } => {
            record.phase = Phase::Queued;
            record.message.clone_from(why);
            None
        }
        Run::Running { since } => {
            record.phase = Phase::Running;
            record.start.get_or_insert(*since);
            record.message = String::new();
            None
        }
        Run::Ended(run) => end(input, &mut record, run),
    };
    TrialPlan { action, record }
}

fn start_current_attempt(record: &mut TrialRecord) -> TrialAction {
    let current = record.attempts.last().filter(|a| a.reason.is_none());
    let attempt = match current {
        Some(attempt) => attempt.number,
        None => {
            let number = u32::try_from(record.attempts.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            record.attempts.push(Attempt {
                number,
                reason: None,
            });
            number
        }
    };
    TrialAction::Start { attempt }
}

fn end(input: &TrialInput<'_>, record: &mut TrialRecord, run: &EndedRun) -> Option<TrialAction> {
    record.start.get_or_insert(run.started);
    let verdict = match &run.exit {
        Exit::Code(0) => judge_report(input.objective, run),
        other => judge_failure(input, other, run),
    };
    match verdict {
        Verdict::Again(reason) => again(input, record, reason, run),
        Verdict::Over(over) => {
            record.phase = over.phase;
            record.reason = Some(over.reason);
            record.message = over.message;
            record.objective = over.objective;
            record.metrics = over.metrics;
            record.completion = Some(run.ended);
            None
        }
    }
}

enum Verdict {
    Again(Reason),
    Over(Over),
}

struct Over {
    phase: Phase,
    reason: Reason,
    message: String,
    objective: Option<f64>,
    metrics: Vec<CombinedMetric>,
}

impl Over {
    fn without_metrics(phase: Phase, reason: Reason, message: String) -> Self {
        Self {
            phase,
            reason,
            message,
            objective: None,
            metrics: Vec::new(),
        }
    }
}

fn again(
    input: &TrialInput<'_>,
    record: &mut TrialRecord,
    reason: Reason,
    run: &EndedRun,
) -> Option<TrialAction> {
    if let Some(attempt) = record.attempts.last_mut() {
        attempt.reason = Some(reason);
    }
    let lost = u32::try_from(record.attempts.len()).unwrap_or(u32::MAX);
    if lost > input.max_infrastructure_failures {
        record.phase = Phase::Failed;
        record.reason = Some(Reason::TooManyInfrastructureFailures);
        record.message = format!("{lost} runs were lost to the infrastructure");
        record.completion = Some(run.ended);
        return None;
    }
    record.phase = Phase::Pending;
    record.message = format!("run {lost} was lost ({}); it is run again", reason.as_str());
    Some(start_current_attempt(record))
}

fn judge_report(objective: Option<&Objective>, run: &EndedRun) -> Verdict {
    let failed =
        |reason, message| Verdict::Over(Over::without_metrics(Phase::Failed, reason, message));
    let Some(text) = run
        .termination_message
        .as_deref()
        .filter(|t| !t.trim().is_empty())
    else {
        if objective.is_none() {
            return Verdict::Over(Over::without_metrics(
                Phase::Succeeded,
                Reason::Completed,
                String::new(),
            ));
        }
        return failed(
            Reason::MetricsMissing,
            "the container ended well but wrote no termination message; it must hold one JSON object such as {\"metrics\": {\"auc\": 0.93}}".to_string(),
        );
    };
    let metrics = match parse_termination_message(text).and_then(|report| report.combine()) {
        Ok(metrics) => metrics,
        Err(error) => return failed(Reason::MetricsInvalid, error.to_string()),
    };
    let Some(objective) = objective else {
        let mut over = Over::without_metrics(Phase::Succeeded, Reason::Completed, String::new());
        over.metrics = metrics;
        return Verdict::Over(over);
    };
    let by_name: BTreeMap<String, f64> =
        metrics.iter().map(|m| (m.name.clone(), m.value)).collect();
    let (phase, reason, message, value) = match objective.judge(&by_name) {
        Judgement::Feasible { value } => (
            Phase::Succeeded,
            Reason::Completed,
            String::new(),
            Some(value),
        ),
        Judgement::Infeasible { violated } => {
            let message = format!("the constraint `{violated}` does not hold");
            (Phase::Infeasible, Reason::ConstraintViolated, message, None)
        }
        Judgement::Failed { reason } => (Phase::Failed, Reason::MetricsInvalid, reason, None),
    };
    Verdict::Over(Over {
        phase,
        reason,
        message,
        objective: value,
        metrics,
    })
}

fn judge_failure(input: &TrialInput<'_>, exit: &Exit, run: &EndedRun) -> Verdict {
    let (reason, message) = describe(input, exit, &run.log_tail);
    let rule = input
        .failure_rules
        .iter()
        .find(|rule| applies(rule, exit, reason, &message));
    match rule.map(|r| r.action) {
        Some(FailureAction::Retry) => Verdict::Again(Reason::FailureRule),
        Some(FailureAction::Infeasible) => Verdict::Over(Over::without_metrics(
            Phase::Infeasible,
            Reason::FailureRule,
            message,
        )),
        Some(FailureAction::Fail) => Verdict::Over(Over::without_metrics(
            Phase::Failed,
            Reason::FailureRule,
            message,
        )),
        None if reason == Reason::InfrastructureLost => Verdict::Again(reason),
        None => Verdict::Over(Over::without_metrics(Phase::Failed, reason, message)),
    }
}

fn describe(input: &TrialInput<'_>, exit: &Exit, log_tail: &str) -> (Reason, String) {
    let with_log = |text: String| match log_tail.trim() {
        "" => text,
        tail => format!("{text}; its last lines: {tail}"),
    };
    match exit {
        Exit::Code(_) => (Reason::NonZeroExit, with_log(exit.to_string())),
        Exit::Signal(_) => (Reason::Signalled, with_log(exit.to_string())),
        Exit::DeadlineExceeded => {
            let limit = input
                .active_deadline_seconds
                .map_or_else(String::new, |s| format!(" {s}"));
            let text =
                format!("it ran longer than `trial.activeDeadlineSeconds`{limit} and was ended");
            (Reason::DeadlineExceeded, with_log(text))
        }
        Exit::OutOfMemory => (Reason::OutOfMemory, with_log(exit.to_string())),
        Exit::CannotStart(_) => (Reason::CannotStart, exit.to_string()),
        Exit::Infrastructure(_) => (Reason::InfrastructureLost, exit.to_string()),
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "the container exited with code {code}"),
            Self::Signal(signal) => write!(formatter, "signal {signal} ended the container"),
            Self::DeadlineExceeded => {
                formatter.write_str("it ran longer than it may and was ended")
            }
            Self::OutOfMemory => formatter.write_str("it used more memory than it may"),
            Self::CannotStart(why) | Self::Infrastructure(why) => formatter.write_str(why),
        }
    }
}

/// A rule that cannot be evaluated does not apply: the built-in meaning of the end stands.
fn applies(rule: &FailureRule, exit: &Exit, reason: Reason, message: &str) -> bool {
    let (code, signal) = match exit {
        Exit::Code(code) => (*code, 0),
        Exit::Signal(signal) => (128 + signal, *signal),
        _ => (-1, 0),
    };
    let value_of = |name: &str| match name {
        "exitCode" => Some(ParameterValue::Integer(i64::from(code))),
        "signal" => Some(ParameterValue::Integer(i64::from(signal))),
        "reason" => Some(ParameterValue::Text(reason.as_str().to_string())),
        "message" => Some(ParameterValue::Text(message.to_string())),
        _ => None,
    };
    rule.when.condition(value_of).unwrap_or(false)
}

/// The record of a trial that is stopped because nobody needs its result any more.
#[must_use]
pub fn stopped(record: &TrialRecord, reason: Reason, now: Timestamp) -> TrialRecord {
    let mut record = record.clone();
    record.phase = Phase::StoppedEarly;
    record.reason = Some(reason);
    record.message = "the search ended before this trial did".to_string();
    record.completion = Some(now);
    record
}
