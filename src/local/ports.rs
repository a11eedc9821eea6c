//! The world of a local run: objects, registry, files, processes and comparisons on this machine.

use super::evaluator::LocalEvaluator;
use super::state::StateDirectory;
use crate::adapters::clock::SystemClock;
use crate::adapters::directory::registry::DirectoryRegistry;
use crate::adapters::directory::store::DirectoryStore;
use crate::ports::{Events, Happened, PortError, Ports};
use crate::trials::process::ProcessRunner;
use podium_api::convert::World;
use podium_api::{ModelRegistrySpec, TuningJobSpec};
use podium_core::champion::cause::digest;
use podium_core::problem::SpecProblem;
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
        }
    }
}

/// A local run shows its state itself: nobody reads events.
#[derive(Clone, Copy, Debug)]
pub struct NoEvents;

impl Events for NoEvents {
    async fn publish(&self, _: Happened) {}

    fn suggested(&self, _: &str, _: Duration) {}
}

impl Ports for LocalPorts {
    type Cluster = StateDirectory;
    type Registry = DirectoryRegistry;
    type Store = DirectoryStore;
    type Runner = ProcessRunner;
    type Evaluator = LocalEvaluator;
    type Events = NoEvents;
    type Clock = SystemClock;

    fn cluster(&self) -> &StateDirectory {
        &self.state
    }

    fn registry(&self, spec: &ModelRegistrySpec) -> Result<DirectoryRegistry, PortError> {
        let Some(directory) = &spec.directory else {
            let message =
                "`spec.directory` must be set: this version of Podium reaches no MLflow server yet";
            return Err(PortError::Permanent(message.to_string()));
        };
        Ok(DirectoryRegistry::new(
            self.directory.join(&directory.path),
            self.directory.clone(),
        ))
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

    fn world(&self) -> World {
        World::Local
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

    fn unsupported(&self, _: &TuningJobSpec) -> Vec<SpecProblem> {
        Vec::new()
    }

    fn clock(&self) -> &SystemClock {
        &self.clock
    }
}
