//! The adapters of a cluster keep the laws that those of a directory keep.

use crate::bed::manifests::script_job;
use crate::bed::{Bed, on_bed};
use crate::{cluster_laws, runner_laws};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::reflector::{store, store::Writer};
use kube::runtime::watcher::{Config, watcher};
use kube::{Api, Resource};
use podium_operator::adapters::kubernetes::cluster::KubernetesCluster;
use podium_operator::adapters::kubernetes::seen::Seen;
use podium_operator::adapters::kubernetes::stores::Stores;
use podium_operator::trials::job::JobRunner;
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

/// Stores of which Jobs and pods are watched, as a runner needs it.
fn stores(bed: &Bed) -> Arc<Stores> {
    let (jobs, job_writer) = store();
    let (pods, pod_writer) = store();
    let stores = Arc::new(Stores {
        tuning_jobs: Seen::new(store().0),
        trials: Seen::new(store().0),
        jobs: Seen::new(jobs),
        pods: Seen::new(pods),
        refusals: Seen::new(store().0),
    });
    tokio::spawn(follow(
        bed.api::<Job>(),
        job_writer,
        Arc::clone(&stores),
        |s| &s.jobs,
    ));
    tokio::spawn(follow(
        bed.api::<Pod>(),
        pod_writer,
        Arc::clone(&stores),
        |s| &s.pods,
    ));
    stores
}

async fn follow<K>(
    api: Api<K>,
    mut writer: Writer<K>,
    stores: Arc<Stores>,
    seen: fn(&Stores) -> &Seen<K>,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let mut events = watcher(api, Config::default()).boxed();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        writer.apply_watcher_event(&event);
        seen(&stores).watched(&event);
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
            cluster: KubernetesCluster::new(client, namespace, stores(bed)),
            owner: owner(bed).await,
        }
    }

    laws! { cluster_laws, "cluster", case, [
        an_object_is_created_once_and_kept,
        a_status_is_written_and_nothing_else,
        a_status_without_a_change_is_not_written,
        lists_are_complete_and_in_order,
        a_name_that_is_no_name_is_refused,
    ] }
}

mod job_runner {
    use super::*;

    async fn case(bed: &Bed) -> runner_laws::Case<JobRunner> {
        let (client, namespace) = (bed.client.clone(), bed.namespace.clone());
        runner_laws::Case {
            runner: JobRunner::new(client, namespace, stores(bed)),
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
