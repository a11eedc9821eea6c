//! What a Job and its pods say of a run. Pure.

use super::job_manifest::CONTAINER_ANNOTATION;
use super::last_pod::{Gates, LastPodRecord};
use super::observed::{ObservedJob, ObservedPod};
use super::pod_state::{
    active, created, finished, has_message, has_succeeded, is_deleted, is_terminal, newest,
    overdue, started,
};
use super::pod_termination::{decided, decisive, ended, exit_of, exit_of_success};
use crate::ports::{EndedRun, Run};
use k8s_openapi::api::batch::v1::JobStatus;
use kube::ResourceExt;
use podium_api::convert::from_time;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Exit, Reason};

/// Annotations of a pod that are read.
pub const READ_ANNOTATIONS: [&str; 2] = [CONTAINER_ANNOTATION, INDEX_ANNOTATION];
/// Annotation of a pod of an indexed Job.
const INDEX_ANNOTATION: &str = "batch.kubernetes.io/job-completion-index";

/// Why a Job got no pod, as its controller said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Its words.
    pub why: String,
}

/// Everything that is known of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct RunObservation<'a> {
    /// Its Job, unless there is none.
    pub job: Option<&'a ObservedJob>,
    /// The Job's pods.
    pub pods: &'a [ObservedPod],
    /// The newest refusal of a pod for it.
    pub refusal: Option<&'a Refusal>,
    /// What was seen of its newest pod until now, which may be gone.
    pub last_pod: Option<&'a LastPodRecord>,
    /// Now.
    pub now: Timestamp,
}

/// The run that these objects stand for.
#[must_use]
pub fn run_of(known: RunObservation<'_>) -> Run {
    let Some(job) = known.job.filter(|job| !is_deleted(*job)) else {
        return without_job(&known);
    };
    let too_late = deadline_of_job(job);
    let in_time = |pod: &&ObservedPod| {
        // A program that is told to end may do so with code 0.
        too_late.is_none_or(|deadline| finished(pod).is_some_and(|finished| finished < deadline))
    };
    if let Some(pod) = succeeded(job, known.pods).filter(in_time) {
        return Run::Ended(ended(pod, exit_of_success(pod), known.now));
    }
    if condition(job, "Complete").is_some() {
        let why = "its pod was deleted before its result was read";
        return lost(why, over_since(job, known.now));
    }
    if let Some(run) = restarted_too_often(job, &known) {
        return Run::Ended(run);
    }
    if let Some((reason, message)) = condition(job, "Failed") {
        // What says nothing of its own end has ended with its Job, whenever that is looked at.
        let known = RunObservation {
            now: over_since(job, known.now),
            ..known
        };
        return failed(&known, &reason, &message);
    }
    match newest(known.pods.iter().filter(|pod| !is_terminal(pod))) {
        Some(pod) => match decided(pod) {
            Some(exit) if is_single(job) => Run::Ended(ended(pod, exit, known.now)),
            _ => after_its_gates(active(pod), &known),
        },
        None => without_active_pod(job, &known),
    }
}

/// A pod waits for room from when its gates are gone.
fn after_its_gates(run: Run, known: &RunObservation<'_>) -> Run {
    match (run, known.last_pod.map(|last| last.gates)) {
        (Run::Queued { since, reason, why }, Some(Gates::OpenSince(open))) => Run::Queued {
            since: since.max(open),
            reason,
            why,
        },
        (run, _) => run,
    }
}

/// Whether one pod is all that the Job wants, so that its end is that of the run.
fn is_single(job: &ObservedJob) -> bool {
    let spec = job.spec.as_ref();
    let completions = spec.and_then(|spec| spec.completions);
    let parallelism = spec.and_then(|spec| spec.parallelism);
    completions == Some(1) && parallelism.is_none_or(|count| count <= 1)
}

/// Whether a Job says that it is over.
#[must_use]
pub fn has_ended(job: &ObservedJob) -> bool {
    let ends = ["Complete", "Failed"];
    ends.into_iter().any(|kind| condition(job, kind).is_some())
}

/// Whether something of an ended run goes on: a container beside the one that decided, or a Job that appeared after the end.
#[must_use]
pub fn goes_on(job: &ObservedJob, pods: &[ObservedPod]) -> bool {
    if has_ended(job) || is_deleted(job) || is_ending(job) {
        return false;
    }
    match newest(pods.iter()) {
        Some(pod) => !is_terminal(pod) && !is_deleted(pod),
        None => !has_had_pods(job),
    }
}

