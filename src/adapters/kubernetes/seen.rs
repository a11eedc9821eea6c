//! What a watch has shown of one kind, together with what this process wrote since.
//!
//! A watch lags behind: an object that was just written would look as it did before. So the answer to a write is kept until the
//! watch has caught up with it.

use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

/// Objects of one kind in the watched scope.
pub struct Seen<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    own: Mutex<Own<K>>,
}

struct Own<K> {
    written: HashMap<(String, String), Arc<K>>,
    /// The newest version that the watch has shown.
    shown: u64,
    /// What was written when the watch began to list anew.
    before_list: Vec<((String, String), u64)>,
}

impl<K> Debug for Seen<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seen")
    }
}

impl<K> Seen<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    /// On top of what a watch keeps in `store`.
    #[must_use]
    pub fn new(store: Store<K>) -> Self {
        Self {
            store,
            own: Mutex::new(Own {
                written: HashMap::new(),
                shown: 0,
                before_list: Vec::new(),
            }),
        }
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &Store<K> {
        &self.store
    }

    /// The object of that name, in its newest known version.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let watched = self.store.get(&ObjectRef::new(name).within(namespace));
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let written = own.written.get(&(namespace.to_string(), name.to_string()));
        newer(watched, written.cloned())
    }

    /// All objects of a namespace that `wanted` accepts, in their newest known versions.
    pub fn list(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let in_namespace = |object: &K| object.namespace().as_deref() == Some(namespace);
        let mut found: HashMap<String, Arc<K>> = self
            .store
            .state_filter(|object| in_namespace(object))
            .into_iter()
            .map(|object| (object.name_any(), object))
            .collect();
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, name), written) in own.written.iter().filter(|((n, _), _)| n == namespace) {
            let watched = found.remove(name);
            if let Some(newest) = newer(watched, Some(Arc::clone(written))) {
                found.insert(name.clone(), newest);
            }
        }
        found.retain(|_, object| wanted(object));
        found.into_values().collect()
    }

    /// Remembers the API server's answer to an own write.
    pub fn wrote(&self, object: K) {
        let key = key_of(&object);
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        // What the watch has passed already it has shown, or shown the end of.
        if version_of(&object) > own.shown {
            own.written.insert(key, Arc::new(object));
        }
    }

    /// To be told of every event of the watch, after the store was.
    pub fn watched(&self, event: &Event<K>) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Apply(object) | Event::Delete(object) | Event::InitApply(object) => {
                let version = version_of(object);
                if !matches!(event, Event::InitApply(_)) {
                    own.shown = own.shown.max(version);
                }
                let key = key_of(object);
                if own
                    .written
                    .get(&key)
                    .is_some_and(|written| version_of(written.as_ref()) <= version)
                {
                    own.written.remove(&key);
                }
            }
            // The list that follows is newer than all that was written before; until it is whole, that is still the newest.
            Event::Init => {
                let versions = own.written.iter();
                own.before_list = versions
                    .map(|(key, object)| (key.clone(), version_of(object.as_ref())))
                    .collect();
            }
            Event::InitDone => {
                for (key, version) in std::mem::take(&mut own.before_list) {
                    if own
                        .written
                        .get(&key)
                        .is_some_and(|written| version_of(written.as_ref()) == version)
                    {
                        own.written.remove(&key);
                    }
                }
            }
        }
    }
}

fn key_of<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Versions of one kind grow; etcd counts its writes.
fn version_of<K: Resource>(object: &K) -> u64 {
    let version = object.meta().resource_version.as_deref();
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn newer<K: Resource>(watched: Option<Arc<K>>, written: Option<Arc<K>>) -> Option<Arc<K>> {
    match (watched, written) {
        (Some(a), Some(b)) if version_of(b.as_ref()) > version_of(a.as_ref()) => Some(b),
        (Some(a), _) => Some(a),
        (None, b) => b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector::store;

    fn mk(name: &str, version: u64) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_string());
        object.metadata.namespace = Some("team".to_string());
        object.metadata.resource_version = Some(version.to_string());
        object
    }

    fn version(seen: &Seen<ConfigMap>, name: &str) -> Option<u64> {
        seen.get("team", name)
            .map(|object| version_of(object.as_ref()))
    }

    #[test]
    fn an_own_write_is_seen_at_once_and_until_the_watch_has_it() {
        let (reader, mut writer) = store::<ConfigMap>();
        let seen = Seen::new(reader);
        let mut show = |event: Event<ConfigMap>| {
            writer.apply_watcher_event(&event);
            seen.watched(&event);
        };
        for event in [Event::Init, Event::InitApply(mk("a", 5)), Event::InitDone] {
            show(event);
        }
        seen.wrote(mk("a", 7));
        seen.wrote(mk("b", 8));
        assert_eq!(
            (version(&seen, "a"), version(&seen, "b")),
            (Some(7), Some(8))
        );
        show(Event::Apply(mk("a", 6)));
        assert_eq!(version(&seen, "a"), Some(7), "the watch is still behind");
        assert_eq!(seen.list("team", |_| true).len(), 2);
        assert_eq!(seen.list("other", |_| true).len(), 0);
        show(Event::Apply(mk("a", 9)));
        assert_eq!(version(&seen, "a"), Some(9));
    }

    #[test]
    fn what_was_deleted_since_does_not_come_back() {
        let (reader, mut writer) = store::<ConfigMap>();
        let seen = Seen::new(reader);
        let mut show = |event: Event<ConfigMap>| {
            writer.apply_watcher_event(&event);
            seen.watched(&event);
        };
        for event in [Event::Init, Event::InitDone] {
            show(event);
        }
        seen.wrote(mk("a", 7));
        show(Event::Apply(mk("a", 7)));
        show(Event::Delete(mk("a", 8)));
        assert_eq!(version(&seen, "a"), None);
        seen.wrote(mk("a", 7));
        assert_eq!(version(&seen, "a"), None, "the answer came after the watch");
        seen.wrote(mk("b", 9));
        show(Event::Init);
        show(Event::InitDone);
        assert_eq!(version(&seen, "b"), None, "it is not in the new list");
    }
}
