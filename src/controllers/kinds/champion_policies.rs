//! Policies.

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
use podium_api::convert::{name_of, stalled_conditions};
use podium_api::{Approval, ChampionPolicy};
use podium_core::champion::Phase;
use std::sync::Arc;

impl Kind for ChampionPolicy {
    const WRITES: &'static [&'static str] = &[];
    const STATUS_WRITES: &'static [&'static str] = &["patch"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_podium()
    }

    fn enqueue_affected(event: &Event<Self>, _: &Caches, enqueuer: &Enqueuer) {
        let Some(policy) = event_object(event) else {
            return;
        };
        enqueuer.enqueue_object(policy);
        // Approvals say whether there is a policy that hears them.
        let is_new_or_gone = policy.status.is_none() || matches!(event, Event::Delete(_));
        if is_new_or_gone {
            enqueuer.enqueue_all::<Approval>();
        }
    }

    fn report_unreadable(client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
        unreadable::report::<Self>(client, metadata, unreadable, |message| {
            let phase = Some(name_of(Phase::Blocked));
            (phase, stalled_conditions("InvalidSpec", message))
        });
    }
}

impl ReconciledKind for ChampionPolicy {
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled {
        Box::pin(async move { engine.reconcile_champion_policy(&name).await })
    }

    fn gone(engine: &Engine<ClusterPorts>, name: &str) {
        engine.forget_policy(name);
    }
}
