//! The world of the operator: one engine per namespace, on the same stores.

use super::reconcile::shutdown;
use super::work_queue::WorkQueue;
use crate::adapters::kubernetes::announcer::KubernetesAnnouncer;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::clock::ServerClock;
use crate::adapters::kubernetes::cluster::KubernetesCluster;
use crate::adapters::kubernetes::events::KubernetesEvents;
use crate::adapters::kubernetes::messages::Messages;
use crate::adapters::kubernetes::registries::Registries;
use crate::adapters::kubernetes::{Precondition, delete};
use crate::adapters::mlflow::registry::MlflowRegistry;
use crate::adapters::mlflow::tracking::MlflowTracking;
use crate::engine::{Engine, WritePolicy};
use crate::ports::{ObjectStore, PortError, Ports, Sight};
use crate::runs::evaluation_runner::{JobEvaluator, NO_IMAGE};
use crate::runs::job::JobRunner;
use kube::Client;
use podium_api::convert::World;
use podium_api::{ModelRegistry, ModelRegistrySpec, TuningJob, TuningJobSpec};
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
    /// Notifications that are on their way.
    pub(super) messages: Arc<Messages>,
    /// Name of the cluster among those whose policies share a registry.
    pub(super) cluster: Arc<str>,
    /// Whether an `Approval` names whoever created it.
    pub(super) approvers_verified: bool,
    /// The image that comparisons run.
    pub(super) image: Option<Arc<str>>,
    /// Computations are given up once it holds true.
    pub(super) draining: Receiver<bool>,
}

/// The engines of a scope.
pub(super) struct Engines {
    shared: Shared,
    /// Policies to reconcile.
    policies: Option<Arc<WorkQueue>>,
    by_namespace: Mutex<HashMap<String, Arc<Engine<ClusterPorts>>>>,
}

impl Engines {
    /// No engine yet. What concerns a policy and no watch shows puts it into its queue.
    pub(super) fn new(shared: Shared, policies: Option<Arc<WorkQueue>>) -> Self {
        Self {
            shared,
            policies,
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
            let (clock, image) = (self.shared.clock.clone(), self.shared.image.clone());
            let runner = JobRunner::new(client.clone(), name.clone(), caches, clock.clone());
            let ports = ClusterPorts {
                announcer: self.announcer(namespace, caches),
                cluster: KubernetesCluster::new(client, name.clone(), Arc::clone(caches)),
                store: FilesOfRuns {
                    are_read: image.is_some(),
                },
                evaluator: JobEvaluator::new(runner.clone(), clock, image),
                runner,
                namespace: name,
                shared: self.shared.clone(),
            };
            Arc::new(Engine::new(ports, WritePolicy::CLUSTER))
        });
        Arc::clone(engine)
    }

    fn announcer(&self, namespace: &str, caches: &Arc<Caches>) -> KubernetesAnnouncer {
        let (policies, within) = (self.policies.clone(), namespace.to_string());
        let wake = move |policy: &str| {
            if let Some(policies) = &policies {
                policies.enqueue(&within, policy);
            }
        };
        KubernetesAnnouncer::new(
            self.shared.client.clone(),
            [&*self.shared.cluster, namespace],
            Arc::clone(caches),
            Arc::clone(&self.shared.messages),
            Arc::new(wake),
        )
    }
}

/// One namespace.
pub(super) struct ClusterPorts {
    namespace: String,
    cluster: KubernetesCluster,
    store: FilesOfRuns,
    runner: JobRunner,
    evaluator: JobEvaluator,
    announcer: KubernetesAnnouncer,
    shared: Shared,
}

impl ClusterPorts {
    /// A `ModelRegistry` of this name is gone.
    pub(super) fn forget_registry(&self, name: &str) {
        self.shared.registries.forget(&self.namespace, name);
    }
}

/// Files that the operator has no account for: the runs of comparisons read them, in the namespace of whoever owns them.
pub(super) struct FilesOfRuns {
    /// Whether there are such runs.
    are_read: bool,
}

impl ObjectStore for FilesOfRuns {
    async fn look(&self, uri: &str) -> Result<Sight, PortError> {
        if self.are_read {
            return Ok(Sight::OnlyByRuns);
        }
        let message = format!("the predictions at {uri} cannot be read: {NO_IMAGE}");
        Err(PortError::refused(message))
    }
}

impl Ports for ClusterPorts {
    type Cluster = KubernetesCluster;
    type Registry = MlflowRegistry;
    type Tracking = MlflowTracking;
    type Store = FilesOfRuns;
    type Runner = JobRunner;
    type Evaluator = JobEvaluator;
    type Events = KubernetesEvents;
    type Announcer = KubernetesAnnouncer;
    type Clock = ServerClock;

    fn cluster(&self) -> &KubernetesCluster {
        &self.cluster
    }

    async fn registry(&self, object: &ModelRegistry) -> Result<MlflowRegistry, PortError> {
        self.shared.registries.open(object).await
    }

    async fn tracking(&self, object: &ModelRegistry) -> Result<MlflowTracking, PortError> {
        let registry = self.registry(object).await?;
        Ok(MlflowTracking::new(Arc::clone(registry.server())))
    }

    fn store(&self) -> &FilesOfRuns {
        &self.store
    }

    fn runner(&self) -> &JobRunner {
        &self.runner
    }

    fn evaluator(&self) -> &JobEvaluator {
        &self.evaluator
    }

    fn events(&self) -> &KubernetesEvents {
        &self.shared.events
    }

    fn announcer(&self) -> &KubernetesAnnouncer {
        &self.announcer
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
