//! Events that say why a Job got no pod.

use super::Kind;
use crate::adapters::kubernetes::cache::IndexKey;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::reflector::event_object;
use crate::controllers::work_queue::Enqueuer;
use crate::runs::job::event_index_keys;
use crate::runs::observed::ObservedJob;
use k8s_openapi::api::core::v1::Event as KubernetesEvent;
use kube::runtime::watcher::{Config, Event};

impl Kind for KubernetesEvent {
    const WRITES: &'static [&'static str] = &[];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_kubernetes()
    }

    fn selection() -> Config {
        Config::default().fields("involvedObject.kind=Job,reason=FailedCreate")
    }

    fn index_keys(&self) -> Vec<IndexKey> {
        event_index_keys(self)
    }

    fn enqueue_affected(event: &Event<Self>, caches: &Caches, enqueuer: &Enqueuer) {
        let about = event_object(event).map(|event| &event.involved_object);
        let named = about.and_then(|job| Some((job.namespace.as_deref()?, job.name.as_deref()?)));
        if let (Some((namespace, name)), Some(jobs)) = (named, caches.of::<ObservedJob>())
            && let Some(job) = jobs.get(namespace, name)
        {
            enqueuer.enqueue_owners(job.as_ref());
        }
    }
}
