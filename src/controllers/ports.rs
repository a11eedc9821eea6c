//! The world of the operator: one engine per namespace, on the same stores.

use crate::adapters::clock::SystemClock;
use crate::adapters::kubernetes::cluster::KubernetesCluster;
use crate::adapters::kubernetes::events::KubernetesEvents;
use crate::adapters::kubernetes::stores::Stores;
use crate::engine::{Conduct, Engine};
use crate::ports::{
    AliasUpdate, EvaluationProgress, Evaluator, ModelRegistry, NewVersion, ObjectStore, PortError,
    Ports, RegisterWrite,
};
use crate::trials::job::JobRunner;
use kube::Client;
use podium_api::convert::World;
use podium_api::{EvaluationSpec, ModelRegistrySpec, TuningJobSpec};
use podium_core::champion::RegistryView;
use podium_core::champion::ledger::Register;
use podium_core::problem::SpecProblem;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// A finished Job must outlive an operator that is away for a while, since its pod holds the result.
const SHORTEST_JOB_TTL_SECONDS: i64 = 600;

/// The engines of a scope.
pub(super) struct Engines {
    client: Client,
    events: KubernetesEvents,
    by_namespace: Mutex<HashMap<String, Arc<Engine<ClusterPorts>>>>,
}

impl Engines {
    pub(super) fn new(client: Client, events: KubernetesEvents) -> Self {
        Self {
            client,
            events,
            by_namespace: Mutex::default(),
        }
    }

    /// The engine of a namespace.
    pub(super) fn of(&self, namespace: &str, stores: &Arc<Stores>) -> Arc<Engine<ClusterPorts>> {
        let mut engines = self
            .by_namespace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let engine = engines.entry(namespace.to_string()).or_insert_with(|| {
            let (client, name) = (self.client.clone(), namespace.to_string());
            let ports = ClusterPorts {
                cluster: KubernetesCluster::new(client.clone(), name.clone(), Arc::clone(stores)),
                runner: JobRunner::new(client, name, Arc::clone(stores)),
                events: self.events.clone(),
            };
            Arc::new(Engine::new(ports, Conduct::CLUSTER))
        });
        Arc::clone(engine)
    }
}

/// One namespace.
pub(super) struct ClusterPorts {
    cluster: KubernetesCluster,
    runner: JobRunner,
    events: KubernetesEvents,
}

/// Systems that this version does not reach from a cluster. Nothing gets here: what needs them is refused before it starts.
pub(super) struct OutOfReach;

fn out_of_reach<T>() -> Result<T, PortError> {
    let message = "this version of Podium reaches no model registry and no store from a cluster";
    Err(PortError::Permanent(message.to_string()))
}

impl ModelRegistry for OutOfReach {
    async fn view(&self, _: &str) -> Result<Option<RegistryView>, PortError> {
        out_of_reach()
    }

    async fn register(&self, _: NewVersion<'_>) -> Result<String, PortError> {
        out_of_reach()
    }

    async fn move_alias(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: Option<&str>,
    ) -> Result<AliasUpdate, PortError> {
        out_of_reach()
    }

    async fn tag(&self, _: &str, _: &str, _: BTreeMap<String, String>) -> Result<(), PortError> {
        out_of_reach()
    }

    async fn registers(&self, _: &str) -> Result<BTreeMap<String, String>, PortError> {
        out_of_reach()
    }

    async fn write_register(&self, _: &str, _: &Register) -> Result<RegisterWrite, PortError> {
        out_of_reach()
    }

    fn identity(&self) -> String {
        String::new()
    }
}

impl ObjectStore for OutOfReach {
    async fn digest(&self, _: &str) -> Result<Option<String>, PortError> {
        out_of_reach()
    }
}

impl Evaluator for OutOfReach {
    async fn evaluate(&self, _: &str, _: &EvaluationSpec) -> Result<EvaluationProgress, PortError> {
        out_of_reach()
    }
}

impl Ports for ClusterPorts {
    type Cluster = KubernetesCluster;
    type Registry = OutOfReach;
    type Store = OutOfReach;
    type Runner = JobRunner;
    type Evaluator = OutOfReach;
    type Events = KubernetesEvents;
    type Clock = SystemClock;

    fn cluster(&self) -> &KubernetesCluster {
        &self.cluster
    }

    fn registry(&self, _: &ModelRegistrySpec) -> Result<OutOfReach, PortError> {
        out_of_reach()
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
        &self.events
    }

    fn world(&self) -> World {
        World::Cluster
    }

    fn location(&self, _: &ModelRegistrySpec) -> String {
        String::new()
    }

    fn unsupported(&self, spec: &TuningJobSpec) -> Vec<SpecProblem> {
        let mut problems = Vec::new();
        if spec.register.is_some() {
            let message =
                "must be left out: this version of Podium reaches no model registry from a cluster";
            problems.push(SpecProblem::new("spec.register", message));
        }
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

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }
}
