//! The two controllers of a scope: which engine call follows, and when it is tried again.

use super::ports::{ClusterPorts, Engines};
use super::queue::Queue;
use super::server::Readiness;
use super::watch::{Scope, Wake, filled, watch};
use crate::adapters::kubernetes::stores::Stores;
use crate::engine::{Engine, Left};
use crate::metrics::Metrics;
use crate::ports::{Clock, PortError, Ports};
use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use podium_api::TuningJob;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch::Receiver;

/// After a failure an object is tried again in half a second, then twice as late every time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error("{0}")]
    Port(#[from] PortError),
    #[error("a defect of Podium: the reconcile panicked; other objects go on")]
    Panicked,
}

/// What the controllers of a scope share.
struct Context {
    engines: Engines,
    stores: Arc<Stores>,
    metrics: Arc<Metrics>,
    /// How often in a row an object failed.
    failures: Mutex<HashMap<String, u32>>,
}

/// Runs the controllers of one scope until `draining`.
pub(super) async fn run(
    scope: Scope,
    client: Client,
    engines: Engines,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    concurrency: u16,
    draining: Receiver<bool>,
) {
    let (tuning_jobs, woken_tuning_jobs) = Queue::new("TuningJob", &metrics);
    let (trials, woken_trials) = Queue::new("Trial", &metrics);
    let wake = Wake {
        tuning_jobs: Arc::clone(&tuning_jobs),
        trials: Arc::clone(&trials),
    };
    let name = scope.to_string();
    readiness.filling(&name);
    let (stores, watching) = watch(&scope, &client, wake, &metrics);
    let context = Arc::new(Context {
        engines,
        stores: Arc::clone(&stores),
        metrics,
        failures: Mutex::default(),
    });
    let reconciling = async {
        // Without a first list there is nothing to finish.
        tokio::select! {
            () = filled(&stores) => {}
            () = asked_to_end(draining.clone()) => return,
        }
        readiness.filled(&name, Arc::clone(&stores));
        tracing::info!(scope = name, "reconciles");
        let jobs = control(
            stores.tuning_jobs.store().clone(),
            tuning_jobs,
            woken_tuning_jobs,
            concurrency,
            draining.clone(),
            &context,
            |engine, name| async move { engine.reconcile_tuning_job(&name).await },
        );
        let trials = control(
            stores.trials.store().clone(),
            trials,
            woken_trials,
            concurrency,
            draining.clone(),
            &context,
            |engine, name| async move { engine.reconcile_trial(&name).await },
        );
        futures::join!(jobs, trials);
    };
    tokio::select! {
        () = watching => {}
        () = reconciling => {}
    }
}

async fn asked_to_end(mut draining: Receiver<bool>) {
    // A sender that is gone has ended everything already.
    let _ = draining.wait_for(|draining| *draining).await;
}

async fn control<K, Reconcile, Reconciled>(
    store: Store<K>,
    queue: Arc<Queue<K>>,
    woken: UnboundedReceiver<ObjectRef<K>>,
    concurrency: u16,
    draining: Receiver<bool>,
    context: &Arc<Context>,
    reconcile: Reconcile,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    Reconcile: Fn(Arc<Engine<ClusterPorts>>, String) -> Reconciled + Send + Sync + Clone + 'static,
    Reconciled: Future<Output = Result<Left, PortError>> + Send + 'static,
{
    let kind = queue.kind();
    let taken_from = Arc::clone(&queue);
    let step = move |object: Arc<K>, context: Arc<Context>| {
        taken_from.taken(&ObjectRef::from_obj(object.as_ref()));
        let reconcile = reconcile.clone();
        async move {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let engine = context.engines.of(&namespace, &context.stores);
            let began = Instant::now();
            let done = guarded(reconcile(Arc::clone(&engine), name.clone())).await;
            let result = if done.is_ok() { "success" } else { "error" };
            context.metrics.reconciled(kind, result, began.elapsed());
            let left = done?;
            context.forget_failures(&key(kind, &namespace, &name));
            Ok(action(left, &engine))
        }
    };
    let controller = Controller::for_stream(nothing::<K>(), store)
        .reconcile_on(stream(woken))
        .with_config(Config::default().concurrency(concurrency))
        .graceful_shutdown_on(asked_to_end(draining));
    controller
        .run(
            step,
            move |object, error, context| try_again(kind, &object, error, &context),
            Arc::clone(context),
        )
        .for_each(|done| {
            if let Err(controller::Error::ObjectNotFound(gone)) = done {
                let namespace = gone.namespace.unwrap_or_default();
                context.forget(kind, &namespace, &gone.name);
                queue.taken(&ObjectRef::new(&gone.name).within(&namespace));
            }
            std::future::ready(())
        })
        .await;
}

/// A panic must not take the other objects with it.
async fn guarded(
    reconciled: impl Future<Output = Result<Left, PortError>>,
) -> Result<Left, ReconcileError> {
    let done = AssertUnwindSafe(reconciled).catch_unwind().await;
    done.map_or(Err(ReconcileError::Panicked), |done| Ok(done?))
}

/// Objects are woken by name; there is no second watch.
fn nothing<K: Send + 'static>()
-> impl Stream<Item = Result<K, kube::runtime::watcher::Error>> + Send + 'static {
    futures::stream::pending()
}

fn stream<T>(receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    })
}

fn action(left: Left, engine: &Engine<ClusterPorts>) -> Action {
    match left.look_again_at {
        None => Action::await_change(),
        Some(at) => {
            let milliseconds = at.milliseconds_since(engine.ports().clock().now());
            Action::requeue(Duration::from_millis(
                u64::try_from(milliseconds).unwrap_or(0),
            ))
        }
    }
}

fn try_again<K: ResourceExt>(
    kind: &'static str,
    object: &Arc<K>,
    error: &ReconcileError,
    context: &Context,
) -> Action {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let pause = match error {
        ReconcileError::Port(PortError::Permanent(_)) => LONGEST_PAUSE,
        ReconcileError::Port(PortError::Transient(_)) | ReconcileError::Panicked => {
            pause(context.count_failure(key(kind, &namespace, &name)))
        }
    };
    tracing::warn!(kind, namespace, name, %error, again_in = ?pause, "a reconcile failed");
    Action::requeue(pause)
}

fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(LONGEST_PAUSE)
}

fn key(kind: &str, namespace: &str, name: &str) -> String {
    format!("{kind}/{namespace}/{name}")
}

impl Context {
    /// An object is gone.
    fn forget(&self, kind: &str, namespace: &str, name: &str) {
        self.forget_failures(&key(kind, namespace, name));
        if kind == TuningJob::kind(&()) {
            self.engines.of(namespace, &self.stores).forget(name);
        }
    }

    fn count_failure(&self, key: String) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    fn forget_failures(&self, key: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(key);
    }
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
        let done = guarded(async { Ok(Left::default()) }).now_or_never();
        assert!(matches!(done, Some(Ok(left)) if left == Left::default()));
    }
}
