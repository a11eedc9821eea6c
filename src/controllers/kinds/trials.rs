//! Trials of searches. They are all Podium's, so that no label decides which of them are seen.

use super::{Kind, Reconciled, ReconciledKind};
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::ports::ClusterPorts;
use crate::controllers::reflector::event_object;
use crate::controllers::work_queue::Enqueuer;
use crate::engine::Engine;
use kube::runtime::watcher::Event;
use podium_api::{Trial, TuningJob};
use std::sync::Arc;

impl Kind for Trial {
    const WRITES: &'static [&'static str] = &["create"];
    const STATUS_WRITES: &'static [&'static str] = &["patch"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_podium()
    }

    fn enqueue_affected(event: &Event<Self>, _: &Caches, enqueuer: &Enqueuer) {
        match event {
            // Trials that went away unseen are missed by their searches.
            Event::InitDone => enqueuer.enqueue_all::<TuningJob>(),
            _ => {
                if let Some(trial) = event_object(event) {
                    enqueuer.enqueue_object(trial);
                    enqueuer.enqueue_owners(trial);
                }
            }
        }
    }
}

impl ReconciledKind for Trial {
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled {
        Box::pin(async move { engine.reconcile_trial(&name).await })
    }

    fn gone(engine: &Engine<ClusterPorts>, name: &str) {
        engine.forget_trial(name);
    }
}
