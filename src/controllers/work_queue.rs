//! Which objects wait for a reconcile, and whom an event puts there.

use crate::metrics::Metrics;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// An object to reconcile. A controller needs its name only, and reads the object from the cache; so one type serves all kinds.
pub(super) type Named = ObjectRef<DynamicObject>;

/// Objects of one kind that are to be reconciled.
pub(super) struct WorkQueue {
    resource: ApiResource,
    /// Namespace and name of those whose reconcile has not begun.
    waiting: Mutex<HashSet<(String, String)>>,
    sender: UnboundedSender<Named>,
    receiver: Mutex<Option<UnboundedReceiver<Named>>>,
    metrics: Arc<Metrics>,
}

impl WorkQueue {
    /// An empty queue.
    pub(super) fn new(resource: ApiResource, metrics: &Arc<Metrics>) -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            resource,
            waiting: Mutex::default(),
            sender,
            receiver: Mutex::new(Some(receiver)),
            metrics: Arc::clone(metrics),
        }
    }

    /// What the objects are.
    pub(super) fn resource(&self) -> &ApiResource {
        &self.resource
    }

    /// Where the one controller of the kind takes from; `None` after the first call.
    pub(super) fn take_receiver(&self) -> Option<UnboundedReceiver<Named>> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.take()
    }

    /// An object is to be reconciled; one that waits already is not counted twice.
    pub(super) fn enqueue(&self, namespace: &str, name: &str) {
        let key = (namespace.to_string(), name.to_string());
        if self.waiting().insert(key) {
            self.metrics.queue_changed(&self.resource.kind, 1);
        }
        let object = ObjectRef::new_with(name, self.resource.clone());
        // Nobody listens any more while the operator ends.
        let _ = self.sender.send(object.within(namespace));
    }

    /// The reconcile of an object begins, or the object is gone.
    pub(super) fn begin(&self, namespace: &str, name: &str) {
        let key = (namespace.to_string(), name.to_string());
        if self.waiting().remove(&key) {
            self.metrics.queue_changed(&self.resource.kind, -1);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queues of all kinds that are reconciled.
#[derive(Default)]
pub(super) struct Enqueuer {
    /// By kind.
    queues: BTreeMap<String, Arc<WorkQueue>>,
    /// Kind, namespace and name of the objects that are reconciled, by uid: what belongs to one names its uid.
    by_uid: Mutex<HashMap<String, (String, String, String)>>,
}

impl Enqueuer {
    /// Adds the queue of a kind.
    pub(super) fn insert(&mut self, queue: WorkQueue) {
        let kind = queue.resource.kind.clone();
        self.queues.insert(kind, Arc::new(queue));
    }

    /// The queue of a kind; `None` where it is not reconciled.
    pub(super) fn of(&self, kind: &str) -> Option<Arc<WorkQueue>> {
        self.queues.get(kind).cloned()
    }

    /// An object of this kind is to be reconciled.
    pub(super) fn enqueue(&self, kind: &str, namespace: &str, name: &str) {
        if let Some(queue) = self.queues.get(kind) {
            queue.enqueue(namespace, name);
        }
    }

    /// This object is to be reconciled.
    pub(super) fn enqueue_object<K: Resource<DynamicType = ()>>(&self, object: &K) {
        let namespace = object.namespace().unwrap_or_default();
        self.enqueue(&K::kind(&()), &namespace, &object.name_any());
    }

    /// The object with this uid is to be reconciled, if it is of a kind that is.
    pub(super) fn enqueue_uid(&self, uid: &str) {
        let found = self.by_uid().get(uid).cloned();
        if let Some((kind, namespace, name)) = found {
            self.enqueue(&kind, &namespace, &name);
        }
    }

    /// The owners of an object are to be reconciled.
    pub(super) fn enqueue_owners<K: Resource>(&self, object: &K) {
        for owner in object.owner_references() {
            self.enqueue_uid(&owner.uid);
        }
    }

    /// All objects of a kind are to be reconciled.
    pub(super) fn enqueue_all<K: Resource<DynamicType = ()>>(&self) {
        let wanted = K::kind(&());
        let known: Vec<_> = self.by_uid().values().cloned().collect();
        for (kind, namespace, name) in known {
            if kind == wanted {
                self.enqueue(&kind, &namespace, &name);
            }
        }
    }

    /// An object that is reconciled exists.
    pub(super) fn remember<K: Resource<DynamicType = ()>>(&self, object: &K) {
        if let Some(uid) = object.uid() {
            let kind = K::kind(&()).into_owned();
            let named = (
                kind,
                object.namespace().unwrap_or_default(),
                object.name_any(),
            );
            self.by_uid().insert(uid, named);
        }
    }

    /// It is gone.
    pub(super) fn forget<K: Resource<DynamicType = ()>>(&self, object: &K) {
        if let Some(uid) = object.uid() {
            self.by_uid().remove(&uid);
        }
    }

    /// No other objects of a kind exist than these; some may have gone while nobody watched.
    pub(super) fn retain<K: Resource<DynamicType = ()>>(&self, objects: &[Arc<K>]) {
        let existing: HashSet<&str> = objects
            .iter()
            .filter_map(|object| object.meta().uid.as_deref())
            .collect();
        let kind = K::kind(&());
        self.by_uid()
            .retain(|uid, (of, _, _)| *of != kind || existing.contains(uid.as_str()));
    }

    fn by_uid(&self) -> MutexGuard<'_, HashMap<String, (String, String, String)>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use podium_api::{Trial, TrialSpec};

    fn mk_trial(name: &str) -> Trial {
        let spec = TrialSpec {
            index: 1,
            parameters: BTreeMap::new(),
            seed: 0,
            origin: String::new(),
        };
        let mut trial = Trial::new(name, spec);
        trial.metadata.namespace = Some("team".to_string());
        trial.metadata.uid = Some(format!("uid of {name}"));
        trial
    }

    fn mk_enqueuer(metrics: &Arc<Metrics>) -> (Enqueuer, Arc<WorkQueue>) {
        let mut enqueuer = Enqueuer::default();
        enqueuer.insert(WorkQueue::new(ApiResource::erase::<Trial>(&()), metrics));
        let queue = enqueuer.of("Trial").unwrap();
        (enqueuer, queue)
    }

    fn received(queue: &WorkQueue) -> Vec<String> {
        let mut receiver = queue.take_receiver().unwrap();
        let names = std::iter::from_fn(|| receiver.try_recv().ok());
        names.map(|named| named.name).collect()
    }

    #[test]
    fn an_object_waits_once_until_its_reconcile_begins() {
        let metrics = Arc::new(Metrics::default());
        let (enqueuer, queue) = mk_enqueuer(&metrics);
        let depth = |wanted: i32| {
            let line = format!("podium_workqueue_depth{{kind=\"Trial\"}} {wanted}\n");
            let text = metrics.text(0);
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        };
        for name in ["a", "a", "b"] {
            enqueuer.enqueue("Trial", "team", name);
        }
        depth(2);
        queue.begin("team", "a");
        queue.begin("team", "a");
        depth(1);
        enqueuer.enqueue("Trial", "team", "a");
        depth(2);
        enqueuer.enqueue("ConfigMap", "team", "a");
        assert_eq!(received(&queue), ["a", "a", "b", "a"]);
        assert!(queue.take_receiver().is_none());
    }

    #[test]
    fn what_belongs_to_an_object_enqueues_it_by_its_uid() {
        let (enqueuer, queue) = mk_enqueuer(&Arc::default());
        enqueuer.remember(&mk_trial("a"));
        enqueuer.remember(&mk_trial("b"));
        let mut part = mk_trial("part");
        let owner = |uid: &str| OwnerReference {
            uid: uid.to_string(),
            ..OwnerReference::default()
        };
        part.metadata.owner_references = Some(vec![owner("uid of a"), owner("somebody else's")]);
        enqueuer.enqueue_owners(&part);
        enqueuer.forget(&mk_trial("a"));
        enqueuer.enqueue_owners(&part);
        enqueuer.enqueue_all::<Trial>();
        enqueuer.retain(&[Arc::new(mk_trial("c"))]);
        enqueuer.enqueue_all::<Trial>();
        assert_eq!(received(&queue), ["a", "b"]);
    }
}
