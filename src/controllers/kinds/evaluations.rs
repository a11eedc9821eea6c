//! Comparisons, which policies ask for and Jobs make.

use super::{Kind, Reconciled, ReconciledKind};
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::ports::ClusterPorts;
use crate::controllers::reflector::event_object;
use crate::controllers::unreadable;
use crate::controllers::work_queue::Enqueuer;
use crate::engine::Engine;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::runtime::watcher::Event;
use podium_api::{ChampionPolicy, Evaluation};
use std::sync::Arc;

impl Kind for Evaluation {
    const WRITES: &'static [&'static str] = &["create", "delete"];
    const STATUS_WRITES: &'static [&'static str] = &["patch"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_podium()
    }

    fn enqueue_affected(event: &Event<Self>, _: &Caches, enqueuer: &Enqueuer) {
        match event {
            // Comparisons that went away unseen are missed by their policies.
            Event::InitDone => enqueuer.enqueue_all::<ChampionPolicy>(),
            _ => {
                if let Some(evaluation) = event_object(event) {
                    enqueuer.enqueue_object(evaluation);
                    enqueuer.enqueue_owners(evaluation);
                }
            }
        }
    }

    fn report_unreadable(client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
        unreadable::report::<Self>(client, metadata, unreadable, unreadable::stalled);
    }
}

impl ReconciledKind for Evaluation {
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled {
        Box::pin(async move { engine.reconcile_evaluation(&name).await })
    }
}
