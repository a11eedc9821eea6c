//! Consent.

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
use kube::{Client, Resource, ResourceExt};
use podium_api::{Approval, ChampionPolicy};
use std::sync::Arc;

impl Kind for Approval {
    const WRITES: &'static [&'static str] = &[];
    const STATUS_WRITES: &'static [&'static str] = &["patch"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_podium()
    }

    fn enqueue_affected(event: &Event<Self>, _: &Caches, enqueuer: &Enqueuer) {
        let Some(approval) = event_object(event) else {
            return;
        };
        enqueuer.enqueue_object(approval);
        let namespace = approval.namespace().unwrap_or_default();
        let policy = &approval.spec.policy_ref.name;
        enqueuer.enqueue(&ChampionPolicy::kind(&()), &namespace, policy);
    }

    fn report_unreadable(client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
        unreadable::report::<Self>(client, metadata, unreadable, unreadable::stalled);
    }
}

impl ReconciledKind for Approval {
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled {
        Box::pin(async move { engine.reconcile_approval(&name).await })
    }
}
