//! What the end of a run means.

use super::sources::{Answer, Awaited, answer};
use super::{EndedRun, Exit, Phase, Reason, TrialInput};
use crate::expression::Expression;
use crate::objective::Judgement;
use crate::report::{CombinedMetric, LARGEST_NUMBER, Reported};
use crate::value::ParameterValue;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

pub(super) enum Verdict {
    /// Run it again: the reason, and the same in words.
    Again(Reason, String),
    /// It is not known yet.
    Wait(Awaited),
    /// The trial has ended.
    Over(Over),
}

pub(super) struct Over {
    pub(super) phase: Phase,
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) objective: Option<f64>,
    pub(super) metrics: Vec<CombinedMetric>,
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

pub(super) fn judge_report(input: &TrialInput<'_>, run: &EndedRun) -> Verdict {
    let failed =
        |reason, message| Verdict::Over(Over::without_metrics(Phase::Failed, reason, message));
    let Some(objective) = input.objective else {
        return judge_refit(run);
    };
    let metrics = match answer(input, objective, run) {
        Answer::Metrics(metrics) => metrics,
        Answer::Unusable(why) => return failed(Reason::MetricsInvalid, why),
        Answer::Missing(why) => return failed(Reason::MetricsMissing, why),
        Answer::NotYet(awaited) => return Verdict::Wait(awaited),
    };
    let by_name: BTreeMap<String, f64> =
        metrics.iter().map(|m| (m.name.clone(), m.value)).collect();
    let (phase, reason, message, value) = match objective.judge(&by_name) {
        Judgement::Feasible { value } if value.abs() > LARGEST_NUMBER => {
            let message = format!(
                "the objective must lie between -{LARGEST_NUMBER:e} and {LARGEST_NUMBER:e}, not be {value:e}"
            );
            (Phase::Failed, Reason::MetricsInvalid, message, None)
        }
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

/// A refit only has to end well; what it reports must be readable all the same.
fn judge_refit(run: &EndedRun) -> Verdict {
    let (phase, reason, message, metrics) = match &run.message {
        Reported::Unreadable(error) => {
            let why = error.to_string();
            (Phase::Failed, Reason::MetricsInvalid, why, Vec::new())
        }
        Reported::Metrics(metrics) => (
            Phase::Succeeded,
            Reason::Completed,
            String::new(),
            metrics.clone(),
        ),
        Reported::Nothing => (
            Phase::Succeeded,
            Reason::Completed,
            String::new(),
            Vec::new(),
        ),
    };
    let mut over = Over::without_metrics(phase, reason, message);
    over.metrics = metrics;
    Verdict::Over(over)
}

pub(super) fn judge_failure(input: &TrialInput<'_>, exit: &Exit, run: &EndedRun) -> Verdict {
    let (reason, message) = describe(input, exit, &run.log_tail);
    let rule = input
        .failure_rules
        .iter()
        .find(|rule| applies(rule, exit, reason, &message));
    match rule.map(|r| r.action) {
        Some(FailureAction::Retry) => Verdict::Again(Reason::FailureRule, message),
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
        None if reason == Reason::InfrastructureLost => Verdict::Again(reason, message),
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
        Exit::LimitExceeded(_) => (Reason::DeadlineExceeded, with_log(exit.to_string())),
        Exit::OutOfMemory => (Reason::OutOfMemory, with_log(exit.to_string())),
        Exit::CannotStart(_) => (Reason::CannotStart, exit.to_string()),
        Exit::ResultUnreadable(_) => (Reason::MetricsInvalid, exit.to_string()),
        Exit::Infrastructure(_) | Exit::NeverStarted(_) => {
            (Reason::InfrastructureLost, exit.to_string())
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
