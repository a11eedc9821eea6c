//! A namespace of a cluster whose objects are files, whose Jobs do what a test says, and whose clock a test moves.

use crate::mlflow::{LOCATION, Mlflow};
use podium_api::convert::World as WorldName;
use podium_api::{ModelRegistry, ModelRegistrySpec, Trial, TuningJob, TuningJobSpec};
use podium_core::problem::SpecProblem;
use podium_core::report::TerminationMessage;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::Exit;
use podium_operator::adapters::clock::SystemClock;
use podium_operator::adapters::directory::registry::DirectoryRegistry;
use podium_operator::adapters::directory::store::DirectoryStore;
use podium_operator::engine::{Engine, WritePolicy};
use podium_operator::local::evaluator::LocalEvaluator;
use podium_operator::local::ports::{NoAnnouncer, NoEvents};
use podium_operator::local::state::StateDirectory;
use podium_operator::ports::{
    Clock, EndedRun, Object, PortError, Ports, Run, RunId, RunRequest, StartOutcome, TrialRunner,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// The name of the only registry.
pub const REGISTRY: &str = "mlflow";

/// A clock that stands until a test moves it.
#[derive(Clone)]
pub struct Time(Arc<Mutex<Timestamp>>);

impl Time {
    pub fn pass(&self, seconds: u64) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus_seconds(seconds);
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Jobs, by name, with the uid of their owner. One that is started runs until a test ends it.
#[derive(Clone)]
pub struct Jobs {
    time: Time,
    runs: Arc<Mutex<BTreeMap<String, (String, Run)>>>,
}

impl Jobs {
    /// The Job of a trial ends well and leaves this message.
    pub fn end(&self, name: &str, message: Option<&str>) {
        let now = self.time.now();
        let mut runs = self.runs.lock().unwrap();
        let (_, run) = runs.get_mut(name).unwrap();
        *run = Run::Ended(EndedRun {
            message: TerminationMessage {
                text: message.map(str::to_string),
                ..TerminationMessage::default()
            },
            ..EndedRun::without_a_trace(Exit::Code(0), now, now)
        });
    }
}

impl TrialRunner for Jobs {
    async fn dry_run(&self, _: &RunRequest<'_>) -> Result<Option<String>, PortError> {
        Ok(None)
    }

    async fn observe(&self, run: RunId<'_>) -> Result<Run, PortError> {
        let runs = self.runs.lock().unwrap();
        let found = runs.get(run.name);
        let found = found.filter(|(owner, _)| run.owner == Some(owner.as_str()));
        Ok(found.map_or(Run::Absent, |(_, run)| run.clone()))
    }

    async fn start(&self, request: &RunRequest<'_>) -> Result<StartOutcome, PortError> {
        let owner = request.owner.as_ref().unwrap().uid.clone();
        let running = Run::Running {
            since: self.time.now(),
            pod: None,
            overdue: None,
        };
        let mut runs = self.runs.lock().unwrap();
        runs.insert(request.name.clone(), (owner, running));
        Ok(StartOutcome::Started)
    }

    async fn inputs(&self, _: &RunRequest<'_>) -> Result<String, PortError> {
        Ok(String::new())
    }

    async fn stop(&self, run: RunId<'_>) -> Result<(), PortError> {
        self.runs.lock().unwrap().remove(run.name);
        Ok(())
    }

    async fn remove(&self, _: RunId<'_>) -> Result<(), PortError> {
        Ok(())
    }

    async fn end_leftovers(&self, _: RunId<'_>) -> Result<(), PortError> {
        Ok(())
    }
}

/// Everything that outlives an operator.
#[derive(Clone)]
pub struct World {
    pub objects: StateDirectory,
    pub mlflow: Mlflow,
    pub jobs: Jobs,
    pub time: Time,
    directory: Arc<TempDir>,
}

impl World {
    /// A namespace with a registry.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let time = Time(Arc::new(Mutex::new(SystemClock.now())));
        let world = Self {
            objects: StateDirectory::new(directory.path().join("state")),
            mlflow: Mlflow::default(),
            jobs: Jobs {
                time: time.clone(),
                runs: Arc::default(),
            },
            time,
            directory: Arc::new(directory),
        };
        let registry = json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "ModelRegistry", "metadata": {"name": REGISTRY, "namespace": "team"},
            "spec": {"mlflow": {"url": "https://mlflow.example.com"}},
        });
        create::<ModelRegistry>(&world.objects, &registry);
        world
    }

    /// An operator that has just started.
    pub fn operator(&self) -> Engine<Process> {
        let directory = self.directory.path().to_path_buf();
        let process = Process {
            store: DirectoryStore::new(directory.clone()),
            evaluator: LocalEvaluator::new(directory.clone()),
            directory,
            world: self.clone(),
        };
        Engine::new(process, WritePolicy::CLUSTER)
    }

    pub fn search(&self, name: &str) -> Arc<TuningJob> {
        self.objects.shared(name).unwrap().unwrap()
    }

    pub fn trial(&self, name: &str) -> Arc<Trial> {
        self.objects.shared(name).unwrap().unwrap()
    }
}

