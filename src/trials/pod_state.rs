//! What a pod says of the run it stands for. Pure.

use super::job_manifest::CONTAINER_ANNOTATION;
use super::log_tail::last_lines;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use podium_api::convert::from_time;
use podium_core::report::KEPT_BYTES;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{EndedRun, Exit, Overdue, Reason, Run};

/// Conditions of a pod that are read.
pub const READ_CONDITIONS: [&str; 2] = [DISRUPTED, SCHEDULED];
const DISRUPTED: &str = "DisruptionTarget";
const SCHEDULED: &str = "PodScheduled";

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

/// Bytes of termination messages that a kubelet keeps of all containers of a pod together.
const KEPT_BYTES_OF_A_POD: usize = 3 * KEPT_BYTES;
/// A pod that starts as it should loses no more than this of its deadline before its container runs.
const SECONDS_TO_START: i64 = 10;
/// A node that works ends a pod at its deletion time; one that has not done so by then does not answer.
const SECONDS_TO_END: u64 = 30;
/// The clocks of a node and of the API server may differ by so much.
const SECONDS_BETWEEN_CLOCKS: u64 = 5;
/// Exit codes of a program that did not handle SIGTERM, or did not end in time.
const ENDED_BY_SIGNAL: [i32; 2] = [143, 137];
const OUT_OF_MEMORY: &str = "OOMKilled";
const DELETED: &str = "its pod was deleted";

/// The run that a pod ended.
pub(super) fn ended(pod: &Pod, exit: Exit, now: Timestamp) -> EndedRun {
    ended_by(pod, terminated(pod), exit, now)
}

fn ended_by(
    pod: &Pod,
    end: Option<&ContainerStateTerminated>,
    exit: Exit,
    now: Timestamp,
) -> EndedRun {
    let message = end.and_then(|end| end.message.clone());
    let finished = end.and_then(|end| end.finished_at.as_ref()).map(from_time);
    let began = end.and_then(|end| end.started_at.as_ref()).map(from_time);
    // The node's clock may be ahead.
    let ended = finished.map_or(now, |finished| finished.min(now));
    let began = began.or_else(|| started(pod));
    EndedRun {
        started: began.map_or(ended, |began| began.min(ended)),
        ended,
        // What a failed container left as its message is the end of its log.
        log_tail: match exit {
            Exit::Code(0) => String::new(),
            _ => last_lines(message.as_deref().unwrap_or_default()),
        },
        termination_message: message,
        kept_bytes: kept_bytes(pod),
        exit,
        pod: Some(pod.name_any()),
    }
}

/// A kubelet divides what it keeps among all containers of a pod (`normalizeStatus` in its status manager).
fn kept_bytes(pod: &Pod) -> usize {
    let status = status(pod);
    let lists = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let containers: usize = lists.into_iter().flatten().map(Vec::len).sum();
    KEPT_BYTES.min(KEPT_BYTES_OF_A_POD / containers.max(1))
}

/// The first failure of a pod whose container may start again: its Job deletes such a pod once the container failed too often, so that
/// the deletion says nothing. `None` where nothing of the pod failed by itself.
pub(super) fn failed_before_its_deletion(pod: &Pod, now: Timestamp) -> Option<EndedRun> {
    if is_disrupted(pod) {
        return None;
    }
    let failed = |status: &'_ ContainerStatus| {
        // What ended and began again has not ended by the deletion of its pod.
        let last = status.last_state.clone().and_then(|last| last.terminated);
        let end = last.or_else(|| {
            terminated_of(status)
                .filter(|end| !is_by_deletion(end, pod))
                .cloned()
        })?;
        (end.exit_code != 0).then_some(end)
    };
    let initial = status(pod).init_container_statuses.iter().flatten();
    let end = container_status(pod)
        .and_then(failed)
        .or_else(|| initial.filter_map(failed).next())?;
    Some(ended_by(pod, Some(&end), exit_of_container(&end), now))
}

/// How a pod that succeeded ended: a program that is told to end may do so with code 0 and without a result.
pub(super) fn exit_of_success(pod: &Pod) -> Exit {
    if has_message(pod) {
        return Exit::Code(0);
    }
    if let Some(disruption) = pod_condition(status(pod), DISRUPTED) {
        return Exit::Infrastructure(disruption);
    }
    match terminated(pod) {
        Some(end) if is_by_deletion(end, pod) => Exit::Infrastructure(DELETED.to_string()),
        _ => Exit::Code(0),
    }
}

