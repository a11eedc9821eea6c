//! Pods of runs.

use super::Kind;
use crate::adapters::kubernetes::cache::IndexKey;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::reflector::event_object;
use crate::controllers::work_queue::Enqueuer;
use crate::runs::job::pod_index_keys;
use crate::runs::job_manifest::{OWNER_LABEL, RUN_LABEL};
use crate::runs::observed::ObservedPod;
use kube::ResourceExt;
use kube::runtime::watcher::{Config, Event};
use podium_api::{ChampionPolicy, Evaluation, TUNING_JOB_LABEL, Trial, TuningJob};

impl Kind for ObservedPod {
    const WRITES: &'static [&'static str] = &[];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_kubernetes()
    }

    fn selection() -> Config {
        Config::default().labels(RUN_LABEL)
    }

    fn trim(&mut self) {
        self.remove_what_nobody_reads();
    }

    fn index_keys(&self) -> Vec<IndexKey> {
        pod_index_keys(self)
    }

    fn enqueue_affected(event: &Event<Self>, _: &Caches, enqueuer: &Enqueuer) {
        match event {
            // Pods that went away unseen are missed by those who run them.
            Event::InitDone => {
                enqueuer.enqueue_all::<Trial>();
                enqueuer.enqueue_all::<Evaluation>();
                enqueuer.enqueue_all::<ChampionPolicy>();
            }
            _ => {
                let Some(pod) = event_object(event) else {
                    return;
                };
                if let Some(owner) = pod.labels().get(OWNER_LABEL) {
                    enqueuer.enqueue_uid(owner);
                }
                // A search counts what runs before its trials record it.
                if let Some(search) = pod.labels().get(TUNING_JOB_LABEL) {
                    let namespace = pod.namespace().unwrap_or_default();
                    let kind = <TuningJob as kube::Resource>::kind(&());
                    enqueuer.enqueue(&kind, &namespace, search);
                }
            }
        }
    }
}
