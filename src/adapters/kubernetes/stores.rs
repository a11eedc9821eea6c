//! What is watched, shared by everything that reads.

use super::seen::Seen;
use crate::ports::Object;
use crate::trials::job_state::READ_ANNOTATIONS;
use crate::trials::pod_state::READ_CONDITIONS;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Event, Pod, PodSpec, PodStatus};
use kube::Resource;
use podium_api::{Trial, TuningJob};
use std::any::Any;

/// The stores of one scope: a namespace, or all of them.
#[derive(Debug)]
pub struct Stores {
    /// Searches.
    pub tuning_jobs: Seen<TuningJob>,
    /// Their trials.
    pub trials: Seen<Trial>,
    /// Jobs of trials.
    pub jobs: Seen<Job>,
    /// Pods of these Jobs.
    pub pods: Seen<Pod>,
    /// Why Jobs got no pods.
    pub refusals: Seen<Event>,
}

impl Stores {
    /// The store of a kind of Podium's that is watched.
    pub(super) fn of<K: Object>(&self) -> Option<&Seen<K>> {
        let stores: [&dyn Any; 2] = [&self.tuning_jobs, &self.trials];
        stores.into_iter().find_map(|store| store.downcast_ref())
    }
}

// What nobody reads need not be kept: most of an object's size is its field managers and its pod template.

/// Forgets who manages which field.
pub fn forget_managers<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Keeps what is read of a Job.
pub fn shorten_job(job: &mut Job) {
    forget_managers(job);
    job.metadata.annotations = None;
    job.spec = job.spec.take().map(|spec| JobSpec {
        completions: spec.completions,
        parallelism: spec.parallelism.filter(|count| *count != 1),
        suspend: spec.suspend,
        ..JobSpec::default()
    });
}

/// Keeps what is read of a pod.
pub fn shorten_pod(pod: &mut Pod) {
    forget_managers(pod);
    if let Some(owners) = &mut pod.metadata.owner_references {
        owners.retain(|owner| owner.controller == Some(true));
    }
    let annotations = pod.metadata.annotations.take().map(|mut annotations| {
        annotations.retain(|name, _| READ_ANNOTATIONS.contains(&name.as_str()));
        annotations
    });
    pod.metadata.annotations = annotations.filter(|annotations| !annotations.is_empty());
    let is_deleted = pod.metadata.deletion_timestamp.is_some();
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        // Of most pods nothing of these is asked for.
        node_name: spec.node_name.filter(|_| is_deleted),
        restart_policy: spec.restart_policy.filter(|policy| policy != "Never"),
        active_deadline_seconds: spec.active_deadline_seconds,
        init_containers: sidecars(spec.init_containers),
        ..PodSpec::default()
    });
    pod.status = pod.status.take().map(shortened);
}

/// Which of the init containers go on beside the others.
fn sidecars(initial: Option<Vec<Container>>) -> Option<Vec<Container>> {
    let always = |container: &Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = initial?
        .into_iter()
        .filter(always)
        .map(|container| Container {
            restart_policy: container.restart_policy,
            name: container.name,
            ..Container::default()
        });
    let sidecars: Vec<_> = sidecars.collect();
    (!sidecars.is_empty()).then_some(sidecars)
}

fn shortened(status: PodStatus) -> PodStatus {
    let conditions = status.conditions.map(|mut conditions| {
        conditions.retain(|condition| READ_CONDITIONS.contains(&condition.type_.as_str()));
        conditions
    });
    let containers = |statuses: Option<Vec<ContainerStatus>>| {
        statuses.map(|statuses| statuses.into_iter().map(shortened_container).collect())
    };
    PodStatus {
        phase: status.phase,
        reason: status.reason,
        message: status.message,
        start_time: status.start_time,
        conditions: conditions.filter(|conditions| !conditions.is_empty()),
        container_statuses: containers(status.container_statuses),
        init_container_statuses: containers(status.init_container_statuses),
        ephemeral_container_statuses: containers(status.ephemeral_container_statuses),
        ..PodStatus::default()
    }
}

fn shortened_container(status: ContainerStatus) -> ContainerStatus {
    let mut state = status.state;
    let mut last_state = status.last_state;
    for state in [&mut state, &mut last_state].into_iter().flatten() {
        if let Some(terminated) = &mut state.terminated {
            terminated.container_id = None;
        }
    }
    ContainerStatus {
        name: status.name,
        state,
        last_state,
        ..ContainerStatus::default()
    }
}
