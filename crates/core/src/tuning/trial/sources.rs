//! Where the metrics of a trial come from, and which of its sources answers.
//!
//! The sources are asked in their order, and the first that has metrics wins. One that says that it has none is passed over; what it may
//! still get is waited for once no other has any. A trial whose metrics are awaited has ended for good, whatever becomes of its Job.

use super::{EndedRun, Exit, Phase, Reason, Run, TrialInput, TrialPlan, TrialRecord, are_alike};
use crate::objective::{Judgement, Objective};
use crate::report::{CombinedMetric, LARGEST_NUMBER, LONGEST_METRIC_NAME, MOST_METRICS, Reported};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// Seconds for which a server that does not answer is waited for at least: what a trial has found must not be lost to minutes of an outage.
const AWAY_SECONDS: u64 = 3600;
/// A trial whose metrics are awaited is looked at again after this time at the latest.
const AGAIN_SECONDS: u64 = 30;

/// A source of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The termination message of the container.
    TerminationMessage,
    /// The trial's run in MLflow.
    Mlflow,
}

/// What the trial's run in MLflow says, as far as it was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TrackedMetrics {
    /// It was not asked now.
    #[default]
    NotAsked,
    /// It could not be asked; why.
    Unavailable(String),
    /// It does not exist any more: somebody has deleted it.
    Gone,
    /// Its metrics by name as they stand there, NaN and infinity too.
    Found(BTreeMap<String, f64>),
}

/// The sources of a search, and what the one says that must be asked.
#[derive(Clone, Copy, Debug)]
pub struct MetricsSources<'a> {
    /// In the order in which they are asked.
    pub order: &'a [Source],
    /// Seconds after the end of the container for which metrics are waited for.
    pub deadline_seconds: u64,
    /// What the trial's run in MLflow says.
    pub tracked: &'a TrackedMetrics,
}

/// Metrics that are waited for.
pub(super) struct Awaited {
    /// What is lacking; `None` where nobody has asked.
    why: Option<String>,
    until: Timestamp,
}

/// What the sources say.
pub(super) enum Answer {
    Metrics(Vec<CombinedMetric>),
    /// Something that cannot be used; why.
    Unusable(String),
    /// Nothing; in words.
    Missing(String),
    NotYet(Awaited),
}

/// What the metrics of a run in MLflow lack.
enum Unfit {
    Lacking(String),
    Unusable(String),
}

/// Whether the trial's run in MLflow is to be asked: the container ended well, and no source before it has metrics.
#[must_use]
pub fn must_ask(order: &[Source], record: &TrialRecord, run: &Run) -> bool {
    let message = match run {
        Run::Ended(run) if run.exit == Exit::Code(0) => &run.message,
        _ if awaits_metrics(record) => &Reported::Nothing,
        _ => return false,
    };
    let mut asked = order.iter();
    let first = asked.find(|source| **source == Source::Mlflow || *message != Reported::Nothing);
    first == Some(&Source::Mlflow)
}

fn awaits_metrics(record: &TrialRecord) -> bool {
    record.reason == Some(Reason::WaitingForMetrics)
}

/// The end of a trial whose metrics are awaited, where its run does not tell it any more.
pub(super) fn known_end(input: &TrialInput<'_>) -> Option<EndedRun> {
    let record = input.record;
    let is_told = matches!(input.run, Run::Ended(run) if run.exit == Exit::Code(0));
    if is_told || !awaits_metrics(record) {
        return None;
    }
    let attempt = record.attempts.last();
    let ended = attempt.and_then(|attempt| attempt.ended);
    let ended = ended.unwrap_or(input.now);
    let started = record.start.unwrap_or(ended);
    let run = EndedRun::without_a_trace(Exit::Code(0), started, ended);
    Some(EndedRun {
        pod: attempt.and_then(|attempt| attempt.pod.clone()),
        ..run
    })
}

/// The trial goes on without its container.
pub(super) fn await_metrics(
    input: &TrialInput<'_>,
    plan: &mut TrialPlan,
    ended: Timestamp,
    awaited: Awaited,
) {
    let record = &mut plan.record;
    if let Some(attempt) = record.attempts.last_mut() {
        attempt.ended = Some(ended);
    }
    let is_known = awaits_metrics(record);
    match awaited.why {
        Some(why) if !is_known || !are_alike(&record.message, &why) => record.message = why,
        None if !is_known => record.message = String::new(),
        _ => {}
    }
    record.phase = Phase::Running;
    record.reason = Some(Reason::WaitingForMetrics);
    let soon = input.now.plus_seconds(AGAIN_SECONDS);
    let is_over = awaited.until <= input.now;
    plan.look_again_at = Some(match is_over {
        true => soon,
        false => soon.min(awaited.until),
    });
}

