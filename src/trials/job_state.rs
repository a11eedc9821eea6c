//! What a Job and its pods say of a run. Pure.

use super::job_manifest::CONTAINER_ANNOTATION;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use podium_api::convert::from_time;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{EndedRun, Exit, Reason, Run};

/// Reasons of a failed pod that are the node's and not the container's.
const OF_THE_NODE: [&str; 13] = [
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "Shutdown",
    "Terminated",
    "Preempting",
    "NodeAffinity",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "OutOfephemeral-storage",
    "UnexpectedAdmissionError",
    "TaintToleration",
];

/// Everything that is known of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its Job, unless there is none.
    pub job: Option<&'a Job>,
    /// The Job's pods.
    pub pods: &'a [Pod],
    /// Why the Job got no pod, as its controller said.
    pub refusal: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// The run that these objects stand for.
#[must_use]
pub fn run_of(known: Known<'_>) -> Run {
    let Some(job) = known.job.filter(|job| !is_deleted(*job)) else {
        return without_job(&known);
    };
    let container = job.annotations().get(CONTAINER_ANNOTATION);
    let container = container.map(String::as_str);
    if let Some(pod) = succeeded(job, known.pods) {
        return Run::Ended(ended(pod, container, Exit::Code(0), known.now));
    }
    if condition(job, "Complete").is_some() {
        return lost("its pod was deleted before its result was read", known.now);
    }
    if let Some((reason, message)) = condition(job, "Failed") {
        return failed(&known, container, &reason, &message);
    }
    match newest(known.pods.iter().filter(|pod| !is_terminal(pod))) {
        Some(pod) => active(pod, container),
        None => without_pod(job, &known),
    }
}

/// Whether the objects lack what only a look at the API server can tell: an ended Job whose pod was not seen to end.
#[must_use]
pub fn lacks_the_end(job: &Job, pods: &[Pod]) -> bool {
    let ended = ["Complete", "Failed"]
        .into_iter()
        .any(|kind| condition(job, kind).is_some());
    ended && !pods.iter().any(is_terminal)
}

/// A Job that is deleted leaves its pods for a while; a result among them still counts.
fn without_job(known: &Known<'_>) -> Run {
    let done = known.pods.iter().find(|pod| phase(pod) == "Succeeded");
    if let Some(pod) = done {
        return Run::Ended(ended(pod, None, Exit::Code(0), known.now));
    }
    match newest(known.pods.iter().filter(|pod| !is_terminal(pod))) {
        Some(pod) => Run::Running {
            since: started(pod, None).unwrap_or(known.now),
            pod: Some(pod.name_any()),
        },
        None => Run::Absent,
    }
}

/// The pod that made the run a success, as soon as it did: a Job with one completion is complete then.
fn succeeded<'a>(job: &Job, pods: &'a [Pod]) -> Option<&'a Pod> {
    let completions = job.spec.as_ref().and_then(|spec| spec.completions);
    let complete = completions.unwrap_or(1) == 1 || condition(job, "Complete").is_some();
    let mut done = pods.iter().filter(|pod| phase(pod) == "Succeeded");
    done.next().filter(|_| complete)
}

fn failed(known: &Known<'_>, container: Option<&str>, reason: &str, message: &str) -> Run {
    let pod = newest(known.pods.iter().filter(|pod| is_terminal(pod)));
    if reason == "DeadlineExceeded" {
        return match pod {
            Some(pod) => Run::Ended(ended(pod, container, Exit::DeadlineExceeded, known.now)),
            None => Run::Ended(ended_without_pod(Exit::DeadlineExceeded, known.now)),
        };
    }
    match pod {
        Some(pod) => {
            let exit = exit_of(pod, container);
            Run::Ended(ended(pod, container, exit, known.now))
        }
        // A pod that fails by itself stays; one that is gone was taken away.
        None => lost(&format!("its pod is gone: {message}"), known.now),
    }
}

fn lost(why: &str, now: Timestamp) -> Run {
    Run::Ended(ended_without_pod(
        Exit::Infrastructure(why.to_string()),
        now,
    ))
}

fn ended_without_pod(exit: Exit, now: Timestamp) -> EndedRun {
    EndedRun {
        exit,
        started: now,
        ended: now,
        termination_message: None,
        log_tail: String::new(),
        pod: None,
    }
}

