//! Jobs of runs.

use super::Kind;
use crate::adapters::kubernetes::caches::{Caches, trim_job};
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::reflector::event_object;
use crate::controllers::work_queue::Enqueuer;
use crate::runs::job_manifest::RUN_LABEL;
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::watcher::{Config, Event};
use podium_api::Trial;

impl Kind for Job {
    const WRITES: &'static [&'static str] = &["get", "create", "delete"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_kubernetes()
    }

    fn selection() -> Config {
        Config::default().labels(RUN_LABEL)
    }

    fn trim(&mut self) {
        trim_job(self);
    }

    fn enqueue_affected(event: &Event<Self>, _: &Caches, enqueuer: &Enqueuer) {
        match event {
            // Jobs that went away unseen are missed by those who run them.
            Event::InitDone => enqueuer.enqueue_all::<Trial>(),
            _ => {
                if let Some(job) = event_object(event) {
                    enqueuer.enqueue_owners(job);
                }
            }
        }
    }
}
