//! The caches of what is watched, shared by everything that reads.

use super::cache::Cache;
use kube::Resource;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// The caches of one scope, a namespace or all of them: one of each kind that is watched.
#[derive(Debug, Default)]
pub struct Caches {
    by_kind: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Caches {
    /// Adds the cache of a kind.
    pub fn insert<K: Send + Sync + 'static>(&mut self, cache: Arc<Cache<K>>) {
        self.by_kind.insert(TypeId::of::<K>(), cache);
    }

    /// How many kinds are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_kind.len()
    }

    /// Whether nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    /// The cache of a kind; `None` where it is not watched.
    #[must_use]
    pub fn of<K: Send + Sync + 'static>(&self) -> Option<Arc<Cache<K>>> {
        let cache = self.by_kind.get(&TypeId::of::<K>())?;
        Arc::clone(cache).downcast().ok()
    }
}

/// Forgets who manages which field, which most of an object's size is.
pub fn trim_managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}
