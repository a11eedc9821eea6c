//! The controllers of a scope: which engine call follows, and when it is tried again.

use super::kinds::{Reconciled, ReconciledKind, all_filled, rows};
use super::ports::ClusterPorts;
use super::reflector::{Scope, ScopeContext, run_reflector};
use super::server::Readiness;
use super::shares::Shares;
use super::work_queue::{Named, WorkQueue};
use crate::engine::{Engine, Requeue};
use crate::ports::{Clock, PortError, Ports};
use futures::future::{join_all, select_all};
use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use serde_json::Value;
use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch::Receiver;

/// After a failure an object is tried again in half a second, then twice as late every time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An object whose namespace has its share of the reconciles is looked at again after this time.
const SHARE_PAUSE: Duration = Duration::from_millis(250);

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error("{0}")]
    Port(#[from] PortError),
    #[error("a defect of Podium: the reconcile panicked; other objects go on")]
    Panicked,
}

/// Runs the watches and the controllers of one scope until it is drained.
pub(super) async fn run(context: Arc<ScopeContext>, readiness: Arc<Readiness>) {
    let name = context.scope.to_string();
    readiness.filling(&name);
    let (reconciled, watched): (Vec<_>, Vec<_>) =
        rows(context.publishes).partition(|row| row.is_reconciled);
    let watching = select_all(watched.into_iter().map(|row| (row.run)(&context)));
    let reconciling = join_all(reconciled.into_iter().map(|row| (row.run)(&context)));
    let announcing = async {
        all_filled(&context.caches).await;
        readiness.filled(&name, Arc::clone(&context.caches));
        tracing::info!(scope = name, "reconciles");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = watching => {}
        () = announcing => {}
        _ = reconciling => {}
    }
}

/// Returns when the operator is asked to end.
pub(super) async fn shutdown(mut draining: Receiver<bool>) {
    // A sender that is gone has ended everything already.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// Watches a kind and reconciles its objects, once the caches of the scope are filled that promotions need.
pub(super) async fn run_controller<K: ReconciledKind>(context: Arc<ScopeContext>) {
    let resource = ApiResource::erase::<K>(&());
    let Some(queue) = context.enqueuer.of(&resource.kind) else {
        return;
    };
    let mut writer = Writer::new(resource);
    let controlled = Controlled {
        names: writer.as_reader(),
        queue,
        reconcile: K::reconcile,
        gone: K::gone,
        failures: Arc::default(),
    };
    let remembering = Arc::clone(&context);
    let watching = run_reflector::<K>(Arc::clone(&context), move |event| {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                remembering.enqueuer.remember(object);
            }
            Event::Delete(object) => remembering.enqueuer.forget(object),
            Event::InitDone => {
                if let Some(cache) = remembering.caches.of::<K>() {
                    remembering.enqueuer.retain(&cache.all());
                }
            }
            Event::Init => {}
        }
        writer.apply_watcher_event(&named(event));
    });
    let reconciling = async {
        // Without a first list there is nothing to finish.
        tokio::select! {
            () = all_filled(&context.caches) => control(&context, controlled).await,
            () = shutdown(context.draining.clone()) => {}
        }
    };
    tokio::select! {
        () = watching => {}
        () = reconciling => {}
    }
}

/// A kind whose objects are reconciled, as its controller sees it.
struct Controlled {
    /// The names of its objects.
    names: Store<DynamicObject>,
    queue: Arc<WorkQueue>,
    reconcile: fn(Arc<Engine<ClusterPorts>>, String) -> Reconciled,
    gone: fn(&Engine<ClusterPorts>, &str),
    failures: Arc<Failures>,
}

