//! When a search is over, and how it ended.

use super::finished::Summary;
use super::{Reason, TuningInput};
use crate::significant::four_digits;
use crate::time::Timestamp;

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whether the goal or the budget was reached with a usable best trial.
    pub succeeded: bool,
    /// Why it ended.
    pub reason: Reason,
    /// The same in one sentence.
    pub message: String,
}

impl Ending {
    fn succeeded(reason: Reason, message: String) -> Self {
        Self {
            succeeded: true,
            reason,
            message,
        }
    }

    fn failed(reason: Reason, message: String) -> Self {
        Self {
            succeeded: false,
            reason,
            message,
        }
    }
}

/// An exhausted space is a success when something was found in it.
pub(super) fn exhausted(summary: &Summary, message: String) -> Ending {
    if summary.best().is_some() {
        Ending::succeeded(Reason::SpaceExhausted, message)
    } else {
        Ending::failed(
            Reason::NoSuccessfulTrial,
            format!("{message}{}", none_usable(summary)),
        )
    }
}

/// Why a search that ended found nothing, to follow a sentence about its end.
fn none_usable(summary: &Summary) -> String {
    format!(
        ", and no trial ended with a usable objective{}",
        last_failure(summary)
    )
}

/// What went wrong with the newest failed trial, to follow a sentence about all of them.
fn last_failure(summary: &Summary) -> String {
    let failed = summary.last_failed();
    failed.map(|what| format!("; {what}")).unwrap_or_default()
}

/// The ordered list of endings; the first that applies wins.
pub(super) fn judge(input: &TuningInput<'_>, summary: &Summary, now: Timestamp) -> Option<Ending> {
    let settings = input.settings;
    let (counts, best) = (&summary.counts, summary.best());
    if let Some(target) = best.filter(|b| settings.objective.reaches_target(b.objective)) {
        return Some(Ending::succeeded(
            Reason::TargetReached,
            format!(
                "trial {} reached the target with objective {}",
                target.trial,
                four_digits(target.objective)
            ),
        ));
    }
    if let Some(limit) = settings
        .max_failed_trials
        .filter(|limit| counts.failed > *limit)
    {
        return Some(Ending::failed(
            Reason::TooManyFailedTrials,
            format!(
                "{} {} failed, more than `maxFailedTrials` {limit} allows{}",
                counts.failed,
                if counts.failed == 1 {
                    "trial"
                } else {
                    "trials"
                },
                last_failure(summary)
            ),
        ));
    }
    let overdue = input.deadline().filter(|(at, _)| now >= *at);
    let is_spent = counts.total >= settings.max_trials && counts.unfinished() == 0;
    match overdue {
        Some((_, seconds)) if !is_spent || summary.was_cut_short() => {
            Some(out_of_time(seconds, summary))
        }
        _ if is_spent => Some(budget_spent(summary)),
        _ => None,
    }
}

/// A search that found something in its time has succeeded.
fn out_of_time(seconds: u64, summary: &Summary) -> Ending {
    let message = format!("the search ran longer than `activeDeadlineSeconds` {seconds}");
    match summary.best() {
        Some(best) => Ending::succeeded(
            Reason::DeadlineExceeded,
            format!(
                "{message}; the best of {} is {}",
                trials(summary.counts.total),
                best.trial
            ),
        ),
        None => Ending::failed(
            Reason::DeadlineExceeded,
            format!("{message}{}", none_usable(summary)),
        ),
    }
}

fn budget_spent(summary: &Summary) -> Ending {
    let counts = &summary.counts;
    match summary.best() {
        Some(best) => Ending::succeeded(
            Reason::MaxTrialsReached,
            format!("{} ended; the best is {}", trials(counts.total), best.trial),
        ),
        None => Ending::failed(
            Reason::NoSuccessfulTrial,
            format!(
                "{} ended, none with a usable objective{}",
                trials(counts.total),
                last_failure(summary)
            ),
        ),
    }
}

fn trials(count: u32) -> String {
    match count {
        1 => "1 trial".to_string(),
        _ => format!("{count} trials"),
    }
}
