//! Plans one trial: when its run starts, what its end means, when it is tried again.

mod conditions;
mod judgement;
mod reason;
mod run;
mod sources;

pub use conditions::conditions;
pub use judgement::{FAILURE_RULE_VARIABLES, FailureAction, FailureRule};
pub use reason::Reason;
pub use run::{EndedRun, Exit, Overdue, Run};
pub use sources::{MetricsSources, Source, TrackedMetrics, must_ask};

use crate::objective::Objective;
use crate::report::CombinedMetric;
use crate::time::Timestamp;
use judgement::{Verdict, judge_failure, judge_report};
use serde::{Deserialize, Serialize};

/// Pause between the end of the second lost run and the start of the third one; each further pause is twice as long.
const FIRST_PAUSE_SECONDS: u64 = 10;
const LONGEST_PAUSE_SECONDS: u64 = 300;

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
    /// The name as it stands in the trial's status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::StoppedEarly => "StoppedEarly",
            Self::Infeasible => "Infeasible",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing of the trial can change any more.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::StoppedEarly | Self::Infeasible | Self::Failed
        )
    }
}

/// One run of a trial's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// The pod that ran it, where there are pods.
    pub pod: Option<String>,
    /// When it began, once it ended without deciding the trial; none if nothing of it ran.
    pub started: Option<Timestamp>,
    /// Why it ended so.
    pub reason: Option<Reason>,
    /// When it did so.
    pub ended: Option<Timestamp>,
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

impl TrialRecord {
    /// Number of the attempt that runs or is to be started next, from 1.
    #[must_use]
    pub fn current_attempt(&self) -> u32 {
        let ended = self.attempts.iter().filter(|a| a.reason.is_some()).count();
        u32::try_from(ended).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The entry of the current attempt, made where there is none yet.
    fn attempt(&mut self) -> Option<&mut Attempt> {
        let number = self.current_attempt();
        if self.attempts.iter().all(|a| a.reason.is_some()) {
            self.attempts.push(Attempt {
                number,
                pod: None,
                started: None,
                reason: None,
                ended: None,
            });
        }
        self.attempts.last_mut()
    }
}

/// Everything the plan of a trial depends on.
#[derive(Debug)]
pub struct TrialInput<'a> {
    /// How its metrics are judged; `None` for a refit, which only has to end well.
    pub objective: Option<&'a Objective>,
    /// Where its metrics come from.
    pub metrics: MetricsSources<'a>,
    /// Rules of the user, before the built-in ones.
    pub failure_rules: &'a [FailureRule],
    /// `trial.activeDeadlineSeconds`, for messages: the runner itself enforces it.
    pub active_deadline_seconds: Option<u64>,
    /// `trial.queueDeadlineSeconds`: how long a run may wait.
    pub queue_deadline_seconds: Option<u64>,
    /// Runs that may be lost to the infrastructure before the trial fails.
    pub max_infrastructure_failures: u32,
    /// Seconds that a run must have waited before that is recorded, and a fifth of those that it must have run or been about
    /// to start: shorter states are not worth a write.
    pub debounce_seconds: u64,
    /// Nothing is to be started now: the search is suspended, over, or being deleted.
    pub hold: bool,
    /// Since when its first run could have begun.
    pub since: Timestamp,
    /// What is known.
    pub record: &'a TrialRecord,
    /// The run of the current attempt.
    pub run: &'a Run,
    /// Now.
    pub now: Timestamp,
}

/// What to do with the run of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialAction {
    /// Start this attempt; starting one that runs or ran does nothing.
    Start {
        /// Its number, from 1.
        attempt: u32,
    },
    /// End this attempt; ending one that does not run does nothing.
    Stop {
        /// Its number, from 1.
        attempt: u32,
    },
}

/// What to do, and what is known afterwards.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct TrialPlan {
    /// A start is carried out after the record is stored, a stop before.
    pub action: Option<TrialAction>,
    /// To be stored.
    pub record: TrialRecord,
    /// When to look again without any event.
    pub look_again_at: Option<Timestamp>,
}

/// Characters that are kept of the words by which a status was refused.
const REFUSAL_CHARACTERS: usize = 1000;
/// A trial that is about to start is looked at again after this time: what keeps it from starting may have become known.
const STARTING_AGAIN_SECONDS: u64 = 10;

