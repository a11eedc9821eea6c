//! Jobs of runs.

use super::Kind;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::reflector::event_object;
use crate::controllers::work_queue::Enqueuer;
use crate::runs::job_manifest::RUN_LABEL;
use crate::runs::observed::ObservedJob;
use kube::runtime::watcher::{Config, Event};
use podium_api::{ChampionPolicy, Evaluation, Trial};

impl Kind for ObservedJob {
    const WRITES: &'static [&'static str] = &["get", "create", "delete"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_kubernetes()
    }

    fn selection() -> Config {
        Config::default().labels(RUN_LABEL)
    }

    fn trim(&mut self) {
        self.remove_what_nobody_reads();
    }

    fn enqueue_affected(event: &Event<Self>, _: &Caches, enqueuer: &Enqueuer) {
        match event {
            // Jobs that went away unseen are missed by those who run them.
            Event::InitDone => {
                enqueuer.enqueue_all::<Trial>();
                enqueuer.enqueue_all::<Evaluation>();
                enqueuer.enqueue_all::<ChampionPolicy>();
            }
            _ => {
                if let Some(job) = event_object(event) {
                    enqueuer.enqueue_owners(job);
                }
            }
        }
    }
}
