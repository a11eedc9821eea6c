//! Searches.

use super::{Kind, Reconciled, ReconciledKind};
use crate::adapters::kubernetes::cache::IndexKey;
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
use podium_api::convert::name_of;
use podium_api::{Trial, TuningJob};
use podium_core::tuning::conditions::conditions_of;
use podium_core::tuning::{Phase, Reason};
use std::sync::Arc;

impl Kind for TuningJob {
    const WRITES: &'static [&'static str] = &["get", "create", "delete"];
    const STATUS_WRITES: &'static [&'static str] = &["patch"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_podium()
    }

    fn enqueue_affected(event: &Event<Self>, caches: &Caches, enqueuer: &Enqueuer) {
        if let Some(job) = event_object(event) {
            enqueuer.enqueue_object(job);
            // A policy that started it may have waited for its end.
            enqueuer.enqueue_owners(job);
            enqueue_held_trials(job, caches, enqueuer);
        }
    }

    fn report_unreadable(client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
        unreadable::report::<Self>(client, metadata, unreadable, |message| {
            let (phase, reason) = (Phase::Blocked, Reason::InvalidSpec);
            (Some(name_of(phase)), conditions_of(phase, reason, message))
        });
    }
}

impl ReconciledKind for TuningJob {
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled {
        Box::pin(async move { engine.reconcile_tuning_job(&name).await })
    }

    fn gone(engine: &Engine<ClusterPorts>, name: &str) {
        engine.forget(name);
    }
}

/// A changed specification may let trials start that were held.
fn enqueue_held_trials(job: &TuningJob, caches: &Caches, enqueuer: &Enqueuer) {
    let observed = job
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    if observed == job.metadata.generation {
        return;
    }
    if let (Some(uid), Some(trials)) = (job.uid(), caches.of::<Trial>()) {
        for trial in trials.find(&IndexKey::owner(&uid)).iter() {
            enqueuer.enqueue_object(trial.as_ref());
        }
    }
}