/// What the sources of a trial say whose container ended well.
pub(super) fn answer(input: &TrialInput<'_>, objective: &Objective, run: &EndedRun) -> Answer {
    let sources = &input.metrics;
    let deadline = run.ended.plus_seconds(sources.deadline_seconds);
    let not_yet = |why, until| Answer::NotYet(Awaited { why, until });
    let (mut lacking, mut is_away) = (None, false);
    let patience = sources.deadline_seconds.max(AWAY_SECONDS);
    for source in sources.order {
        match (source, sources.tracked) {
            (Source::TerminationMessage, _) => match &run.message {
                Reported::Metrics(metrics) => return Answer::Metrics(metrics.clone()),
                Reported::Unreadable(error) => return Answer::Unusable(error.to_string()),
                Reported::Nothing => {}
            },
            // It is asked once at least, however late.
            (Source::Mlflow, TrackedMetrics::NotAsked) => return not_yet(None, deadline),
            (Source::Mlflow, TrackedMetrics::Unavailable(why)) => {
                let until = run.ended.plus_seconds(patience);
                if input.now < until {
                    return not_yet(Some(in_words(why)), until);
                }
                (lacking, is_away) = (Some(why.clone()), true);
            }
            // Whoever has deleted it may restore it.
            (Source::Mlflow, TrackedMetrics::Gone) => {
                lacking = Some("somebody has deleted the run".to_string());
            }
            (Source::Mlflow, TrackedMetrics::Found(found)) => match of_run(objective, found) {
                Ok(metrics) => return Answer::Metrics(metrics),
                Err(Unfit::Unusable(why)) => {
                    return Answer::Unusable(format!("in its run in MLflow: {why}"));
                }
                Err(Unfit::Lacking(why)) => lacking = Some(why),
            },
        }
    }
    match lacking {
        Some(why) if is_away => Answer::Missing(format!(
            "the container ended well, but its run in MLflow could not be read within {patience} seconds: {why}"
        )),
        Some(why) if input.now < deadline => not_yet(Some(in_words(&why)), deadline),
        Some(why) => Answer::Missing(format!(
            "the container ended well, and {} seconds later (`metrics.deadlineSeconds`) its run in MLflow had not what the objective needs: {why}",
            sources.deadline_seconds
        )),
        None => Answer::Missing(
            "the container ended well but wrote no termination message; it must hold one JSON object such as {\"metrics\": {\"auc\": 0.93}}".to_string(),
        ),
    }
}

fn in_words(why: &str) -> String {
    format!("its metrics are awaited from its run in MLflow: {why}")
}

/// The metrics of a run in MLflow, once it holds what the objective needs. Others that a trial's record has no place for are left out: they
/// stand in the run.
fn of_run(
    objective: &Objective,
    found: &BTreeMap<String, f64>,
) -> Result<Vec<CombinedMetric>, Unfit> {
    let needed = objective.metrics();
    let values = needed.iter().map(|name| (*name, found.get(*name).copied()));
    let values: Vec<(&str, Option<f64>)> = values.collect();
    if let Judgement::Failed { reason } = objective.judge(found) {
        let is_unsound = |value: f64| !value.is_finite();
        let unsound = values
            .iter()
            .any(|(_, value)| value.is_some_and(is_unsound));
        let lacking = values.iter().any(|(_, value)| value.is_none());
        return Err(match lacking && !unsound {
            true => Unfit::Lacking(reason),
            false => Unfit::Unusable(reason),
        });
    }
    let has_place = |value: f64| value.abs() <= LARGEST_NUMBER;
    for (name, value) in values {
        if let Some(value) = value.filter(|value| value.is_finite() && !has_place(*value)) {
            return Err(Unfit::Unusable(format!(
                "the metric `{name}` must lie between -{LARGEST_NUMBER:e} and {LARGEST_NUMBER:e}, not be {value:e}"
            )));
        }
    }
    let sound = found.iter().filter(|(name, value)| {
        let characters = name.chars().count();
        has_place(**value) && (1..=LONGEST_METRIC_NAME).contains(&characters)
    });
    let (first, others): (Vec<_>, Vec<_>) =
        sound.partition(|(name, _)| needed.contains(name.as_str()));
    let kept = first.into_iter().chain(others).take(MOST_METRICS);
    let kept: BTreeMap<&String, &f64> = kept.collect();
    let metric = |(name, value): (&String, &f64)| CombinedMetric {
        name: name.clone(),
        value: *value,
        weight: 1.0,
        parts: 1,
    };
    Ok(kept.into_iter().map(metric).collect())
}
