//! How a pod ended. Pure.

use super::log_tail::last_lines;
use super::observed::{ObservedContainerStatus, ObservedPod};
use super::pod_state::{
    DISRUPTED, began, container_status, containers, created, deletion_asked, ended_at, has_failed,
    has_message, has_restarted, is_deleted, known_time, last_initial_end, newest, pod_condition,
    start_of, started, status, terminated, terminated_of, waiting_container,
};
use crate::ports::EndedRun;
use k8s_openapi::api::core::v1::ContainerStateTerminated;
use kube::ResourceExt;
use podium_api::convert::from_time;
use podium_core::report::{KEPT_BYTES, TerminationMessage};
use podium_core::time::Timestamp;
use podium_core::tuning::trial::Exit;

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
/// The clocks of a node and of the API server may differ by so much.
const SECONDS_BETWEEN_CLOCKS: u64 = 5;
/// Exit codes of a program that did not handle SIGTERM, or did not end in time.
const ENDED_BY_SIGNAL: [i32; 2] = [143, 137];
const OUT_OF_MEMORY: &str = "OOMKilled";
/// What a container runtime and a kubelet say of a container that was gone when they came back.
const UNKNOWN: [&str; 2] = ["Unknown", "ContainerStatusUnknown"];
const DELETED: &str = "its pod was deleted";

/// The run that a pod ended.
pub(super) fn ended(pod: &ObservedPod, exit: Exit, now: Timestamp) -> EndedRun {
    ended_by(pod, terminated(pod), exit, now)
}

fn ended_by(
    pod: &ObservedPod,
    end: Option<&ContainerStateTerminated>,
    exit: Exit,
    now: Timestamp,
) -> EndedRun {
    let message = end.and_then(|end| end.message.clone());
    let finished = known_time(end.and_then(|end| end.finished_at.as_ref()));
    let began = known_time(end.and_then(|end| end.started_at.as_ref()));
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
        message: TerminationMessage {
            text: message,
            kept_bytes: kept_bytes(pod),
        },
        exit,
        pod: Some(pod.name_any()),
    }
}

/// A kubelet divides what it keeps among all containers of a pod (`normalizeStatus` in its status manager).
fn kept_bytes(pod: &ObservedPod) -> usize {
    let status = status(pod);
    let lists = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let containers: usize = lists.into_iter().flatten().map(Vec::len).sum();
    KEPT_BYTES.min(KEPT_BYTES_OF_A_POD / containers.max(1))
}

/// What a container that may start again failed with, in a pod that goes on or that its Job deleted, which a Job does to a pod that
/// failed too often. `None` where nothing of it failed by itself.
pub(super) fn failed_before_its_deletion(pod: &ObservedPod, now: Timestamp) -> Option<EndedRun> {
    let failed = |status: &'_ ObservedContainerStatus| {
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
    let exit = exit_of_container(&end);
    let by_itself = !matches!(exit, Exit::Infrastructure(_));
    by_itself.then(|| ended_by(pod, Some(&end), exit, now))
}

/// How a pod that succeeded ended: a program that is told to end may do so with code 0 and without a result.
pub(super) fn exit_of_success(pod: &ObservedPod) -> Exit {
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

/// How the container that matters ended in a pod that goes on by another container. A container that may start again has not ended by a
/// failure, and what ends by the deletion of its pod is told of the pod.
pub(super) fn decided(pod: &ObservedPod) -> Option<Exit> {
    let end = terminated(pod)?;
    let restarts = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref());
    let is_final = end.exit_code == 0 || restarts.is_none_or(|policy| policy == "Never");
    let beside = status(pod).container_statuses.iter().flatten();
    let others_go_on = beside
        .filter(|status| terminated_of(status).is_none())
        .count()
        > 0;
    let is_its_own = !is_deleted(pod) && pod_condition(status(pod), DISRUPTED).is_none();
    (is_final && others_go_on && is_its_own).then(|| exit_of_container(end))
}

/// Of the pods of a Job that failed the one by which it did: of those that failed by themselves the newest, unless a newer one was
/// deleted. Pods that ran beside it are deleted by their Job.
pub(super) fn decisive(pods: &[ObservedPod]) -> Option<&ObservedPod> {
    let failed = || pods.iter().filter(|pod| has_failed(pod));
    let by_itself = newest(failed().filter(|pod| !is_deleted(*pod)));
    let deleted = newest(failed().filter(|pod| is_deleted(*pod)));
    match (by_itself, deleted) {
        (Some(own), Some(deleted)) if created(deleted) >= ended_at(own) => Some(deleted),
        (own, deleted) => own.or(deleted),
    }
}

/// How a failed pod ended.
pub(super) fn exit_of(pod: &ObservedPod) -> Exit {
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
fn is_by_deletion(end: &ContainerStateTerminated, pod: &ObservedPod) -> bool {
    let Some(asked) = deletion_asked(pod) else {
        return false;
    };
    if ENDED_BY_SIGNAL.contains(&end.exit_code) && end.reason.as_deref() != Some(OUT_OF_MEMORY) {
        return true;
    }
    let finished = end.finished_at.as_ref().map(from_time);
    finished.is_none_or(|finished| finished.plus_seconds(SECONDS_BETWEEN_CLOCKS) >= asked)
}

/// A pod's deadline counts from when its node took it, and a trial's from when it runs: a pull that took most of it is no fault of the
/// trial's, and the next run finds the image there.
fn exit_at_the_deadline(pod: &ObservedPod) -> Exit {
    let limit = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.active_deadline_seconds);
    let limit = limit.unwrap_or(i64::MAX);
    if has_restarted(pod) {
        return Exit::DeadlineExceeded;
    }
    let taken = status(pod).start_time.as_ref().map(from_time);
    let (Some(ready), Some(began)) = (last_initial_end(pod).max(taken), began(pod)) else {
        if any_began(pod) {
            return Exit::DeadlineExceeded;
        }
        let why =
            waiting_container(status(pod)).map_or_else(String::new, |(_, why)| format!(" ({why})"));
        return Exit::NeverStarted(format!(
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

fn any_began(pod: &ObservedPod) -> bool {
    containers(status(pod)).any(|status| start_of(status).is_some())
}

fn exit_of_container(end: &ContainerStateTerminated) -> Exit {
    match end.reason.as_deref() {
        Some(OUT_OF_MEMORY) => Exit::OutOfMemory,
        Some(reason) if UNKNOWN.contains(&reason) => {
            Exit::Infrastructure(format!("{reason}: its node went down under it"))
        }
        Some(reason @ ("StartError" | "ContainerCannotRun")) => Exit::CannotStart(format!(
            "{reason}: {}",
            end.message
                .as_deref()
                .unwrap_or("the container could not be started")
        )),
        _ => Exit::Code(end.exit_code),
    }
}
