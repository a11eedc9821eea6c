//! The world of a local run: objects, registry, files, processes and comparisons on this machine.

use super::evaluator::LocalEvaluator;
use super::removal;
use super::state::StateDirectory;
use crate::adapters::clock::SystemClock;
use crate::adapters::directory::registry::DirectoryRegistry;
use crate::adapters::directory::store::DirectoryStore;
use crate::ports::{
    Announcer, Delivery, EventRecord, Events, Message, NewRun, OpenRun, OpenRuns, PortError, Ports,
    Publication, Published, RunWrite, StartedRun, Tracking,
};
use crate::runs::process::ProcessRunner;
use crate::runs::template::problems_of;
use kube::{Resource, ResourceExt};
use podium_api::champion_policy::NotifySpec;
use podium_api::convert::{self, RegistryPlace, World};
use podium_api::{ModelRegistry, ModelRegistrySpec, TuningJob, TuningJobSpec};
use podium_core::champion::cause::digest;
use podium_core::problem::{SpecProblem, in_one_line};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunContent, RunLog, RunStatus};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The ports of a local run.
#[derive(Debug)]
pub struct LocalPorts {
    directory: PathBuf,
    state: StateDirectory,
    store: DirectoryStore,
    runner: ProcessRunner,
    evaluator: LocalEvaluator,
    clock: SystemClock,
    stays: bool,
}

impl LocalPorts {
    /// The world under `directory`, with `podium` as the program that supervises runs.
    #[must_use]
    pub fn new(directory: &Path, podium: PathBuf) -> Self {
        let own = super::state_root(directory);
        Self {
            directory: directory.to_path_buf(),
            state: StateDirectory::new(own.join("state")),
            store: DirectoryStore::new(directory.to_path_buf()),
            runner: ProcessRunner::new(own.join("runs"), directory.to_path_buf(), podium),
            evaluator: LocalEvaluator::new(directory.to_path_buf()),
            clock: SystemClock,
            stays: false,
        }
    }

    /// The same world, of a run that stays when nothing is left to do.
    #[must_use]
    pub fn staying(self) -> Self {
        Self {
            stays: true,
            ..self
        }
    }

    /// The directory of the manifests.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// A local run shows its state itself: nobody reads events.
#[derive(Clone, Copy, Debug)]
pub struct NoEvents;

impl Events for NoEvents {
    async fn publish(&self, _: EventRecord) {}

    fn suggested(&self, _: &str, _: Duration) {}
}

/// Nobody is told of anything: the fields that ask for it are refused here.
#[derive(Clone, Copy, Debug)]
pub struct NoAnnouncer;

const NOBODY: &str = "nobody is told of champions here";

impl Announcer for NoAnnouncer {
    fn disabled(&self) -> Option<&'static str> {
        Some(NOBODY)
    }

    async fn publish(&self, _: &Publication) -> Result<Published, PortError> {
        Err(PortError::refused(NOBODY))
    }

    async fn withdraw(&self, _: &str, _: Option<&str>) -> Result<(), PortError> {
        Ok(())
    }

    fn speaker(&self, policy: &str) -> String {
        format!("local/default/{policy}")
    }

    fn refusal(&self, _: &NotifySpec) -> Option<String> {
        Some(NOBODY.to_string())
    }

    fn deliver(&self, _: Message, _: &NotifySpec) -> Delivery {
        Delivery::Failed(NOBODY.to_string())
    }
}

/// A tracking server of a local run, which has none.
#[derive(Clone, Copy, Debug)]
pub enum NoTracking {}

impl Tracking for NoTracking {
    async fn experiment(&self, _: &str) -> Result<String, PortError> {
        match *self {}
    }

    async fn start_run(&self, _: NewRun<'_>) -> Result<StartedRun, PortError> {
        match *self {}
    }

    async fn content(&self, _: &str) -> Result<Option<RunContent>, PortError> {
        match *self {}
    }

