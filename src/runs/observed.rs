//! Jobs and pods with the fields that say something of a run. A search has thousands of them, and a pod template takes more room than
//! everything that is read of its pod.

use super::job_manifest::{ATTEMPT_LABEL, OWNER_LABEL};
use super::job_status::READ_ANNOTATIONS;
use super::pod_state::READ_CONDITIONS;
use crate::adapters::kubernetes::caches::trim_managed_fields;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::{ContainerState, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use podium_api::TUNING_JOB_LABEL;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A Job.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ObservedJob {
    /// Name, uid, owners and times.
    pub metadata: ObjectMeta,
    /// What it asks for.
    pub spec: Option<ObservedJobSpec>,
    /// What its controller says of it.
    pub status: Option<JobStatus>,
}

/// What a Job asks for; see the fields of the same names of the Kubernetes API.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct ObservedJobSpec {
    pub completions: Option<i32>,
    pub parallelism: Option<i32>,
    pub suspend: Option<bool>,
}

/// A pod.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ObservedPod {
    /// Name, uid, owners, labels and times.
    pub metadata: ObjectMeta,
    /// What it asks for.
    pub spec: Option<ObservedPodSpec>,
    /// What its node and others say of it.
    pub status: Option<ObservedPodStatus>,
}

/// What a pod asks for; see the fields of the same names of the Kubernetes API.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ObservedPodSpec {
    pub node_name: Option<String>,
    pub restart_policy: Option<String>,
    pub active_deadline_seconds: Option<i64>,
    pub init_containers: Option<Vec<ObservedContainer>>,
}

/// A declared container; see the fields of the same names of the Kubernetes API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ObservedContainer {
    pub name: String,
    pub restart_policy: Option<String>,
}

/// What is said of a pod; see the fields of the same names of the Kubernetes API.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ObservedPodStatus {
    pub phase: Option<String>,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub start_time: Option<Time>,
    pub conditions: Option<Vec<PodCondition>>,
    pub container_statuses: Option<Vec<ObservedContainerStatus>>,
    pub init_container_statuses: Option<Vec<ObservedContainerStatus>>,
    pub ephemeral_container_statuses: Option<Vec<ObservedContainerStatus>>,
}

/// What a node says of a container; see the fields of the same names of the Kubernetes API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ObservedContainerStatus {
    pub name: String,
    pub state: Option<ContainerState>,
    pub last_state: Option<ContainerState>,
}

/// Makes a type stand for the kind of another one.
macro_rules! observes {
    ($observed:ty, $kind:ty) => {
        impl Resource for $observed {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                <$kind as Resource>::kind(&())
            }

            fn group((): &()) -> Cow<'_, str> {
                <$kind as Resource>::group(&())
            }

            fn version((): &()) -> Cow<'_, str> {
                <$kind as Resource>::version(&())
            }

            fn plural((): &()) -> Cow<'_, str> {
                <$kind as Resource>::plural(&())
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

observes!(ObservedJob, Job);
observes!(ObservedPod, Pod);

/// Labels of a pod that are read.
const READ_LABELS: [&str; 3] = [OWNER_LABEL, ATTEMPT_LABEL, TUNING_JOB_LABEL];

impl ObservedJob {
    /// Removes what nobody reads of a Job that is kept.
    pub fn remove_what_nobody_reads(&mut self) {
        trim_managed_fields(self);
        self.metadata.labels = None;
        self.metadata.annotations = None;
    }
}

impl ObservedPod {
    /// Removes what nobody reads of a pod that is kept.
    pub fn remove_what_nobody_reads(&mut self) {
        trim_managed_fields(self);
        keep(&mut self.metadata.labels, &READ_LABELS);
        keep(&mut self.metadata.annotations, &READ_ANNOTATIONS);
        if let Some(owners) = &mut self.metadata.owner_references {
            owners.retain(|owner| owner.controller == Some(true));
        }
        let Some(status) = &mut self.status else {
            return;
        };
        if let Some(conditions) = &mut status.conditions {
            conditions.retain(|condition| READ_CONDITIONS.contains(&condition.type_.as_str()));
            conditions.shrink_to_fit();
        }
        let lists = [
            &mut status.container_statuses,
            &mut status.init_container_statuses,
            &mut status.ephemeral_container_statuses,
        ];
        for container in lists.into_iter().flatten().flatten() {
            for state in [&mut container.state, &mut container.last_state] {
                if let Some(ended) = state.as_mut().and_then(|state| state.terminated.as_mut()) {
                    ended.container_id = None;
                }
            }
        }
    }
}

fn keep(texts: &mut Option<BTreeMap<String, String>>, names: &[&str]) {
    let kept = texts.take().map(|mut texts| {
        texts.retain(|name, _| names.contains(&name.as_str()));
        texts
    });
    *texts = kept.filter(|kept| !kept.is_empty());
}
