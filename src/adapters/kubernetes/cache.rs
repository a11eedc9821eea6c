//! What a watch has shown of one kind, together with what this process wrote since.
//!
//! A watch lags behind: an object that was just written would look as it did before. So the answer to a write is kept until the
//! watch has caught up with it.

use crate::adapters::object_index::ObjectIndex;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Namespace and name.
type Key = (String, String);

/// What objects are found by besides their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey(String);

impl IndexKey {
    /// The objects that belong to the owner with this uid.
    #[must_use]
    pub fn owner(uid: &str) -> Self {
        Self(format!("owner {uid}"))
    }

    /// The objects of a namespace whose label has this value.
    #[must_use]
    pub fn label(namespace: &str, label: &str, value: &str) -> Self {
        Self(format!("label {namespace} {label}={value}"))
    }

    /// The events about the object with this uid.
    #[must_use]
    pub fn about(uid: &str) -> Self {
        Self(format!("about {uid}"))
    }

    /// The uids of all owners of an object.
    pub fn owners<K: Resource>(object: &K) -> Vec<Self> {
        let owners = object.owner_references().iter();
        owners.map(|owner| Self::owner(&owner.uid)).collect()
    }
}

/// The objects of one kind in the watched scope.
pub struct Cache<K> {
    state: Mutex<State<K>>,
    index_keys: fn(&K) -> Vec<IndexKey>,
    filled: watch::Sender<bool>,
}

struct State<K> {
    /// In their newest known versions.
    objects: HashMap<Key, Arc<K>>,
    index: ObjectIndex<K>,
    /// Versions of own writes that the watch has not shown yet.
    ahead: HashMap<Key, u64>,
    /// The newest version that the watch has shown.
    shown: u64,
    list: Option<List>,
}

/// A list that is being received.
struct List {
    received: HashSet<Key>,
    /// Own writes from before it, which the list contains.
    ahead_before: HashMap<Key, u64>,
}

impl<K> Debug for Cache<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cache")
    }
}

