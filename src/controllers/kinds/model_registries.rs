//! Connections to model registries.

use super::{Kind, Reconciled, ReconciledKind};
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::ports::ClusterPorts;
use crate::controllers::reflector::event_object;
use crate::controllers::unreadable;
use crate::controllers::work_queue::Enqueuer;
use crate::engine::Engine;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Client, ResourceExt};
use podium_api::{ChampionPolicy, ModelRegistry};
use std::sync::Arc;

impl Kind for ModelRegistry {
    const WRITES: &'static [&'static str] = &[];
    const STATUS_WRITES: &'static [&'static str] = &["patch"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_podium()
    }

    fn enqueue_affected(event: &Event<Self>, caches: &Caches, enqueuer: &Enqueuer) {
        let Some(registry) = event_object(event) else {
            return;
        };
        enqueuer.enqueue_object(registry);
        // What is read of it changed, and not only what is told of it.
        let told = registry.status.as_ref();
        if told.and_then(|status| status.observed_generation) != registry.metadata.generation {
            enqueue_policies(registry, caches, enqueuer);
        }
    }

    fn report_unreadable(client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
        unreadable::report::<Self>(client, metadata, unreadable, unreadable::stalled);
    }
}

impl ReconciledKind for ModelRegistry {
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled {
        Box::pin(async move { engine.reconcile_model_registry(&name).await })
    }

    fn gone(engine: &Engine<ClusterPorts>, name: &str) {
        engine.ports().forget_registry(name);
    }
}

/// The policies that move aliases in this registry.
fn enqueue_policies(registry: &ModelRegistry, caches: &Caches, enqueuer: &Enqueuer) {
    let Some(policies) = caches.of::<ChampionPolicy>() else {
        return;
    };
    for policy in policies.all() {
        let names_it = policy.spec.registry_ref.name == registry.name_any();
        if names_it && policy.namespace() == registry.namespace() {
            enqueuer.enqueue_object(policy.as_ref());
        }
    }
}
