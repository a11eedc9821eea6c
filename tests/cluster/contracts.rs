//! The adapters of a cluster keep the laws that those of a directory keep.

use crate::bed::manifests::script_job;
use crate::bed::{Bed, on_bed};
use crate::{cluster_laws, runner_laws};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::watcher::{Config, watcher};
use kube::{Api, Resource};
use podium_operator::adapters::kubernetes::cache::Cache;
use podium_operator::adapters::kubernetes::caches::Caches;
use podium_operator::adapters::kubernetes::clock::ServerClock;
use podium_operator::adapters::kubernetes::cluster::KubernetesCluster;
use podium_operator::runs::job::{JobRunner, pod_index_keys};
use podium_operator::runs::observed::{ObservedJob, ObservedPod};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::sync::Arc;

/// A real object, since Kubernetes collects what belongs to nothing.
async fn owner(bed: &Bed) -> OwnerReference {
    bed.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}));
    let owner = bed.find::<ConfigMap>("owner").await.unwrap();
    let reference = owner.controller_owner_ref(&()).unwrap();
    OwnerReference {
        block_owner_deletion: None,
        ..reference
    }
}

/// Caches of Jobs and pods, as a runner needs them.
fn caches(bed: &Bed) -> Caches {
    let mut caches = Caches::default();
    let jobs = Arc::new(Cache::<ObservedJob>::default());
    let pods = Arc::new(Cache::<ObservedPod>::new(pod_index_keys));
    tokio::spawn(run_reflector(bed.api(), Arc::clone(&jobs)));
    tokio::spawn(run_reflector(bed.api(), Arc::clone(&pods)));
    caches.insert(jobs);
    caches.insert(pods);
    caches
}

async fn run_reflector<K>(api: Api<K>, cache: Arc<Cache<K>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let mut events = watcher(api, Config::default()).boxed();
    while let Some(event) = events.next().await {
        cache.apply_event(&event.unwrap());
    }
}

macro_rules! laws {
    ($laws:ident, $bed:literal, $make:ident, [$($law:ident),+ $(,)?]) => {
        $(#[test]
        fn $law() {
            on_bed($bed, async |bed| {
                let case = $make(&bed).await;
                $laws::$law(&case).await;
            });
        })+
    };
}

mod kubernetes_cluster {
    use super::*;

    async fn case(bed: &Bed) -> cluster_laws::Case<KubernetesCluster> {
        let (client, namespace) = (bed.client.clone(), bed.namespace.clone());
        cluster_laws::Case {
            cluster: KubernetesCluster::new(client, namespace, Arc::new(caches(bed))),
            owner: owner(bed).await,
        }
    }

    laws! { cluster_laws, "cluster", case, [
        an_object_is_created_once_and_kept,
        a_status_is_written_and_nothing_else,
        a_status_without_a_change_is_not_written,
        an_object_is_confirmed_only_as_it_was_read,
        a_status_is_replaced_only_where_it_was_read,
        lists_are_complete_and_in_order,
        a_name_that_is_no_name_is_refused,
    ] }
}

mod job_runner {
    use super::*;

    async fn case(bed: &Bed) -> runner_laws::Case<JobRunner> {
        let (client, namespace) = (bed.client.clone(), bed.namespace.clone());
        runner_laws::Case {
            runner: JobRunner::new(client, namespace, &caches(bed), ServerClock::default()),
            job: script_job,
            owner: Some(owner(bed).await),
        }
    }

    laws! { runner_laws, "runner", case, [
        a_run_ends_with_its_code_and_message_or_log,
        starting_an_attempt_twice_starts_it_once,
        attempts_are_runs_of_their_own,
        a_run_that_goes_on_too_long_is_ended,
        a_run_is_stopped_and_stopping_nothing_is_fine,
        a_template_that_cannot_run_is_refused_in_words,
    ] }
}