/// How a failed pod ended.
pub(super) fn exit_of(pod: &Pod) -> Exit {
    let status = status(pod);
    let reason = status.reason.as_deref().unwrap_or_default();
    if let Some(disruption) = pod_condition(status, DISRUPTED) {
        return Exit::Infrastructure(disruption);
    }
    if reason == "DeadlineExceeded" {
        return exit_at_the_deadline(pod);
    }
    if OF_THE_NODE.contains(&reason) {
        let message = status.message.as_deref().unwrap_or_default();
        return Exit::Infrastructure(format!("{reason}: {message}"));
    }
    // Init containers decide only where they kept the container from running: a sidecar among them is ended by a signal afterwards.
    let initial = status.init_container_statuses.iter().flatten();
    let mut of_initial = initial.filter_map(terminated_of);
    let of_initial = || of_initial.find(|end| end.exit_code != 0);
    let end = terminated(pod).or_else(of_initial);
    match end {
        Some(end) if !is_by_deletion(end, pod) => exit_of_container(end),
        _ if is_deleted(pod) => Exit::Infrastructure(DELETED.to_string()),
        _ => Exit::Infrastructure(format!(
            "its pod failed before its container ran: {reason} {}",
            status.message.as_deref().unwrap_or_default()
        )),
    }
}

/// Whether a container ended by the deletion of its pod: by a signal, or after the deletion was asked for.
fn is_by_deletion(end: &ContainerStateTerminated, pod: &Pod) -> bool {
    let Some(asked) = deletion_asked(pod) else {
        return false;
    };
    if ENDED_BY_SIGNAL.contains(&end.exit_code) && end.reason.as_deref() != Some(OUT_OF_MEMORY) {
        return true;
    }
    let finished = end.finished_at.as_ref().map(from_time);
    finished.is_none_or(|finished| finished.plus_seconds(SECONDS_BETWEEN_CLOCKS) >= asked)
}

/// When the deletion of a pod was asked for: its deletion time is at the end of its grace period.
fn deletion_asked(pod: &Pod) -> Option<Timestamp> {
    let at = pod.metadata.deletion_timestamp.as_ref().map(from_time)?;
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    Some(Timestamp(at.0.saturating_sub(grace.saturating_mul(1000))))
}

/// A pod's deadline counts from when its node took it, and a trial's from when it runs: a pull that took most of it is no fault of the
/// trial's, and the next run finds the image there.
fn exit_at_the_deadline(pod: &Pod) -> Exit {
    let limit = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.active_deadline_seconds);
    let limit = limit.unwrap_or(i64::MAX);
    let initial = status(pod).init_container_statuses.iter().flatten();
    let last_initial = initial
        .filter_map(|status| terminated_of(status)?.finished_at.as_ref())
        .map(from_time)
        .max();
    let taken = status(pod).start_time.as_ref().map(from_time);
    let (Some(ready), Some(began)) = (last_initial.max(taken), began(pod)) else {
        if any_began(pod) {
            return Exit::DeadlineExceeded;
        }
        let why =
            waiting_container(status(pod)).map_or_else(String::new, |(_, why)| format!(" ({why})"));
        return Exit::Infrastructure(format!(
            "its container had not started when the {limit} seconds were over that its pod may last{why}"
        ));
    };
    let waited = began.milliseconds_since(ready) / 1000;
    if waited > SECONDS_TO_START && waited.saturating_mul(2) > limit {
        return Exit::Infrastructure(format!(
            "its container had to wait for {waited} of the {limit} seconds that its pod may last"
        ));
    }
    Exit::DeadlineExceeded
}

fn exit_of_container(end: &ContainerStateTerminated) -> Exit {
    match end.reason.as_deref() {
        Some(OUT_OF_MEMORY) => Exit::OutOfMemory,
        Some(reason @ ("StartError" | "ContainerCannotRun")) => Exit::CannotStart(format!(
            "{reason}: {}",
            end.message
                .as_deref()
                .unwrap_or("the container could not be started")
        )),
        _ => Exit::Code(end.exit_code),
    }
}