/// Whether the objects lack what only a look at the API server can tell: how the last pod of an ended Job ended.
#[must_use]
pub fn lacks_the_end(job: &ObservedJob, pods: &[ObservedPod]) -> bool {
    let told = |count: fn(&JobStatus) -> Option<i32>| {
        let count = status(job).and_then(count).unwrap_or(1);
        usize::try_from(count).unwrap_or(0).max(1)
    };
    if condition(job, "Complete").is_some() {
        let seen = pods.iter().filter(|pod| has_succeeded(pod)).count();
        return seen < told(|status| status.succeeded);
    }
    if condition(job, "Failed").is_none() {
        return false;
    }
    let seen = pods.iter().filter(|pod| is_terminal(pod)).count();
    pods.len() > seen || seen < told(|status| status.failed)
}

/// A Job that is deleted leaves its pods for a while; a result among them still counts, unless it is that of a part of the run.
fn without_job(known: &RunObservation<'_>) -> Run {
    let succeeded = match known.job {
        Some(job) => succeeded(job, known.pods),
        None => {
            reporting(known.pods).filter(|pod| !pod.annotations().contains_key(INDEX_ANNOTATION))
        }
    };
    if let Some(pod) = succeeded {
        return Run::Ended(ended(pod, exit_of_success(pod), known.now));
    }
    match newest(known.pods.iter().filter(|pod| !is_terminal(pod))) {
        Some(pod) => Run::Running {
            since: started(pod).unwrap_or_else(|| created(pod)),
            pod: Some(pod.name_any()),
            overdue: overdue(pod),
        },
        None => Run::Absent,
    }
}

/// The pod that made the run a success, as soon as it did: a Job with one completion is complete then. One without a number of them
/// has workers that share a queue, and is complete when all have ended.
fn succeeded<'a>(job: &ObservedJob, pods: &'a [ObservedPod]) -> Option<&'a ObservedPod> {
    let completions = job.spec.as_ref().and_then(|spec| spec.completions);
    let complete = completions == Some(1) || condition(job, "Complete").is_some();
    reporting(pods).filter(|_| complete)
}

/// Of several pods that succeeded the first one that reports, by completion index and name.
fn reporting(pods: &[ObservedPod]) -> Option<&ObservedPod> {
    let index = |pod: &ObservedPod| {
        let index = pod.annotations().get(INDEX_ANNOTATION);
        index.and_then(|index| index.parse::<u64>().ok())
    };
    let done = pods.iter().filter(|pod| has_succeeded(pod));
    done.min_by_key(|pod| (!has_message(pod), index(pod), pod.name_any()))
}

/// A container that may start again fails by its restarts.
fn restarted_too_often(job: &ObservedJob, known: &RunObservation<'_>) -> Option<EndedRun> {
    let (reason, _) = condition(job, "FailureTarget").or_else(|| condition(job, "Failed"))?;
    if reason != "BackoffLimitExceeded" {
        return None;
    }
    known.last_pod?.failure.clone()
}

fn failed(known: &RunObservation<'_>, reason: &str, message: &str) -> Run {
    let pod = decisive(known.pods);
    if reason == "DeadlineExceeded" {
        let exit = Exit::LimitExceeded(
            "it ran longer than `activeDeadlineSeconds` of its Job allows and was ended"
                .to_string(),
        );
        return match pod.or(newest(known.pods.iter())) {
            Some(pod) => Run::Ended(ended(pod, exit, known.now)),
            None => ended_without_a_trace(exit, known.now),
        };
    }
    // A pod that fails by itself stays; one that is gone was taken away.
    let decides = pod.filter(|pod| {
        if names_a_disrupted_pod(reason, message) {
            return message.contains(&pod.name_any());
        }
        !known.last_pod.is_some_and(|last| last.replaced(pod))
    });
    match decides {
        Some(pod) => Run::Ended(ended(pod, exit_of(pod), known.now)),
        None => lost(&format!("its pod is gone: {message}"), known.now),
    }
}

/// Whether these are the words of a policy that let the Job fail since a disruption ended a pod, which they name.
fn names_a_disrupted_pod(reason: &str, message: &str) -> bool {
    reason == "PodFailurePolicy" && message.contains("DisruptionTarget")
}

fn lost(why: &str, now: Timestamp) -> Run {
    ended_without_a_trace(Exit::Infrastructure(why.to_string()), now)
}

fn ended_without_a_trace(exit: Exit, now: Timestamp) -> Run {
    Run::Ended(EndedRun::without_a_trace(exit, now, now))
}

