//! The objects of a state directory in memory, typed: what was read once is not read again while one process writes them.

use crate::adapters::object_index::ObjectIndex;
use crate::ports::Object;
use kube::ResourceExt;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The objects of all kinds that were asked for.
#[derive(Default)]
pub(super) struct ObjectCache {
    /// By plural; each holds a [`CachedKind`] of its type.
    kinds: HashMap<String, Box<dyn Any + Send>>,
    changed: BTreeSet<ChangedObject>,
}

impl std::fmt::Debug for ObjectCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.kinds.keys()).finish()
    }
}

/// An object that was written since somebody asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangedObject {
    /// Its kind, such as `Trial`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// The objects of one kind.
pub(super) struct CachedKind<K> {
    objects: BTreeMap<String, Arc<K>>,
    /// By the uid of an owner, in the order in which they became known.
    owned: ObjectIndex<K>,
    /// Why the object of a name cannot be read.
    pub(super) unreadable: BTreeMap<String, String>,
}

impl ObjectCache {
    /// The objects of a kind, loaded by `load` when they are asked for first.
    pub(super) fn kind<K: Object, E>(
        &mut self,
        load: impl FnOnce() -> Result<CachedKind<K>, E>,
    ) -> Result<Option<&mut CachedKind<K>>, E> {
        let plural = K::plural(&()).into_owned();
        if !self.kinds.contains_key(&plural) {
            self.kinds.insert(plural.clone(), Box::new(load()?));
        }
        let kind = self.kinds.get_mut(&plural);
        Ok(kind.and_then(|kind| kind.downcast_mut()))
    }

    /// Objects of this kind were written by other means: they are loaded again when they are asked for.
    pub(super) fn forget(&mut self, plural: &str) {
        self.kinds.remove(plural);
    }

    /// Takes in an object that was written.
    pub(super) fn wrote<K: Object>(&mut self, object: K) {
        self.changed.insert(ChangedObject {
            kind: K::kind(&()).into_owned(),
            name: object.name_any(),
        });
        let plural = K::plural(&());
        let kind = self.kinds.get_mut(plural.as_ref());
        if let Some(kind) = kind.and_then(|kind| kind.downcast_mut::<CachedKind<K>>()) {
            kind.put(object);
        }
    }

    /// What was written since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeSet<ChangedObject> {
        std::mem::take(&mut self.changed)
    }
}

impl<K> Default for CachedKind<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            owned: ObjectIndex::default(),
            unreadable: BTreeMap::new(),
        }
    }
}

impl<K: Object> CachedKind<K> {
    pub(super) fn put(&mut self, object: K) {
        let name = object.name_any();
        let object = Arc::new(object);
        for owner in object.owner_references() {
            self.owned.put(&owner.uid, &name, &object);
        }
        self.unreadable.remove(&name);
        self.objects.insert(name, object);
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<K>> {
        self.objects.get(name).cloned()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.objects.values()
    }

    pub(super) fn owned_by(&self, uid: &str) -> Arc<Vec<Arc<K>>> {
        self.owned.list(uid)
    }
}
