//! What a pod says of the run it stands for. Pure.

use super::job_manifest::CONTAINER_ANNOTATION;
use super::observed::{ObservedContainerStatus, ObservedPod, ObservedPodStatus};
use crate::ports::Run;
use k8s_openapi::api::core::v1::ContainerStateTerminated;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use podium_api::convert::from_time;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Overdue, Reason};

/// Conditions of a pod that are read.
pub const READ_CONDITIONS: [&str; 2] = [DISRUPTED, SCHEDULED];
pub(super) const DISRUPTED: &str = "DisruptionTarget";
const SCHEDULED: &str = "PodScheduled";
const GATED: &str = "SchedulingGated";

/// A node that works ends a pod at its deletion time; one that has not done so by then does not answer.
const SECONDS_TO_END: u64 = 30;

/// A pod that has not ended. One that its node took and that is deleted waits for nothing but its end.
pub(super) fn active(pod: &ObservedPod) -> Run {
    let is_being_ended = is_deleted(pod) && node(pod).is_some();
    let waits = waiting_container(status(pod)).or_else(|| unschedulable(pod));
    // An init container that began is the trial's own work.
    let has_begun = phase(pod) == "Running" || (waits.is_none() && any_initial_began(pod));
    if has_begun || is_being_ended {
        return Run::Running {
            since: started(pod).unwrap_or_else(|| created(pod)),
            pod: Some(pod.name_any()),
            overdue: overdue(pod),
        };
    }
    let (reason, why) = waits.unwrap_or((Reason::Starting, "its pod is being started".to_string()));
    let made = created(pod);
    Run::Queued {
        since: last_initial_end(pod).map_or(made, |end| end.max(made)),
        reason,
        why,
    }
}

/// When a pod that is being deleted will be found not to end.
pub(super) fn overdue(pod: &ObservedPod) -> Option<Overdue> {
    let due = pod.metadata.deletion_timestamp.as_ref().map(from_time)?;
    let (node, pod) = (node(pod).unwrap_or_default(), pod.name_any());
    Some(Overdue {
        at: due.plus_seconds(SECONDS_TO_END),
        why: format!(
            "its pod {pod} is deleted and its node {node} does not say that it has ended. If the node is gone for good, `kubectl delete node {node}`, \
             or taint it with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute: what ran there is run again then"
        ),
    })
}

fn node(pod: &ObservedPod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// Init containers first.
pub(super) fn containers(
    status: &ObservedPodStatus,
) -> impl Iterator<Item = &ObservedContainerStatus> {
    let initial = status.init_container_statuses.iter().flatten();
    initial.chain(status.container_statuses.iter().flatten())
}

pub(super) fn waiting_container(status: &ObservedPodStatus) -> Option<(Reason, String)> {
    containers(status)
        .filter_map(|container| container.state.as_ref()?.waiting.as_ref())
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

/// Whether a node was chosen for it.
pub(super) fn is_scheduled(pod: &ObservedPod) -> bool {
    let conditions = status(pod).conditions.as_deref().unwrap_or_default();
    let scheduled = conditions.iter().find(|c| c.type_ == SCHEDULED);
    scheduled.is_some_and(|condition| condition.status == "True")
}

fn unschedulable(pod: &ObservedPod) -> Option<(Reason, String)> {
    let conditions = status(pod).conditions.as_ref()?;
    let scheduled = conditions.iter().find(|c| c.type_ == SCHEDULED)?;
    if scheduled.status != "False" {
        return None;
    }
    let word = scheduled.reason.as_deref().unwrap_or("Unschedulable");
    let message = scheduled.message.as_deref().unwrap_or_default();
    let reason = match word {
        GATED => Reason::SchedulingGated,
        _ => Reason::Unschedulable,
    };
    Some((reason, format!("{word}: {message}")))
}

/// Whether a queue or somebody else keeps it from being scheduled.
pub(super) fn is_gated(pod: &ObservedPod) -> bool {
    unschedulable(pod).is_some_and(|(reason, _)| reason == Reason::SchedulingGated)
}

/// Reason and message of a condition that holds.
pub(super) fn pod_condition(status: &ObservedPodStatus, kind: &str) -> Option<String> {
    let conditions = status.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|c| c.type_ == kind && c.status == "True")?;
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    Some(format!("{}: {}", text(&found.reason), text(&found.message)))
}

/// Whether it was evicted, preempted or ended with its node.
pub(super) fn is_disrupted(pod: &ObservedPod) -> bool {
    pod_condition(status(pod), DISRUPTED).is_some()
}

pub(super) fn status(pod: &ObservedPod) -> &ObservedPodStatus {
    static NONE: std::sync::LazyLock<ObservedPodStatus> =
        std::sync::LazyLock::new(ObservedPodStatus::default);
    pod.status.as_ref().unwrap_or(&NONE)
}

fn phase(pod: &ObservedPod) -> &str {
    status(pod).phase.as_deref().unwrap_or_default()
}

pub(super) fn has_succeeded(pod: &ObservedPod) -> bool {
    phase(pod) == "Succeeded"
}

pub(super) fn has_failed(pod: &ObservedPod) -> bool {
    phase(pod) == "Failed"
}

pub(super) fn is_terminal(pod: &ObservedPod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub(super) fn is_deleted(object: &impl ResourceExt) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// What the container that matters left as its message.
pub(super) fn has_message(pod: &ObservedPod) -> bool {
    let message = terminated(pod).and_then(|end| end.message.as_deref());
    message.is_some_and(|message| !message.trim().is_empty())
}

pub(super) fn created(pod: &ObservedPod) -> Timestamp {
    let at: Option<Time> = pod.creation_timestamp();
    at.as_ref().map_or(Timestamp(0), from_time)
}

/// When the deletion of a pod was asked for: its deletion time is at the end of its grace period.
pub(super) fn deletion_asked(pod: &ObservedPod) -> Option<Timestamp> {
    let at = pod.metadata.deletion_timestamp.as_ref().map(from_time)?;
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    Some(Timestamp(at.0.saturating_sub(grace.saturating_mul(1000))))
}

/// When the container ended, as far as that is known.
pub(super) fn finished(pod: &ObservedPod) -> Option<Timestamp> {
    known_time(terminated(pod)?.finished_at.as_ref())
}

/// A time of a container. What a node does not know it may give as the first moment of 1970.
pub(super) fn known_time(time: Option<&Time>) -> Option<Timestamp> {
    time.map(from_time).filter(|time| *time > Timestamp(0))
}

/// When an ended pod ended, or at least was made.
pub(super) fn ended_at(pod: &ObservedPod) -> Timestamp {
    finished(pod).unwrap_or_else(|| created(pod))
}

/// The pod that was made last.
pub(super) fn newest<'a>(pods: impl Iterator<Item = &'a ObservedPod>) -> Option<&'a ObservedPod> {
    pods.max_by_key(|pod| (created(pod), pod.name_any()))
}

