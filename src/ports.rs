//! What the shell needs of the world. The engine knows these traits and nothing behind them.

use kube::Resource;
use podium_core::champion::RegistryView;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::Run;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

/// Why a port could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Trying again may work: the system was out of reach or busy.
    #[error("{0}")]
    Transient(String),
    /// Only a change by somebody helps.
    #[error("{0}")]
    Permanent(String),
}

impl From<std::io::Error> for PortError {
    fn from(error: std::io::Error) -> Self {
        Self::Permanent(error.to_string())
    }
}

/// An object of one of the kinds.
pub trait Object:
    Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = ()>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + Sync
        + 'static
{
}

/// What became of a create-only write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object is new.
    New,
    /// An object of that name was there already and was left as it is.
    Existed,
}

/// The objects of one namespace: an API server, or the state directory of a local run.
pub trait Cluster: Send + Sync {
    /// The object of that name.
    fn get<K: Object>(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<K>, PortError>> + Send;
    /// All objects of a kind, by name.
    fn list<K: Object>(&self) -> impl Future<Output = Result<Vec<K>, PortError>> + Send;
    /// Creates an object unless one of its name exists.
    fn create<K: Object>(
        &self,
        object: &K,
    ) -> impl Future<Output = Result<Created, PortError>> + Send;
    /// Writes the status of an object and nothing else of it; a status without a change is not written.
    fn write_status<K: Object>(
        &self,
        object: &K,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// What became of an attempt to move an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It points at the new version now.
    Done,
    /// It did not point where it was expected to and was left alone.
    Contended {
        /// Where it points.
        found: Option<String>,
    },
}

/// A version to register.
#[derive(Clone, Debug)]
pub struct NewVersion<'a> {
    /// The registered model.
    pub model: &'a str,
    /// Registering twice under one key gives one version.
    pub key: &'a str,
    /// URI of its files.
    pub source: &'a str,
    /// Facts about it.
    pub tags: BTreeMap<String, String>,
}

/// A model registry: registered models with versions, aliases, tags.
pub trait ModelRegistry: Send + Sync {
    /// The aliases and versions of a model; `None` when there is no such model.
    fn view(
        &self,
        model: &str,
    ) -> impl Future<Output = Result<Option<RegistryView>, PortError>> + Send;
    /// Registers a version, and the model with its first one; returns the version's name.
    fn register(
        &self,
        version: NewVersion<'_>,
    ) -> impl Future<Output = Result<String, PortError>> + Send;
    /// Points an alias at a version if it points at `from` (or at nothing for `None`), or already at `to`.
    fn move_alias(
        &self,
        model: &str,
        alias: &str,
        from: Option<&str>,
        to: &str,
    ) -> impl Future<Output = Result<Moved, PortError>> + Send;
    /// Adds tags to a version; a tag that exists is replaced.
    fn tag(
        &self,
        model: &str,
        version: &str,
        tags: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Where predictions and models lie.
pub trait ObjectStore: Send + Sync {
    /// `sha256:…` of what the URI names; `None` when it does not exist.
    fn digest(&self, uri: &str) -> impl Future<Output = Result<Option<String>, PortError>> + Send;
}

/// What is to be run, after all expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// Name of the trial or of the scorer.
    pub name: String,
    /// Which attempt, from 1. Starting an attempt twice starts it once.
    pub attempt: u32,
    /// The program with its arguments.
    pub command: Vec<String>,
    /// Variables on top of what the runner gives.
    pub environment: BTreeMap<String, String>,
    /// Where it runs; relative to the run's directory.
    pub working_directory: Option<String>,
    /// Running time after which it is ended.
    pub deadline_seconds: Option<u64>,
}

/// Runs containers: Jobs in a cluster, processes on this machine.
pub trait TrialRunner: Send + Sync {
    /// The run of an attempt.
    fn observe(
        &self,
        name: &str,
        attempt: u32,
    ) -> impl Future<Output = Result<Run, PortError>> + Send;
    /// Starts an attempt; one that runs or ran is left alone.
    fn start(&self, request: &RunRequest) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Ends an attempt that runs; one that does not is left alone.
    fn stop(&self, name: &str, attempt: u32) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
