//! Connections to model registries.

use super::{Kind, Reconciled, ReconciledKind};
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::ports::ClusterPorts;
use crate::controllers::reflector::event_object;
use crate::controllers::unreadable;
use crate::controllers::work_queue::Enqueuer;
use crate::engine::Engine;
use crate::ports::Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Client, ResourceExt};
use podium_api::schema::LocalReference;
use podium_api::{ChampionPolicy, ModelRegistry, TuningJob};
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
            enqueue_users::<ChampionPolicy>(registry, caches, enqueuer, |policy| {
                Some(&policy.spec.registry_ref)
            });
            enqueue_users::<TuningJob>(registry, caches, enqueuer, |search| {
                let register = search.spec.register.as_ref()?;
                Some(&register.registry_ref)
            });
            enqueue_users::<TuningJob>(registry, caches, enqueuer, |search| {
                let tracking = search.spec.tracking.as_ref()?;
                Some(&tracking.registry_ref)
            });
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

/// The objects of a kind that name this registry: policies move aliases there, searches are logged and register their winners.
fn enqueue_users<K: Object>(
    registry: &ModelRegistry,
    caches: &Caches,
    enqueuer: &Enqueuer,
    reference_of: fn(&K) -> Option<&LocalReference>,
) {
    let Some(cache) = caches.of::<K>() else {
        return;
    };
    let (namespace, name) = (
        registry.namespace().unwrap_or_default(),
        registry.name_any(),
    );
    let names_it = |user: &K| reference_of(user).is_some_and(|reference| reference.name == name);
    for user in cache.list(&namespace, names_it) {
        enqueuer.enqueue_object(user.as_ref());
    }
}