/// Creates an object as its API server would.
pub fn create<K: Object>(objects: &StateDirectory, object: &Value) {
    let now = jiff::Timestamp::now().to_string();
    let plural = K::plural(&());
    objects.create_value(&plural, object.clone(), &now).unwrap();
}

/// A search that is logged, with so many trials that all run at once.
pub fn search(name: &str, trials: u32) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "TuningJob", "metadata": {"name": name, "namespace": "team"},
        "spec": {
            "seed": 1, "maxTrials": trials, "parallelism": trials,
            "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "rate", "real": {"min": 0.0, "max": 1.0}}],
            "algorithm": {"name": "Random"},
            "trial": {"job": {"template": {"spec": {"containers": [{"name": "train"}]}}}},
            "tracking": {"registryRef": {"name": REGISTRY}, "experiment": "forests"},
        },
    })
}

/// What one operator sees.
pub struct Process {
    world: World,
    directory: PathBuf,
    store: DirectoryStore,
    evaluator: LocalEvaluator,
}

impl Ports for Process {
    type Cluster = StateDirectory;
    type Registry = DirectoryRegistry;
    type Tracking = Mlflow;
    type Store = DirectoryStore;
    type Runner = Jobs;
    type Evaluator = LocalEvaluator;
    type Events = NoEvents;
    type Announcer = NoAnnouncer;
    type Clock = Time;

    fn cluster(&self) -> &StateDirectory {
        &self.world.objects
    }

    async fn registry(&self, _: &ModelRegistry) -> Result<DirectoryRegistry, PortError> {
        let directory = self.directory.clone();
        Ok(DirectoryRegistry::new(directory.clone(), directory))
    }

    async fn tracking(&self, _: &ModelRegistry) -> Result<Mlflow, PortError> {
        Ok(self.world.mlflow.clone())
    }

    fn store(&self) -> &DirectoryStore {
        &self.store
    }

    fn runner(&self) -> &Jobs {
        &self.world.jobs
    }

    fn evaluator(&self) -> &LocalEvaluator {
        &self.evaluator
    }

    fn events(&self) -> &NoEvents {
        &NoEvents
    }

    fn announcer(&self) -> &NoAnnouncer {
        &NoAnnouncer
    }

    fn world(&self) -> WorldName {
        WorldName::Cluster
    }

    fn location(&self, _: &ModelRegistrySpec) -> String {
        LOCATION.to_string()
    }

    fn approvers_are_verified(&self) -> bool {
        true
    }

    fn unsupported(&self, _: &TuningJobSpec) -> Vec<SpecProblem> {
        Vec::new()
    }

    async fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PortError> {
        Ok(computation())
    }

    fn clock(&self) -> &Time {
        &self.world.time
    }
}