/// A pod that has not ended. One that its node took and that is deleted waits for nothing but its end.
pub(super) fn active(pod: &Pod) -> Run {
    let is_being_ended = is_deleted(pod) && node(pod).is_some();
    if phase(pod) == "Running" || is_being_ended {
        return Run::Running {
            since: started(pod).unwrap_or_else(|| created(pod)),
            pod: Some(pod.name_any()),
            overdue: overdue(pod),
        };
    }
    let (reason, why) = waiting_container(status(pod))
        .or_else(|| unschedulable(pod))
        .unwrap_or((Reason::Starting, "its pod is being started".to_string()));
    Run::Queued {
        since: created(pod),
        reason,
        why,
    }
}

/// When a pod that is being deleted will be found not to end.
pub(super) fn overdue(pod: &Pod) -> Option<Overdue> {
    let due = pod.metadata.deletion_timestamp.as_ref().map(from_time)?;
    let (node, pod) = (node(pod).unwrap_or_default(), pod.name_any());
    Some(Overdue {
        at: due.plus_seconds(SECONDS_TO_END),
        why: format!(
            "its pod {pod} is deleted and its node {node} does not say that it has ended. If the node is gone for good, `kubectl delete node {node}`, \
             or taint it with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute: the trial is run again then"
        ),
    })
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
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
    let scheduled = conditions.iter().find(|c| c.type_ == SCHEDULED)?;
    if scheduled.status != "False" {
        return None;
    }
    let word = scheduled.reason.as_deref().unwrap_or("Unschedulable");
    let message = scheduled.message.as_deref().unwrap_or_default();
    Some((Reason::Unschedulable, format!("{word}: {message}")))
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

/// Whether it was evicted, preempted or ended with its node.
pub(super) fn is_disrupted(pod: &Pod) -> bool {
    pod_condition(status(pod), DISRUPTED).is_some()
}

fn status(pod: &Pod) -> &PodStatus {
    static NONE: std::sync::LazyLock<PodStatus> = std::sync::LazyLock::new(PodStatus::default);
    pod.status.as_ref().unwrap_or(&NONE)
}

fn phase(pod: &Pod) -> &str {
    status(pod).phase.as_deref().unwrap_or_default()
}

pub(super) fn has_succeeded(pod: &Pod) -> bool {
    phase(pod) == "Succeeded"
}

pub(super) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub(super) fn is_deleted(object: &impl ResourceExt) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// What the container that matters left as its message.
pub(super) fn has_message(pod: &Pod) -> bool {
    let message = terminated(pod).and_then(|end| end.message.as_deref());
    message.is_some_and(|message| !message.trim().is_empty())
}

pub(super) fn created(pod: &Pod) -> Timestamp {
    let at: Option<Time> = pod.creation_timestamp();
    at.as_ref().map_or(Timestamp(0), from_time)
}

/// When the container ended, as far as that is known.
pub(super) fn finished(pod: &Pod) -> Option<Timestamp> {
    terminated(pod)?.finished_at.as_ref().map(from_time)
}

fn container_status(pod: &Pod) -> Option<&ContainerStatus> {
    let mut all = status(pod).container_statuses.iter().flatten();
    match pod.annotations().get(CONTAINER_ANNOTATION) {
        Some(name) => all.find(|status| &status.name == name),
        None => all.next(),
    }
}

fn terminated_of(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    terminated_of(container_status(pod)?)
}

fn start_of(status: &ContainerStatus) -> Option<Timestamp> {
    let state = status.state.as_ref()?;
    let running = state.running.as_ref().and_then(|r| r.started_at.as_ref());
    let began = running.or_else(|| state.terminated.as_ref()?.started_at.as_ref());
    began.map(from_time)
}

/// When the container that matters began.
fn began(pod: &Pod) -> Option<Timestamp> {
    container_status(pod).and_then(start_of)
}

fn any_began(pod: &Pod) -> bool {
    let initial = status(pod).init_container_statuses.iter().flatten();
    let mut all = initial.chain(status(pod).container_statuses.iter().flatten());
    all.any(|status| start_of(status).is_some())
}

/// When the container began, or at least when its node took the pod.
pub(super) fn started(pod: &Pod) -> Option<Timestamp> {
    began(pod).or_else(|| status(pod).start_time.as_ref().map(from_time))
}