/// Plans the next step of one trial. Pure and total.
pub fn plan(input: &TrialInput<'_>) -> TrialPlan {
    let mut plan = TrialPlan {
        action: None,
        record: input.record.clone(),
        look_again_at: None,
    };
    if plan.record.phase.is_finished() {
        return plan;
    }
    match (input.run, sources::known_end(input)) {
        (_, Some(run)) => end(input, &mut plan, &run),
        (Run::Ended(run), None) => end(input, &mut plan, run),
        (Run::Absent, None) if input.record.phase == Phase::Running => {
            let run = deleted_run(input);
            end(input, &mut plan, &run);
        }
        (Run::Absent, None) => start(input, &mut plan),
        (Run::Queued { since, reason, why }, None) => {
            queued(input, &mut plan, *since, *reason, why);
        }
        (
            Run::Running {
                since,
                pod,
                overdue,
            },
            None,
        ) => running(input, &mut plan, *since, pod.as_ref(), overdue.as_ref()),
    }
    plan
}

/// A run that was seen and is gone was deleted by somebody.
fn deleted_run(input: &TrialInput<'_>) -> EndedRun {
    EndedRun::without_a_trace(
        Exit::Infrastructure("its run was deleted".to_string()),
        input.record.start.unwrap_or(input.now),
        input.now,
    )
}

fn start(input: &TrialInput<'_>, plan: &mut TrialPlan) {
    if input.hold {
        return;
    }
    let due = next_start(&plan.record.attempts);
    if let Some(due) = due.filter(|due| input.now < *due) {
        plan.look_again_at = Some(due);
        return;
    }
    plan.action = Some(TrialAction::Start {
        attempt: plan.record.current_attempt(),
    });
}

/// When the run after these may start: the first lost one is made good at once, each further one after a longer pause, so that a node that
/// takes runs and loses them does not use all of them up.
fn next_start(attempts: &[Attempt]) -> Option<Timestamp> {
    let lost: Vec<Timestamp> = attempts.iter().filter_map(|a| a.ended).collect();
    let last = lost.last()?;
    let doublings = u32::try_from(lost.len()).ok()?.checked_sub(2)?;
    let pause = FIRST_PAUSE_SECONDS.saturating_mul(2_u64.saturating_pow(doublings));
    Some(last.plus_seconds(pause.min(LONGEST_PAUSE_SECONDS)))
}

/// Whether a state that began at `since` has lasted `seconds`, long enough to be recorded; if not, when it will have.
fn settled(input: &TrialInput<'_>, plan: &mut TrialPlan, since: Timestamp, seconds: u64) -> bool {
    let at = since.plus_seconds(seconds);
    if input.now >= at {
        return true;
    }
    plan.look_again_at = Some(at);
    false
}

/// Since when a run waits that waits since `since`: runs before it of which nothing ran have waited for the same.
fn waits_since(input: &TrialInput<'_>, since: Timestamp) -> Timestamp {
    let ended = |attempt: &&Attempt| attempt.ended.is_some();
    let attempts = &input.record.attempts;
    let last = attempts.iter().rfind(ended);
    if last.is_none_or(|last| last.started.is_some()) {
        return since;
    }
    let ran = attempts.iter().rfind(|attempt| attempt.started.is_some());
    let ran = ran.and_then(|ran| ran.ended);
    ran.map_or(input.since, |ended| ended.max(input.since))
        .min(since)
}

fn queued(
    input: &TrialInput<'_>,
    plan: &mut TrialPlan,
    since: Timestamp,
    reason: Reason,
    why: &str,
) {
    let deadline = input
        .queue_deadline_seconds
        .filter(|_| !reason.is_held_by_a_queue())
        .map(|s| (s, waits_since(input, since).plus_seconds(s)));
    if let Some((seconds, at)) = deadline
        && input.now >= at
    {
        plan.action = Some(TrialAction::Stop {
            attempt: plan.record.current_attempt(),
        });
        let record = &mut plan.record;
        record.attempt();
        record.phase = Phase::Failed;
        record.reason = Some(Reason::QueueDeadlineExceeded);
        record.message = format!(
            "it waited longer than `trial.queueDeadlineSeconds` {seconds} ({}): {why}",
            reason.as_str()
        );
        record.completion = Some(input.now);
        return;
    }
    // That a pod is about to start is no news unless it takes long.
    let patience = match reason {
        Reason::Starting => 5 * input.debounce_seconds,
        _ => input.debounce_seconds,
    };
    if !settled(input, plan, since, patience) {
        return;
    }
    let again = input.now.plus_seconds(STARTING_AGAIN_SECONDS);
    let again = (reason == Reason::Starting).then_some(again);
    let deadline = deadline.map(|(_, at)| at);
    plan.look_again_at = [deadline, again].into_iter().flatten().min();
    let record = &mut plan.record;
    record.attempt();
    // The world words the same cause differently from look to look: with another count of nodes, the name of another pod that was refused,
    // or, for an image, in turns that it failed and that it is about to be pulled again. That alone is no news; another cause is.
    let is_known = (record.phase, record.reason) == (Phase::Queued, Some(reason));
    let can_tell = matches!(
        reason,
        Reason::Unschedulable
            | Reason::ContainerNotCreated
            | Reason::WaitingForApiServer
            | Reason::WaitingForTracking
    );
    if !is_known || (can_tell && !are_alike(&record.message, why)) {
        record.phase = Phase::Queued;
        record.reason = Some(reason);
        record.message = why.to_string();
    }
}

