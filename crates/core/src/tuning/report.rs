//! The state of a search as users see it, recomputed from the trials every time.

use super::finished::Summary;
use super::trial::{Phase as TrialPhase, Reason as TrialReason};
use super::{Ending, ObservedTrial, Reason, Registered, TuningInput, refit_of, registered_for};
use crate::time::Timestamp;
use crate::value::Configuration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is said of a search that is being deleted.
pub const DELETING: &str = "the search and its trials are being deleted";

/// Where a search is, in one word; derived from the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted, nothing started.
    Pending,
    /// Trials run, or the winner is refitted or registered.
    Running,
    /// Nothing starts until it is resumed: by whoever suspended it, or by the queue that holds all of its Jobs.
    Suspended,
    /// Goal or budget reached.
    Succeeded,
    /// Ended without a usable winner.
    Failed,
    /// Held until somebody changes something.
    Blocked,
    /// Being deleted, with all that belongs to it.
    Terminating,
}

/// How many trials are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All trials of the search.
    pub total: u32,
    /// Created, not yet started.
    pub pending: u32,
    /// Started, waiting for room.
    pub queued: u32,
    /// Running.
    pub running: u32,
    /// Ended with an objective.
    pub succeeded: u32,
    /// Stopped before their end.
    pub stopped_early: u32,
    /// Ended with an objective that a constraint refuses.
    pub infeasible: u32,
    /// Ended without an objective.
    pub failed: u32,
    /// Runs that were repeated because the infrastructure, not the trial, ended them.
    pub retried: u32,
}

impl Counts {
    pub(super) fn add(&mut self, trial: &ObservedTrial) {
        self.total += 1;
        let attempts = u32::try_from(trial.record.attempts.len()).unwrap_or(u32::MAX);
        self.retried += attempts.saturating_sub(1);
        *match trial.record.phase {
            TrialPhase::Pending => &mut self.pending,
            TrialPhase::Queued => &mut self.queued,
            TrialPhase::Running => &mut self.running,
            TrialPhase::Succeeded => &mut self.succeeded,
            TrialPhase::StoppedEarly => &mut self.stopped_early,
            TrialPhase::Infeasible => &mut self.infeasible,
            TrialPhase::Failed => &mut self.failed,
        } += 1;
    }

    /// Trials that have not ended.
    #[must_use]
    pub fn unfinished(&self) -> u32 {
        self.pending + self.queued + self.running
    }

    /// Trials that have ended, in whatever way.
    #[must_use]
    pub fn finished(&self) -> u32 {
        self.succeeded + self.stopped_early + self.infeasible + self.failed
    }
}

/// The best trial so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Name of the trial.
    pub trial: String,
    /// Its objective.
    pub objective: f64,
    /// Its combined metrics.
    pub metrics: BTreeMap<String, f64>,
    /// Its configuration.
    pub parameters: Configuration,
}

impl Best {
    pub(super) fn new(trial: &ObservedTrial, value: f64) -> Self {
        Self {
            trial: trial.name.clone(),
            objective: value,
            metrics: trial
                .record
                .metrics
                .iter()
                .map(|m| (m.name.clone(), m.value))
                .collect(),
            parameters: trial.configuration.clone(),
        }
    }
}

/// What a plan says of the search.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningReport {
    /// In one word.
    pub phase: Phase,
    /// Why, from the closed list.
    pub reason: Reason,
    /// Why, in one sentence.
    pub message: String,
    /// Trials by state.
    pub counts: Counts,
    /// `ended/asked for`, such as `11/15`.
    pub progress: String,
    /// The best trial so far.
    pub best: Option<Best>,
    /// How the search ended, once it has.
    pub ended: Option<Ending>,
    /// Whether nothing is left to do, also after the search itself.
    pub finished: bool,
    /// When the remaining trials will have ended, at the pace so far.
    pub estimated_completion: Option<Timestamp>,
    /// When something must be looked at again without an event.
    pub look_again_at: Option<Timestamp>,
}

impl TuningReport {
    pub(super) fn new(
        input: &TuningInput<'_>,
        summary: &Summary,
        ended: Option<Ending>,
        now: Timestamp,
    ) -> Self {
        let counts = summary.counts;
        let (phase, reason, message) = situation(input, &counts, summary.best(), ended.as_ref());
        let settings = input.settings;
        Self {
            phase,
            reason,
            message,
            progress: format!("{}/{}", counts.finished(), settings.max_trials),
            estimated_completion: ended
                .is_none()
                .then(|| estimate(input, summary, now))
                .flatten(),
            finished: matches!(phase, Phase::Succeeded | Phase::Failed),
            look_again_at: input
                .deadline()
                .filter(|_| ended.is_none() && !input.deleting && phase != Phase::Suspended)
                .map(|(at, _)| at),
            counts,
            best: summary.best().cloned(),
            ended,
        }
    }
}

