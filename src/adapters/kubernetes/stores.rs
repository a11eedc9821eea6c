//! What is watched, shared by everything that reads.

use super::seen::Seen;
use crate::ports::Object;
use crate::trials::job_state::READ_ANNOTATIONS;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, PodSpec};
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
    if let Some(spec) = &mut job.spec {
        spec.template.spec = None;
        spec.template.metadata = None;
    }
}

/// Keeps what is read of a pod.
pub fn shorten_pod(pod: &mut Pod) {
    forget_managers(pod);
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name,
        restart_policy: spec.restart_policy,
        active_deadline_seconds: spec.active_deadline_seconds,
        ..PodSpec::default()
    });
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.retain(|name, _| READ_ANNOTATIONS.contains(&name.as_str()));
    }
    pod.metadata.owner_references = None;
}