/// A run that waits for the same reason as before, though not for the same cause: what is said of a Job that cannot be created names no
/// pod, so that other words are another cause.
pub fn tell_other_cause(record: &mut TrialRecord, reason: Reason, why: &str) {
    let waits = (record.phase, record.reason) == (Phase::Queued, Some(reason));
    if waits && !are_alike(&record.message, why) {
        record.message = why.to_string();
    }
}

/// Whether two texts differ in their numbers at most, as the world's words for one cause do from look to look.
#[must_use]
pub fn are_alike(one: &str, other: &str) -> bool {
    let letters = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    letters(one) == letters(other)
}

fn running(
    input: &TrialInput<'_>,
    plan: &mut TrialPlan,
    since: Timestamp,
    pod: Option<&String>,
    overdue: Option<&Overdue>,
) {
    // A trial of a few seconds is over before anybody looks.
    if !settled(input, plan, since, 5 * input.debounce_seconds) {
        return;
    }
    let record = &mut plan.record;
    if let Some(attempt) = record.attempt() {
        // One that is gone is still the one that ran it.
        attempt.pod = pod.cloned().or(attempt.pod.take());
    }
    record.phase = Phase::Running;
    record.start.get_or_insert(since);
    record.reason = None;
    record.message = String::new();
    match overdue {
        Some(overdue) if input.now >= overdue.at => {
            record.reason = Some(Reason::NodeUnreachable);
            record.message.clone_from(&overdue.why);
        }
        Some(overdue) => plan.look_again_at = Some(overdue.at),
        None => {}
    }
}

fn end(input: &TrialInput<'_>, plan: &mut TrialPlan, run: &EndedRun) {
    let record = &mut plan.record;
    // Where several pods are one run, another one may have begun later than the one that decided had ended.
    let start = record.start.filter(|start| *start <= run.ended);
    record.start = start.or(run.began());
    if let Some(attempt) = record.attempt() {
        attempt.pod = run.pod.clone().or(attempt.pod.take());
        attempt.ended = None;
    }
    let verdict = match &run.exit {
        Exit::Code(0) => judge_report(input, run),
        other => judge_failure(input, other, run),
    };
    match verdict {
        Verdict::Wait(awaited) => sources::await_metrics(input, plan, run.ended, awaited),
        Verdict::Again(reason, why) => again(input, plan, reason, &why, run),
        Verdict::Over(over) => {
            record.phase = over.phase;
            record.reason = Some(over.reason);
            record.message = over.message;
            record.objective = over.objective;
            record.metrics = over.metrics;
            record.completion = Some(run.ended);
        }
    }
}

fn again(input: &TrialInput<'_>, plan: &mut TrialPlan, reason: Reason, why: &str, run: &EndedRun) {
    let record = &mut plan.record;
    if let Some(attempt) = record.attempts.last_mut() {
        attempt.started = run.began();
        attempt.reason = Some(reason);
        attempt.ended = Some(run.ended);
    }
    let lost = u32::try_from(record.attempts.len()).unwrap_or(u32::MAX);
    record.reason = Some(reason);
    if lost > input.max_infrastructure_failures {
        record.phase = Phase::Failed;
        record.reason = Some(Reason::TooManyInfrastructureFailures);
        record.message = format!("{lost} runs ended without deciding it; the last one: {why}");
        record.completion = Some(run.ended);
        return;
    }
    record.phase = Phase::Pending;
    // A rule of the user's speaks of a run that ended by itself.
    let ended = match reason {
        Reason::FailureRule => "ended",
        _ => "was lost",
    };
    record.message = format!("run {lost} {ended}: {why}; it is run again");
    start(input, plan);
}

/// As much of the words by which a status was refused as has room in the status that is written instead.
#[must_use]
pub fn refusal_words(why: &str) -> String {
    why.chars().take(REFUSAL_CHARACTERS).collect()
}

/// The record of a trial whose status the cluster refuses to store, in its smallest form: nothing of a result that cannot be stored counts.
#[must_use]
pub fn refused(record: &TrialRecord, why: &str, now: Timestamp) -> TrialRecord {
    let words = refusal_words(why);
    TrialRecord {
        phase: Phase::Failed,
        reason: Some(Reason::StatusRefused),
        message: format!("what is known of the trial cannot be stored: {words}"),
        start: record.start,
        completion: Some(record.completion.unwrap_or(now)),
        attempts: record.attempts.clone(),
        ..TrialRecord::default()
    }
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