/// A Job that has not ended and whose pods, if it had any, have. It waits only where nothing of it can have run since: a Job whose pod has
/// just ended says within moments what becomes of it.
fn without_active_pod(job: &ObservedJob, known: &RunObservation<'_>) -> Run {
    let last = newest(known.pods.iter());
    let made = job.creation_timestamp().as_ref().map(from_time);
    let began = status(job).and_then(|status| status.start_time.as_ref());
    let began = made.max(began.map(from_time)).unwrap_or(known.now);
    let ended = known.last_pod.map(|last| last.until);
    let since = began.max(ended.unwrap_or(began));
    let goes_on = Run::Running {
        since: last.and_then(started).unwrap_or(began),
        pod: last.map(ResourceExt::name_any),
        overdue: None,
    };
    if is_ending(job) {
        return goes_on;
    }
    // A Job that was resumed says that it is suspended until its controller has looked at it.
    let is_asked = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    if is_asked || condition(job, "Suspended").is_some() {
        let suspended = suspended_since(job).filter(|_| is_asked);
        return Run::Queued {
            since: since.max(suspended.unwrap_or(since)),
            reason: Reason::JobSuspended,
            why: "its Job is suspended, by a queue or by hand".to_string(),
        };
    }
    // A refusal of a time before the last pod is over.
    match known
        .refusal
        .filter(|refusal| ended.is_none_or(|ended| refusal.at >= ended))
    {
        Some(refusal) => Run::Queued {
            since,
            reason: Reason::PodRefused,
            why: refusal.why.clone(),
        },
        None if last.is_some() || has_had_pods(job) => goes_on,
        None => Run::Queued {
            since,
            reason: Reason::Starting,
            why: "its pod is about to be created".to_string(),
        },
    }
}

/// Whether what becomes of the Job is decided, and its last pods are being ended.
fn is_ending(job: &ObservedJob) -> bool {
    let decided = ["FailureTarget", "SuccessCriteriaMet"];
    decided
        .into_iter()
        .any(|kind| condition(job, kind).is_some())
}

/// Whether the Job's controller knows of pods that are not here, or not here any more.
pub(super) fn has_had_pods(job: &ObservedJob) -> bool {
    let Some(status) = status(job) else {
        return false;
    };
    let uncounted = status.uncounted_terminated_pods.as_ref();
    let uncounted = uncounted.is_some_and(|pods| {
        let lists = [&pods.failed, &pods.succeeded];
        lists.into_iter().flatten().any(|list| !list.is_empty())
    });
    let counts = [
        status.active,
        status.failed,
        status.succeeded,
        status.terminating,
    ];
    uncounted || counts.into_iter().flatten().any(|count| count > 0)
}

fn suspended_since(job: &ObservedJob) -> Option<Timestamp> {
    let conditions = status(job)?.conditions.as_ref()?;
    let suspended = conditions.iter().find(|c| c.type_ == "Suspended")?;
    suspended.last_transition_time.as_ref().map(from_time)
}

/// When a Job that is over came to be so.
fn over_since(job: &ObservedJob, now: Timestamp) -> Timestamp {
    let conditions = status(job).and_then(|status| status.conditions.as_ref());
    let ends = ["Complete", "Failed"];
    let over = conditions.into_iter().flatten().filter(|c| {
        let is_end = ends.contains(&c.type_.as_str());
        is_end && c.status == "True"
    });
    let since = over.filter_map(|c| c.last_transition_time.as_ref());
    since.map(from_time).fold(now, Timestamp::min)
}

/// When the deadline of the Job itself was found to be over.
fn deadline_of_job(job: &ObservedJob) -> Option<Timestamp> {
    let conditions = status(job)?.conditions.as_ref()?;
    let over = conditions.iter().filter(|c| {
        let ends = ["FailureTarget", "Failed"].contains(&c.type_.as_str());
        ends && c.status == "True" && c.reason.as_deref() == Some("DeadlineExceeded")
    });
    over.filter_map(|c| c.last_transition_time.as_ref())
        .map(from_time)
        .min()
}

fn status(job: &ObservedJob) -> Option<&JobStatus> {
    job.status.as_ref()
}

fn condition(job: &ObservedJob, kind: &str) -> Option<(String, String)> {
    let conditions = status(job)?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|c| c.type_ == kind && c.status == "True")?;
    Some((
        found.reason.clone().unwrap_or_default(),
        found.message.clone().unwrap_or_default(),
    ))
}

#[cfg(test)]
#[path = "job_status_tests.rs"]
mod tests;