pub(super) fn container_status(pod: &ObservedPod) -> Option<&ObservedContainerStatus> {
    let mut all = status(pod).container_statuses.iter().flatten();
    match pod.annotations().get(CONTAINER_ANNOTATION) {
        Some(name) => all.find(|status| &status.name == name),
        None => all.next(),
    }
}

pub(super) fn terminated_of(status: &ObservedContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

pub(super) fn terminated(pod: &ObservedPod) -> Option<&ContainerStateTerminated> {
    terminated_of(container_status(pod)?)
}

pub(super) fn start_of(status: &ObservedContainerStatus) -> Option<Timestamp> {
    let state = status.state.as_ref()?;
    let running = state.running.as_ref().and_then(|r| r.started_at.as_ref());
    let began = running.or_else(|| state.terminated.as_ref()?.started_at.as_ref());
    known_time(began)
}

/// When the container that matters began.
pub(super) fn began(pod: &ObservedPod) -> Option<Timestamp> {
    container_status(pod).and_then(start_of)
}

/// Whether the container that matters began more than once.
pub(super) fn has_restarted(pod: &ObservedPod) -> bool {
    let last = container_status(pod).and_then(|status| status.last_state.as_ref());
    last.is_some_and(|last| last.terminated.is_some())
}

/// Init containers that end; sidecars among them do not.
fn initial(pod: &ObservedPod) -> impl Iterator<Item = &ObservedContainerStatus> {
    let spec = pod.spec.as_ref();
    let declared = spec.and_then(|spec| spec.init_containers.as_deref());
    let is_sidecar = move |name: &str| {
        let mut declared = declared.into_iter().flatten();
        declared.any(|container| {
            container.name == name && container.restart_policy.as_deref() == Some("Always")
        })
    };
    let all = status(pod).init_container_statuses.iter().flatten();
    all.filter(move |status| !is_sidecar(&status.name))
}

fn any_initial_began(pod: &ObservedPod) -> bool {
    initial(pod).any(|status| start_of(status).is_some())
}

/// When the last init container ended.
pub(super) fn last_initial_end(pod: &ObservedPod) -> Option<Timestamp> {
    let ends = initial(pod).filter_map(|status| terminated_of(status)?.finished_at.as_ref());
    ends.filter_map(|end| known_time(Some(end))).max()
}

/// When the container began, or at least when its node took the pod.
pub(super) fn started(pod: &ObservedPod) -> Option<Timestamp> {
    began(pod).or_else(|| status(pod).start_time.as_ref().map(from_time))
}