fn situation(
    input: &TuningInput<'_>,
    counts: &Counts,
    best: Option<&Best>,
    ended: Option<&Ending>,
) -> (Phase, Reason, String) {
    if input.deleting {
        return (Phase::Terminating, Reason::Deleted, DELETING.to_string());
    }
    if let Some(ending) = ended {
        return after_the_search(input, counts, best, ending);
    }
    if let Some(why) = &input.blocked {
        return (Phase::Blocked, Reason::TrialRefused, why.clone());
    }
    if input.settings.suspend {
        let message = format!(
            "suspended; {} trials go on to their end",
            counts.unfinished()
        );
        return (Phase::Suspended, Reason::SuspendedByUser, message);
    }
    if counts.total == 0 {
        return (
            Phase::Pending,
            Reason::Accepted,
            "accepted; no trial has been created yet".to_string(),
        );
    }
    let mut message = format!(
        "{} of {} trials ended, {} running",
        counts.finished(),
        input.settings.max_trials,
        counts.running
    );
    let Some((reason, why)) = waiting(input) else {
        return (Phase::Running, Reason::TrialsRunning, message);
    };
    message.push_str(&format!(", {} queued; {why}", counts.queued));
    if suspended_by_a_queue(input, counts) {
        return (Phase::Suspended, reason, message);
    }
    let reason = if counts.running == 0 {
        reason
    } else {
        Reason::TrialsRunning
    };
    (Phase::Running, reason, message)
}

/// Whether the Jobs of all trials that have not ended are suspended.
fn suspended_by_a_queue(input: &TuningInput<'_>, counts: &Counts) -> bool {
    let suspended = input.trials.iter().filter(|t| {
        let reason = t.record.reason;
        t.record.phase == TrialPhase::Queued && reason == Some(TrialReason::JobSuspended)
    });
    u32::try_from(suspended.count()).is_ok_and(|count| count == counts.unfinished())
}

/// What the first of the waiting trials waits for.
fn waiting(input: &TuningInput<'_>) -> Option<(Reason, String)> {
    let queued = input
        .trials
        .iter()
        .filter(|t| t.record.phase == TrialPhase::Queued);
    queued
        .filter_map(|t| {
            let reason = Reason::of_waiting(t.record.reason?)?;
            Some((t.index, reason, format!("{}: {}", t.name, t.record.message)))
        })
        .min_by_key(|(index, ..)| *index)
        .map(|(_, reason, why)| (reason, why))
}

fn after_the_search(
    input: &TuningInput<'_>,
    counts: &Counts,
    best: Option<&Best>,
    ending: &Ending,
) -> (Phase, Reason, String) {
    if counts.unfinished() > 0 {
        let message = format!(
            "{}; {} trials are being stopped",
            ending.message,
            counts.unfinished()
        );
        return (Phase::Running, ending.reason, message);
    }
    if !ending.succeeded {
        return (Phase::Failed, ending.reason, ending.message.clone());
    }
    let Some(register) = &input.settings.register else {
        return (Phase::Succeeded, ending.reason, ending.message.clone());
    };
    if let Some(registered) = registered_for(input, best) {
        let message = format!("{}; {}", ending.message, in_words(registered));
        return (Phase::Succeeded, ending.reason, message);
    }
    let refit = best
        .filter(|_| register.refit)
        .and_then(|best| refit_of(input, best));
    match refit.map(|t| (t.record.phase, &t.record.message)) {
        None if register.refit => (
            Phase::Running,
            Reason::RefittingWinner,
            "the winner is about to be refitted".to_string(),
        ),
        Some((phase, _)) if !phase.is_finished() => (
            Phase::Running,
            Reason::RefittingWinner,
            "the winner is being refitted".to_string(),
        ),
        Some((phase, why)) if phase != TrialPhase::Succeeded => {
            let message = format!("{}, but refitting the winner failed: {why}", ending.message);
            (Phase::Failed, Reason::RefitFailed, message)
        }
        _ => (
            Phase::Running,
            Reason::RegisteringWinner,
            "the winner is being registered".to_string(),
        ),
    }
}

fn in_words(registered: &Registered) -> String {
    let Registered { model, version, .. } = registered;
    let alias = registered.alias.as_ref();
    let left = alias
        .filter(|_| registered.alias_left)
        .map_or_else(String::new, |alias| {
            format!("; the alias `{alias}` was left alone, because others have moved it")
        });
    format!("registered as version {version} of {model}{left}")
}

/// Remaining trials at the mean duration of those that ended, `parallelism` at a time.
fn estimate(input: &TuningInput<'_>, summary: &Summary, now: Timestamp) -> Option<Timestamp> {
    let mean = summary.mean_duration()?;
    let finished = summary.counts.finished();
    let left = i64::from(input.settings.max_trials.saturating_sub(finished));
    let at_once = i64::from(input.settings.parallelism.max(1));
    Some(Timestamp(
        now.0.saturating_add(mean.saturating_mul(left) / at_once),
    ))
}
