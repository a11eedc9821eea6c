//! Who waits for a reconcile.

use crate::metrics::Metrics;
use kube::runtime::reflector::{Lookup, ObjectRef};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Objects of one kind that were woken and whose reconcile has not begun.
pub(super) struct Queue<K: Lookup<DynamicType = ()>> {
    kind: &'static str,
    waiting: Mutex<HashSet<ObjectRef<K>>>,
    woken: UnboundedSender<ObjectRef<K>>,
    metrics: Arc<Metrics>,
}

impl<K: Lookup<DynamicType = ()>> Queue<K> {
    /// The empty queue of `kind`, and where the controller takes from it.
    pub(super) fn new(
        kind: &'static str,
        metrics: &Arc<Metrics>,
    ) -> (Arc<Self>, UnboundedReceiver<ObjectRef<K>>) {
        let (woken, to_reconcile) = unbounded_channel();
        let queue = Self {
            kind,
            waiting: Mutex::default(),
            woken,
            metrics: Arc::clone(metrics),
        };
        (Arc::new(queue), to_reconcile)
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// An object is to be reconciled; one that waits already is not counted twice.
    pub(super) fn wake(&self, namespace: &str, name: &str) {
        let object = ObjectRef::new(name).within(namespace);
        if self.waiting().insert(object.clone()) {
            self.metrics.queue_changed(self.kind, 1);
        }
        // Nobody listens any more while the operator ends.
        let _ = self.woken.send(object);
    }

    /// All of these are.
    pub(super) fn wake_all(&self, objects: Vec<Arc<K>>) {
        for object in objects {
            let found = ObjectRef::from_obj(object.as_ref());
            self.wake(&found.namespace.unwrap_or_default(), &found.name);
        }
    }

    /// Its reconcile begins, or it is gone.
    pub(super) fn taken(&self, object: &ObjectRef<K>) {
        if self.waiting().remove(object) {
            self.metrics.queue_changed(self.kind, -1);
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashSet<ObjectRef<K>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::Trial;

    #[test]
    fn an_object_waits_once_until_it_is_taken() {
        let metrics = Arc::new(Metrics::default());
        let (queue, mut to_reconcile) = Queue::<Trial>::new("Trial", &metrics);
        let depth = |wanted: i32| {
            let line = format!("podium_workqueue_depth{{kind=\"Trial\"}} {wanted}\n");
            let text = metrics.text(0);
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        };
        queue.wake("ns", "a");
        queue.wake("ns", "a");
        queue.wake("ns", "b");
        depth(2);
        let first = to_reconcile.try_recv().unwrap();
        queue.taken(&first);
        queue.taken(&first);
        depth(1);
        queue.wake("ns", "a");
        depth(2);
        let woken = std::iter::from_fn(|| to_reconcile.try_recv().ok());
        assert_eq!(
            woken.map(|object| object.name).collect::<Vec<_>>(),
            ["a", "b", "a"]
        );
    }
}
