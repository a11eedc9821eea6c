//! Objects by what they are found by, in lists that are shared and not copied.

use std::collections::HashMap;
use std::sync::Arc;

/// Lists of objects by key, such as the uid of their owner.
#[derive(Debug)]
pub struct ObjectIndex<K> {
    lists: HashMap<String, IndexedList<K>>,
}

/// In the order in which its objects became known.
#[derive(Debug)]
struct IndexedList<K> {
    objects: Arc<Vec<Arc<K>>>,
    places: HashMap<String, usize>,
}

impl<K> Default for ObjectIndex<K> {
    fn default() -> Self {
        Self {
            lists: HashMap::new(),
        }
    }
}

impl<K> Default for IndexedList<K> {
    fn default() -> Self {
        Self {
            objects: Arc::default(),
            places: HashMap::new(),
        }
    }
}

impl<K> ObjectIndex<K> {
    /// Lists an object under `key`. One of the same name there is replaced at its place.
    pub fn put(&mut self, key: &str, name: &str, object: &Arc<K>) {
        match self.lists.get_mut(key) {
            Some(list) => list.put(name, object),
            None => self
                .lists
                .entry(key.to_string())
                .or_default()
                .put(name, object),
        }
    }

    /// Removes the object of this name from the list under `key`.
    pub fn remove(&mut self, key: &str, name: &str) {
        let Some(list) = self.lists.get_mut(key) else {
            return;
        };
        list.remove(name);
        if list.objects.is_empty() {
            self.lists.remove(key);
        }
    }

    /// The objects under `key`.
    #[must_use]
    pub fn list(&self, key: &str) -> Arc<Vec<Arc<K>>> {
        let list = self.lists.get(key);
        list.map(|list| Arc::clone(&list.objects))
            .unwrap_or_default()
    }
}

impl<K> IndexedList<K> {
    fn put(&mut self, name: &str, object: &Arc<K>) {
        // The list is copied only while somebody still holds it as it was.
        let objects = Arc::make_mut(&mut self.objects);
        let known = self.places.get(name);
        match known.and_then(|place| objects.get_mut(*place)) {
            Some(known) => *known = Arc::clone(object),
            None => {
                self.places.insert(name.to_string(), objects.len());
                objects.push(Arc::clone(object));
            }
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(removed) = self.places.remove(name) else {
            return;
        };
        Arc::make_mut(&mut self.objects).remove(removed);
        for place in self.places.values_mut() {
            if *place > removed {
                *place -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_whoever_holds_it_keeps_what_he_has() {
        let mut index = ObjectIndex::default();
        let listed = |index: &ObjectIndex<i32>| -> Vec<i32> {
            index.list("a").iter().map(|object| **object).collect()
        };
        for (name, value) in [("x", 1), ("y", 2), ("z", 3), ("x", 4)] {
            index.put("a", name, &Arc::new(value));
        }
        assert_eq!(listed(&index), [4, 2, 3]);
        let held = index.list("a");
        index.remove("a", "x");
        index.put("a", "z", &Arc::new(5));
        assert_eq!(listed(&index), [2, 5]);
        assert_eq!(held.len(), 3);
        for name in ["y", "z", "z"] {
            index.remove("a", name);
        }
        assert_eq!(listed(&index), [0; 0]);
        assert!(index.lists.is_empty());
    }
}
