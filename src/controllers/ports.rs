//! The world of the operator: one engine per namespace, on the same stores.

use super::reconcile::shutdown;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::clock::ServerClock;
use crate::adapters::kubernetes::cluster::KubernetesCluster;
use crate::adapters::kubernetes::events::KubernetesEvents;
use crate::adapters::kubernetes::registries::Registries;
use crate::adapters::kubernetes::{Precondition, delete};
use crate::adapters::mlflow::registry::MlflowRegistry;
use crate::engine::{Engine, WritePolicy};
use crate::ports::{EvaluationState, Evaluator, ObjectStore, PortError, Ports};
use crate::runs::job::JobRunner;
use kube::Client;
use podium_api::convert::World;
use podium_api::{EvaluationSpec, ModelRegistry, ModelRegistrySpec, TuningJob, TuningJobSpec};
use podium_core::problem::SpecProblem;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch::Receiver;

/// A finished Job must outlive an operator that is away for a while, since its pod holds the result.
const SHORTEST_JOB_TTL_SECONDS: i64 = 600;

/// What the engines of all namespaces share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) events: KubernetesEvents,
    pub(super) clock: ServerClock,
    pub(super) registries: Arc<Registries>,
    /// Name of the cluster among those whose policies share a registry.
    pub(super) cluster: Arc<str>,
    /// Whether an `Approval` names whoever created it.
    pub(super) approvers_verified: bool,
    /// Computations are given up once it holds true.
    pub(super) draining: Receiver<bool>,
}

/// The engines of a scope.
pub(super) struct Engines {
    shared: Shared,
    by_namespace: Mutex<HashMap<String, Arc<Engine<ClusterPorts>>>>,
}

impl Engines {
    /// No engine yet.
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared,
            by_namespace: Mutex::default(),
        }
    }

    /// The engine of a namespace.
    pub(super) fn of(&self, namespace: &str, caches: &Arc<Caches>) -> Arc<Engine<ClusterPorts>> {
        let mut engines = self
            .by_namespace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let engine = engines.entry(namespace.to_string()).or_insert_with(|| {
            let (client, name) = (self.shared.client.clone(), namespace.to_string());
            let clock = self.shared.clock.clone();
            let ports = ClusterPorts {
                cluster: KubernetesCluster::new(client.clone(), name.clone(), Arc::clone(caches)),
                runner: JobRunner::new(client, name.clone(), caches, clock),
                namespace: name,
                shared: self.shared.clone(),
            };
            Arc::new(Engine::new(ports, WritePolicy::CLUSTER))
        });
        Arc::clone(engine)
    }
}

/// One namespace.
pub(super) struct ClusterPorts {
    namespace: String,
    cluster: KubernetesCluster,
    runner: JobRunner,
    shared: Shared,
}

impl ClusterPorts {
    /// A `ModelRegistry` of this name is gone.
    pub(super) fn forget_registry(&self, name: &str) {
        self.shared.registries.forget(&self.namespace, name);
    }
}

/// Systems that this version does not reach from a cluster.
pub(super) struct OutOfReach;

impl ObjectStore for OutOfReach {
    async fn digest(&self, uri: &str) -> Result<Option<String>, PortError> {
        Err(PortError::refused(format!(
            "the predictions at {uri} are missing: this version of Podium reads none in a cluster, so nothing is compared there; `podium run` does"
        )))
    }
}

impl Evaluator for OutOfReach {
    async fn evaluate(&self, _: &str, _: &EvaluationSpec) -> Result<EvaluationState, PortError> {
        let message = "this version of Podium compares nothing in a cluster; `podium run` does";
        Err(PortError::refused(message))
    }
}

impl Ports for ClusterPorts {
    type Cluster = KubernetesCluster;
    type Registry = MlflowRegistry;
    type Store = OutOfReach;
    type Runner = JobRunner;
    type Evaluator = OutOfReach;
    type Events = KubernetesEvents;
    type Clock = ServerClock;

    fn cluster(&self) -> &KubernetesCluster {
        &self.cluster
    }

    async fn registry(&self, object: &ModelRegistry) -> Result<MlflowRegistry, PortError> {
        self.shared.registries.open(object).await
    }

    fn store(&self) -> &OutOfReach {
        &OutOfReach
    }

    fn runner(&self) -> &JobRunner {
        &self.runner
    }

    fn evaluator(&self) -> &OutOfReach {
        &OutOfReach
    }

    fn events(&self) -> &KubernetesEvents {
        &self.shared.events
    }

    fn world(&self) -> World {
        World::Cluster
    }

    /// Also when its status was written since: a search that goes on is written all the time.
    async fn remove_search(&self, search: &TuningJob) -> Result<(), PortError> {
        let Self {
            namespace, shared, ..
        } = self;
        delete(&shared.client, namespace, search, Precondition::Uid).await
    }

    fn location(&self, _: &ModelRegistrySpec) -> String {
        format!("{}/{}", self.shared.cluster, self.namespace)
    }

    fn approvers_are_verified(&self) -> bool {
        self.shared.approvers_verified
    }

    fn unsupported(&self, spec: &TuningJobSpec) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        let job = spec.trial.job.as_ref();
        let ttl = job.and_then(|job| job.other.get("ttlSecondsAfterFinished"));
        let ttl = ttl.and_then(Value::as_i64);
        if ttl.is_some_and(|seconds| seconds < SHORTEST_JOB_TTL_SECONDS) {
            let message = format!(
                "must be at least {SHORTEST_JOB_TTL_SECONDS} or left out: the Job's pod holds the result until Podium has read it"
            );
            let path = "spec.trial.job.ttlSecondsAfterFinished";
            problems.push(SpecProblem::new(path, message));
        }
        problems
    }

    /// On a thread of its own, so that lease, probes and other objects go on. Nothing depends on a computation that is given up.
    async fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PortError> {
        computed(computation, self.shared.draining.clone()).await
    }

    fn clock(&self) -> &ServerClock {
        &self.shared.clock
    }
}

/// The result of a computation on a thread of its own, unless `draining` becomes true before there is one.
async fn computed<T: Send + 'static>(
    computation: impl FnOnce() -> T + Send + 'static,
    draining: Receiver<bool>,
) -> Result<T, PortError> {
    let computed = tokio::task::spawn_blocking(computation);
    tokio::select! {
        computed = computed => computed.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => PortError::unavailable(error.to_string()),
        }),
        () = shutdown(draining) => {
            Err(PortError::unavailable("the operator was asked to end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_computation_that_goes_on_holds_up_no_end() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (drain, draining) = tokio::sync::watch::channel(false);
        let (release, released) = mpsc::channel::<()>();
        let endless = computed(move || released.recv().is_ok(), draining.clone());
        let given_up = runtime.block_on(async {
            let (given_up, ()) = tokio::join!(endless, async {
                drain.send_replace(true);
            });
            given_up
        });
        assert_eq!(
            given_up.unwrap_err().message,
            "the operator was asked to end"
        );
        release.send(()).unwrap();
        let quick = runtime.block_on(computed(|| 7, tokio::sync::watch::channel(false).1));
        // A sender that is gone is an end, too.
        assert!(quick.is_err() || quick == Ok(7));
    }
}