fn ended(pod: &Pod, container: Option<&str>, exit: Exit, now: Timestamp) -> EndedRun {
    let end = terminated(pod, container);
    let message = end.and_then(|end| end.message.clone());
    let finished = end.and_then(|end| end.finished_at.as_ref()).map(from_time);
    let ended = finished.unwrap_or(now);
    EndedRun {
        started: started(pod, container).unwrap_or(ended),
        ended,
        // What a failed container left as its message is the end of its log.
        log_tail: match exit {
            Exit::Code(0) => String::new(),
            _ => last_lines(message.as_deref().unwrap_or_default()),
        },
        termination_message: message,
        exit,
        pod: Some(pod.name_any()),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let from = lines.len().saturating_sub(3);
    lines.get(from..).unwrap_or_default().join(" | ")
}

/// How a failed pod ended.
fn exit_of(pod: &Pod, container: Option<&str>) -> Exit {
    let status = status(pod);
    let reason = status.reason.as_deref().unwrap_or_default();
    if let Some(disruption) = pod_condition(status, "DisruptionTarget") {
        return Exit::Infrastructure(disruption);
    }
    if reason == "DeadlineExceeded" {
        return Exit::DeadlineExceeded;
    }
    if OF_THE_NODE.contains(&reason) {
        let message = status.message.as_deref().unwrap_or_default();
        return Exit::Infrastructure(format!("{reason}: {message}"));
    }
    if is_deleted(pod) {
        return Exit::Infrastructure("its pod was deleted".to_string());
    }
    // Init containers decide only where they kept the container from running: a sidecar among them is ended by a signal afterwards.
    let initial = status.init_container_statuses.iter().flatten();
    let mut of_initial = initial.filter_map(terminated_of);
    let of_initial = || of_initial.find(|end| end.exit_code != 0);
    match terminated(pod, container).or_else(of_initial) {
        Some(end) => exit_of_container(end),
        None => Exit::Infrastructure(format!(
            "its pod failed before its container ran: {reason} {}",
            status.message.as_deref().unwrap_or_default()
        )),
    }
}

fn exit_of_container(end: &ContainerStateTerminated) -> Exit {
    match end.reason.as_deref() {
        Some("OOMKilled") => Exit::OutOfMemory,
        Some(reason @ ("StartError" | "ContainerCannotRun")) => Exit::CannotStart(format!(
            "{reason}: {}",
            end.message
                .as_deref()
                .unwrap_or("the container could not be started")
        )),
        _ => Exit::Code(end.exit_code),
    }
}

/// A pod that has not ended.
fn active(pod: &Pod, container: Option<&str>) -> Run {
    let status = status(pod);
    if phase(pod) == "Running" {
        return Run::Running {
            since: started(pod, container).unwrap_or_else(|| created(pod)),
            pod: Some(pod.name_any()),
        };
    }
    let (reason, why) = waiting_container(status)
        .or_else(|| unschedulable(pod))
        .unwrap_or((Reason::Starting, "its pod is being started".to_string()));
    Run::Queued {
        since: created(pod),
        reason,
        why,
    }
}

fn waiting_container(status: &PodStatus) -> Option<(Reason, String)> {
    let initial = status.init_container_statuses.iter().flatten();
    let all = initial.chain(status.container_statuses.iter().flatten());
    all.filter_map(|container| container.state.as_ref()?.waiting.as_ref())
        .find_map(|waiting| {
            let word = waiting.reason.as_deref()?;
            let reason = match word {
                "ErrImagePull"
                | "ImagePullBackOff"
                | "InvalidImageName"
                | "ErrImageNeverPull"
                | "ImageInspectError"
                | "RegistryUnavailable" => Reason::ImagePullFailed,
                "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                    Reason::ContainerNotCreated
                }
                _ => return None,
            };
            let message = waiting.message.as_deref().unwrap_or_default();
            Some((reason, format!("{word}: {message}")))
        })
}

fn unschedulable(pod: &Pod) -> Option<(Reason, String)> {
    let conditions = status(pod).conditions.as_ref()?;
    let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled")?;
    if scheduled.status != "False" {
        return None;
    }
    let word = scheduled.reason.as_deref().unwrap_or("Unschedulable");
    let message = scheduled.message.as_deref().unwrap_or_default();
    Some((Reason::Unschedulable, format!("{word}: {message}")))
}

fn without_pod(job: &Job, known: &Known<'_>) -> Run {
    let suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    let (reason, why) = match known.refusal {
        _ if suspended => (
            Reason::JobSuspended,
            "its Job is suspended, by a queue or by hand".to_string(),
        ),
        Some(refusal) => (Reason::PodRefused, refusal.to_string()),
        None => (
            Reason::Starting,
            "its pod is about to be created".to_string(),
        ),
    };
    Run::Queued {
        since: job
            .creation_timestamp()
            .as_ref()
            .map_or(known.now, from_time),
        reason,
        why,
    }
}

fn condition(job: &Job, kind: &str) -> Option<(String, String)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|c| c.type_ == kind && c.status == "True")?;
    Some((
        found.reason.clone().unwrap_or_default(),
        found.message.clone().unwrap_or_default(),
    ))
}

/// Reason and message of a condition that holds.
fn pod_condition(status: &PodStatus, kind: &str) -> Option<String> {
    let conditions = status.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|c| c.type_ == kind && c.status == "True")?;
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    Some(format!("{}: {}", text(&found.reason), text(&found.message)))
}

fn status(pod: &Pod) -> &PodStatus {
    static NONE: std::sync::LazyLock<PodStatus> = std::sync::LazyLock::new(PodStatus::default);
    pod.status.as_ref().unwrap_or(&NONE)
}

fn phase(pod: &Pod) -> &str {
    status(pod).phase.as_deref().unwrap_or_default()
}

fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

fn is_deleted(object: &impl ResourceExt) -> bool {
    object.meta().deletion_timestamp.is_some()
}

fn newest<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.max_by_key(|pod| (created(pod).0, pod.name_any()))
}

fn created(pod: &Pod) -> Timestamp {
    let at: Option<Time> = pod.creation_timestamp();
    at.as_ref().map_or(Timestamp(0), from_time)
}

fn container_status<'a>(pod: &'a Pod, container: Option<&str>) -> Option<&'a ContainerStatus> {
    let mut all = status(pod).container_statuses.iter().flatten();
    match container {
        Some(name) => all.find(|status| status.name == name),
        None => all.next(),
    }
}

fn terminated_of(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

fn terminated<'a>(pod: &'a Pod, container: Option<&str>) -> Option<&'a ContainerStateTerminated> {
    terminated_of(container_status(pod, container)?)
}

fn started(pod: &Pod, container: Option<&str>) -> Option<Timestamp> {
    let state = container_status(pod, container).and_then(|status| status.state.as_ref());
    let of_container = state.and_then(|state| {
        let running = state.running.as_ref().and_then(|r| r.started_at.as_ref());
        running.or_else(|| state.terminated.as_ref()?.started_at.as_ref())
    });
    of_container
        .or(status(pod).start_time.as_ref())
        .map(from_time)
}

#[cfg(test)]
#[path = "job_state_tests.rs"]
mod tests;