    async fn log(&self, _: &str, _: &RunLog) -> Result<RunWrite, PortError> {
        match *self {}
    }

    async fn set_status(
        &self,
        _: &str,
        _: RunStatus,
        _: Option<Timestamp>,
    ) -> Result<RunWrite, PortError> {
        match *self {}
    }

    async fn open_runs(&self, _: OpenRuns<'_>) -> Result<Vec<OpenRun>, PortError> {
        match *self {}
    }
}

impl Ports for LocalPorts {
    type Cluster = StateDirectory;
    type Registry = DirectoryRegistry;
    type Tracking = NoTracking;
    type Store = DirectoryStore;
    type Runner = ProcessRunner;
    type Evaluator = LocalEvaluator;
    type Events = NoEvents;
    type Announcer = NoAnnouncer;
    type Clock = SystemClock;

    fn cluster(&self) -> &StateDirectory {
        &self.state
    }

    async fn registry(&self, object: &ModelRegistry) -> Result<DirectoryRegistry, PortError> {
        let settings = convert::registry(&object.spec, World::Local)
            .map_err(|problems| PortError::refused(in_one_line(&problems)))?;
        match settings.place {
            RegistryPlace::Directory(path) => Ok(DirectoryRegistry::new(
                self.directory.join(path),
                self.directory.clone(),
            )),
            RegistryPlace::Mlflow(_) => {
                Err(PortError::refused("`podium run` reaches no MLflow server"))
            }
        }
    }

    async fn tracking(&self, _: &ModelRegistry) -> Result<NoTracking, PortError> {
        Err(PortError::refused("`podium run` reaches no MLflow server"))
    }

    fn store(&self) -> &DirectoryStore {
        &self.store
    }

    fn runner(&self) -> &ProcessRunner {
        &self.runner
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

    fn world(&self) -> World {
        World::Local
    }

    fn stays(&self) -> bool {
        self.stays
    }

    /// What runs of it is ended first.
    async fn remove_search(&self, search: &TuningJob) -> Result<(), PortError> {
        let plural = TuningJob::plural(&());
        let stored = self.state.read(&plural, &search.name_any())?;
        let uid = search.uid();
        let is_this = |stored: &Value| {
            let stored = stored.pointer("/metadata/uid").and_then(Value::as_str);
            stored.is_some() && stored == uid.as_deref()
        };
        match stored.filter(is_this) {
            Some(stored) => removal::remove(self, &plural, &stored).await.map(drop),
            None => Ok(()),
        }
    }

    /// A registry in the directory of the manifests belongs to them wherever they are moved; one outside of it may be shared with other
    /// directories, which are told apart by their paths.
    fn location(&self, spec: &ModelRegistrySpec) -> String {
        let path = spec
            .directory
            .as_ref()
            .map(|directory| self.directory.join(&directory.path));
        let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let own = resolved(&self.directory);
        match path {
            Some(path) => match resolved(&path).strip_prefix(&own) {
                Ok(inside) => format!("local:{}/default", inside.display()),
                Err(_) => format!("local-{}/default", digest(&[&own.display().to_string()])),
            },
            None => "local/default".to_string(),
        }
    }

    /// Whoever may write into the directory decides anyway.
    fn approvers_are_verified(&self) -> bool {
        true
    }

    fn unsupported(&self, spec: &TuningJobSpec) -> Vec<SpecProblem> {
        let mut problems = convert::not_carried_out_locally(spec);
        // What does not fit a pod template at all is told by the conversion.
        if let Ok(runs) = convert::trial_settings(spec) {
            let found = problems_of(&runs.job, &runs.template, runs.container.as_deref());
            problems.extend(found.into_iter().map(|problem| {
                SpecProblem::new(format!("spec.trial.job.{}", problem.path), problem.message)
            }));
        }
        problems
    }

    /// A run on this machine has nothing else to do meanwhile.
    async fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PortError> {
        Ok(computation())
    }

    fn clock(&self) -> &SystemClock {
        &self.clock
    }
}