/// The same event with nothing of the object but its name.
fn named<K: Resource<DynamicType = ()>>(event: &Event<K>) -> Event<DynamicObject> {
    let named = |object: &K| DynamicObject {
        types: None,
        metadata: ObjectMeta {
            name: object.meta().name.clone(),
            namespace: object.meta().namespace.clone(),
            ..ObjectMeta::default()
        },
        data: Value::Null,
    };
    match event {
        Event::Apply(object) => Event::Apply(named(object)),
        Event::InitApply(object) => Event::InitApply(named(object)),
        Event::Delete(object) => Event::Delete(named(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

async fn control(context: &Arc<ScopeContext>, controlled: Controlled) {
    let Controlled {
        names,
        queue,
        reconcile,
        gone,
        failures,
    } = controlled;
    let Some(receiver) = queue.take_receiver() else {
        return;
    };
    let resource = queue.resource().clone();
    // Those of a single namespace have nobody to leave room for.
    let shares = (context.scope == Scope::Cluster).then(|| Shares::new(context.concurrency));
    let step = {
        let (queue, failures) = (Arc::clone(&queue), Arc::clone(&failures));
        move |object: Arc<DynamicObject>, context: Arc<ScopeContext>| {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let share = shares.as_ref().map(|shares| shares.begin(&namespace));
            let has_to_wait = matches!(share, Some(None));
            if !has_to_wait {
                queue.begin(&namespace, &name);
            }
            let (queue, failures) = (Arc::clone(&queue), Arc::clone(&failures));
            async move {
                let _share = share;
                if has_to_wait {
                    return Ok(Action::requeue(SHARE_PAUSE));
                }
                let engine = context.engines.of(&namespace, &context.caches);
                let began = Instant::now();
                let done = guarded(reconcile(Arc::clone(&engine), name.clone())).await;
                let result = if done.is_ok() { "success" } else { "error" };
                let kind = &queue.resource().kind;
                context.metrics.reconciled(kind, result, began.elapsed());
                let requeue = done?;
                failures.forget(&namespace, &name);
                Ok(action(requeue, &engine))
            }
        }
    };
    let try_again = {
        let (failures, kind) = (Arc::clone(&failures), resource.kind.clone());
        move |object: Arc<DynamicObject>, error: &ReconcileError, _| {
            failures.try_again(&kind, &object, error)
        }
    };
    Controller::for_stream_with(futures::stream::pending(), names, resource)
        .reconcile_on(stream(receiver))
        .with_config(Config::default().concurrency(context.concurrency))
        .graceful_shutdown_on(shutdown(context.draining.clone()))
        .run(step, try_again, Arc::clone(context))
        .for_each(|done| {
            if let Err(controller::Error::ObjectNotFound(missing)) = done {
                let namespace = missing.namespace.unwrap_or_default();
                queue.begin(&namespace, &missing.name);
                failures.forget(&namespace, &missing.name);
                gone(
                    &context.engines.of(&namespace, &context.caches),
                    &missing.name,
                );
            }
            std::future::ready(())
        })
        .await;
}

/// A panic must not take the other objects with it.
async fn guarded(
    reconciled: impl Future<Output = Result<Requeue, PortError>>,
) -> Result<Requeue, ReconcileError> {
    let done = AssertUnwindSafe(reconciled).catch_unwind().await;
    done.map_or(Err(ReconcileError::Panicked), |done| Ok(done?))
}

fn stream(receiver: UnboundedReceiver<Named>) -> impl Stream<Item = Named> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    })
}

fn action(requeue: Requeue, engine: &Engine<ClusterPorts>) -> Action {
    match requeue.at {
        None => Action::await_change(),
        Some(at) => {
            let milliseconds = at.milliseconds_since(engine.ports().clock().now());
            Action::requeue(Duration::from_millis(
                u64::try_from(milliseconds).unwrap_or(0),
            ))
        }
    }
}

/// How often in a row the objects of a kind failed, by namespace and name.
#[derive(Default)]
struct Failures(Mutex<HashMap<(String, String), u32>>);

impl Failures {
    fn try_again(&self, kind: &str, object: &DynamicObject, error: &ReconcileError) -> Action {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let again_in = match error {
            ReconcileError::Port(error) if !error.is_transient() => LONGEST_PAUSE,
            ReconcileError::Port(_) | ReconcileError::Panicked => {
                pause(self.count(&namespace, &name))
            }
        };
        tracing::warn!(kind, namespace, name, %error, ?again_in, "a reconcile failed");
        Action::requeue(again_in)
    }

    fn count(&self, namespace: &str, name: &str) -> u32 {
        let mut failures = self.lock();
        let key = (namespace.to_string(), name.to_string());
        let count = failures.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    fn forget(&self, namespace: &str, name: &str) {
        let key = (namespace.to_string(), name.to_string());
        self.lock().remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(pause(1), FIRST_PAUSE);
        assert_eq!(pause(2), 2 * FIRST_PAUSE);
        assert_eq!(pause(40), LONGEST_PAUSE);
    }

    #[test]
    fn a_panic_is_an_error_of_its_object() {
        let done = guarded(async { panic!("a defect") }).now_or_never();
        assert!(matches!(done, Some(Err(ReconcileError::Panicked))));
        let done = guarded(async { Ok(Requeue::default()) }).now_or_never();
        assert!(matches!(done, Some(Ok(requeue)) if requeue == Requeue::default()));
    }
}
