//! The caches of what is watched, shared by everything that reads.

use super::cache::Cache;
use crate::runs::job_status::READ_ANNOTATIONS;
use crate::runs::pod_state::READ_CONDITIONS;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus};
use kube::Resource;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// The caches of one scope, a namespace or all of them: one of each kind that is watched.
#[derive(Debug, Default)]
pub struct Caches {
    by_kind: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Caches {
    /// Adds the cache of a kind.
    pub fn insert<K: Send + Sync + 'static>(&mut self, cache: Arc<Cache<K>>) {
        self.by_kind.insert(TypeId::of::<K>(), cache);
    }

    /// How many kinds are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_kind.len()
    }

    /// Whether nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    /// The cache of a kind; `None` where it is not watched.
    #[must_use]
    pub fn of<K: Send + Sync + 'static>(&self) -> Option<Arc<Cache<K>>> {
        let cache = self.by_kind.get(&TypeId::of::<K>())?;
        Arc::clone(cache).downcast().ok()
    }
}

// What nobody reads need not be kept: most of an object's size is its field managers and its pod template.

/// Forgets who manages which field.
pub fn trim_managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Keeps what is read of a Job.
pub fn trim_job(job: &mut Job) {
    trim_managed_fields(job);
    job.metadata.annotations = None;
    job.spec = job.spec.take().map(|spec| JobSpec {
        completions: spec.completions,
        parallelism: spec.parallelism.filter(|count| *count != 1),
        suspend: spec.suspend,
        ..JobSpec::default()
    });
}

/// Keeps what is read of a pod.
pub fn trim_pod(pod: &mut Pod) {
    trim_managed_fields(pod);
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
    pod.status = pod.status.take().map(trimmed);
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

fn trimmed(status: PodStatus) -> PodStatus {
    let conditions = status.conditions.map(|mut conditions| {
        conditions.retain(|condition| READ_CONDITIONS.contains(&condition.type_.as_str()));
        conditions
    });
    let containers = |statuses: Option<Vec<ContainerStatus>>| {
        statuses.map(|statuses| statuses.into_iter().map(trimmed_container).collect())
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

fn trimmed_container(status: ContainerStatus) -> ContainerStatus {
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