impl<K> Default for Cache<K>
where
    K: Resource<DynamicType = ()> + Clone,
{
    fn default() -> Self {
        Self::new(IndexKey::owners)
    }
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone,
{
    /// An empty cache whose objects are found by `index_keys` too.
    #[must_use]
    pub fn new(index_keys: fn(&K) -> Vec<IndexKey>) -> Self {
        Self {
            state: Mutex::new(State {
                objects: HashMap::new(),
                index: ObjectIndex::default(),
                ahead: HashMap::new(),
                shown: 0,
                list: None,
            }),
            index_keys,
            filled: watch::Sender::new(false),
        }
    }

    /// Returns once the first list is complete.
    pub async fn wait_until_filled(&self) {
        // The sender lives as long as the cache.
        let _ = self.filled.subscribe().wait_for(|filled| *filled).await;
    }

    /// The object of that name, in its newest known version.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let key = (namespace.to_string(), name.to_string());
        self.state().objects.get(&key).cloned()
    }

    /// The objects of a namespace that `wanted` accepts. It looks at all objects; [`Self::find`] does not.
    pub fn list(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let state = self.state();
        let objects = state.objects.iter();
        let found = objects.filter(|((within, _), object)| within == namespace && wanted(object));
        found.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// The objects under an index key, in the order in which they became known.
    #[must_use]
    pub fn find(&self, key: &IndexKey) -> Arc<Vec<Arc<K>>> {
        self.state().index.list(&key.0)
    }

    /// All objects.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.state().objects.values().cloned().collect()
    }

    /// How many objects `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(&K) -> bool) -> usize {
        let state = self.state();
        state.objects.values().filter(|o| wanted(o)).count()
    }

    /// Takes in the API server's answer to an own write.
    pub fn observe_write(&self, object: K) {
        let mut state = self.state();
        let version = version_of(&object);
        let key = key_of(&object);
        // What the watch has passed already it has shown, or shown the end of.
        if version > state.shown {
            state.ahead.insert(key.clone(), version);
            state.put(key, object, self.index_keys);
        }
    }

    /// Takes in an event of the watch.
    pub fn apply_event(&self, event: &Event<K>) {
        let mut state = self.state();
        match event {
            Event::Apply(object) => state.observe(object, self.index_keys),
            Event::InitApply(object) => {
                let key = key_of(object);
                if let Some(list) = &mut state.list {
                    list.received.insert(key.clone());
                }
                if !state.is_behind(&key, version_of(object)) {
                    state.put(key, object.clone(), self.index_keys);
                }
            }
            Event::Delete(object) => {
                let (key, version) = (key_of(object), version_of(object));
                state.shown = state.shown.max(version);
                if !state.is_behind(&key, version) {
                    state.remove(&key, self.index_keys);
                }
            }
            Event::Init => {
                state.list = Some(List {
                    received: HashSet::new(),
                    ahead_before: state.ahead.clone(),
                });
            }
            Event::InitDone => {
                state.end_list(self.index_keys);
                drop(state);
                self.filled.send_replace(true);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> State<K>
where
    K: Resource<DynamicType = ()> + Clone,
{
    fn observe(&mut self, object: &K, index_keys: fn(&K) -> Vec<IndexKey>) {
        let (key, version) = (key_of(object), version_of(object));
        self.shown = self.shown.max(version);
        if !self.is_behind(&key, version) {
            self.put(key, object.clone(), index_keys);
        }
    }

    /// Whether an own write is newer than what the watch shows; one that is not is forgotten.
    fn is_behind(&mut self, key: &Key, shown: u64) -> bool {
        match self.ahead.get(key) {
            Some(written) if *written > shown => true,
            Some(_) => {
                self.ahead.remove(key);
                false
            }
            None => false,
        }
    }

    /// What the list lacks is gone, except for what was written since it began.
    fn end_list(&mut self, index_keys: fn(&K) -> Vec<IndexKey>) {
        let Some(list) = self.list.take() else {
            return;
        };
        let ahead = &self.ahead;
        let is_newer = |key: &Key| ahead.get(key) != list.ahead_before.get(key);
        let known = self.objects.keys();
        let gone = known.filter(|key| !list.received.contains(*key) && !is_newer(key));
        let gone: Vec<Key> = gone.cloned().collect();
        for key in gone {
            self.ahead.remove(&key);
            self.remove(&key, index_keys);
        }
    }

    fn put(&mut self, key: Key, object: K, index_keys: fn(&K) -> Vec<IndexKey>) {
        let keys = index_keys(&object);
        if let Some(before) = self.objects.get(&key) {
            for old in index_keys(before) {
                if !keys.contains(&old) {
                    self.index.remove(&old.0, &key.1);
                }
            }
        }
        let object = Arc::new(object);
        for new in keys {
            self.index.put(&new.0, &key.1, &object);
        }
        self.objects.insert(key, object);
    }

    fn remove(&mut self, key: &Key, index_keys: fn(&K) -> Vec<IndexKey>) {
        if let Some(removed) = self.objects.remove(key) {
            for old in index_keys(&removed) {
                self.index.remove(&old.0, &key.1);
            }
        }
    }
}

fn key_of<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Versions of one kind grow; etcd counts its writes.
fn version_of<K: Resource>(object: &K) -> u64 {
    let version = object.meta().resource_version.as_deref();
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use std::collections::BTreeMap;

    fn mk(name: &str, version: u64) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_string());
        object.metadata.namespace = Some("team".to_string());
        object.metadata.resource_version = Some(version.to_string());
        object
    }

    fn mk_labelled(name: &str, version: u64, value: &str) -> ConfigMap {
        let mut object = mk(name, version);
        object.metadata.labels = Some(BTreeMap::from([("run".to_string(), value.to_string())]));
        object
    }

    fn by_label(object: &ConfigMap) -> Vec<IndexKey> {
        let value = object.labels().get("run");
        let key = value.map(|value| IndexKey::label("team", "run", value));
        key.into_iter().collect()
    }

    fn version(cache: &Cache<ConfigMap>, name: &str) -> Option<u64> {
        cache
            .get("team", name)
            .map(|object| version_of(object.as_ref()))
    }

    fn filled(objects: &[ConfigMap]) -> Cache<ConfigMap> {
        let cache = Cache::new(by_label);
        show_list(&cache, objects);
        cache
    }

    fn show_list(cache: &Cache<ConfigMap>, objects: &[ConfigMap]) {
        cache.apply_event(&Event::Init);
        for object in objects {
            cache.apply_event(&Event::InitApply(object.clone()));
        }
        cache.apply_event(&Event::InitDone);
    }

    #[test]
    fn an_own_write_is_seen_at_once_and_until_the_watch_has_it() {
        let cache = filled(&[mk("a", 5)]);
        cache.observe_write(mk("a", 7));
        cache.observe_write(mk("b", 8));
        assert_eq!(
            (version(&cache, "a"), version(&cache, "b")),
            (Some(7), Some(8))
        );
        cache.apply_event(&Event::Apply(mk("a", 6)));
        assert_eq!(version(&cache, "a"), Some(7), "the watch is still behind");
        assert_eq!(cache.list("team", |_| true).len(), 2);
        assert_eq!(cache.list("other", |_| true).len(), 0);
        cache.apply_event(&Event::Apply(mk("a", 9)));
        assert_eq!(version(&cache, "a"), Some(9));
    }

    #[test]
    fn what_was_deleted_since_does_not_come_back() {
        let cache = filled(&[]);
        cache.observe_write(mk("a", 7));
        cache.apply_event(&Event::Apply(mk("a", 7)));
        cache.apply_event(&Event::Delete(mk("a", 8)));
        assert_eq!(version(&cache, "a"), None);
        cache.observe_write(mk("a", 7));
        assert_eq!(
            version(&cache, "a"),
            None,
            "the answer came after the watch"
        );
        cache.observe_write(mk("b", 9));
        show_list(&cache, &[]);
        assert_eq!(version(&cache, "b"), None, "it is not in the new list");
    }

    #[test]
    fn what_is_written_while_a_list_is_received_stays() {
        let cache = filled(&[mk("old", 3)]);
        cache.apply_event(&Event::Init);
        cache.observe_write(mk("new", 9));
        assert_eq!(version(&cache, "old"), Some(3), "the list is not complete");
        cache.apply_event(&Event::InitDone);
        assert_eq!(version(&cache, "old"), None);
        assert_eq!(version(&cache, "new"), Some(9));
        cache.apply_event(&Event::Delete(mk("new", 8)));
        assert_eq!(
            version(&cache, "new"),
            Some(9),
            "an object of that name before"
        );
    }

    #[test]
    fn objects_are_found_by_their_index_keys_as_they_are_now() {
        let cache = filled(&[mk_labelled("a", 1, "x"), mk_labelled("b", 2, "x")]);
        let found = |value: &str| -> Vec<String> {
            let found = cache.find(&IndexKey::label("team", "run", value));
            found.iter().map(|object| object.name_any()).collect()
        };
        assert_eq!(found("x"), ["a", "b"]);
        cache.observe_write(mk_labelled("a", 3, "y"));
        assert_eq!(
            (found("x"), found("y")),
            (vec!["b".to_string()], vec!["a".to_string()])
        );
        cache.apply_event(&Event::Delete(mk_labelled("b", 4, "x")));
        assert_eq!(found("x"), [""; 0]);
        show_list(&cache, &[]);
        assert_eq!(found("y"), [""; 0]);
    }
}
