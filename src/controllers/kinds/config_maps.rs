//! ConfigMaps in which policies publish their champions. Others are neither listed nor watched.

use super::Kind;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::published::CHAMPION_POLICY_LABEL;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::reflector::event_object;
use crate::controllers::work_queue::Enqueuer;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::runtime::watcher::{Config, Event};
use podium_api::ChampionPolicy;

impl Kind for ConfigMap {
    const WRITES: &'static [&'static str] = &["create", "patch", "delete"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_kubernetes()
    }

    fn selection() -> Config {
        Config::default().labels(CHAMPION_POLICY_LABEL)
    }

    fn enqueue_affected(event: &Event<Self>, caches: &Caches, enqueuer: &Enqueuer) {
        match event {
            // Those that went away unseen are missed by their policies.
            Event::InitDone => enqueuer.enqueue_all::<ChampionPolicy>(),
            _ => {
                if let Some(config_map) = event_object(event) {
                    enqueuer.enqueue_owners(config_map);
                    enqueue_publishers(config_map, caches, enqueuer);
                }
            }
        }
    }
}

/// The policies that publish under its name: one that waits for it to go is another one than its owner.
fn enqueue_publishers(config_map: &ConfigMap, caches: &Caches, enqueuer: &Enqueuer) {
    let Some(policies) = caches.of::<ChampionPolicy>() else {
        return;
    };
    let (namespace, name) = (
        config_map.namespace().unwrap_or_default(),
        config_map.name_any(),
    );
    let publishes = |policy: &ChampionPolicy| {
        let publish = policy.spec.publish.as_ref();
        publish.is_some_and(|publish| publish.config_map.name == name)
    };
    for policy in policies.list(&namespace, publishes) {
        enqueuer.enqueue_object(policy.as_ref());
    }
}
