//! What the shell needs of the world. The engine knows these traits and nothing behind them.

mod announcer;
mod evaluation;
mod tracking;

pub use announcer::{Announcer, Delivery, Message, Publication, Published};
pub use evaluation::{
    ConfirmationState, EvaluationResult, EvaluationRun, EvaluationState, Evaluator, ReportState,
    Wait,
};
pub use tracking::{NewRun, OpenRun, OpenRuns, RunWrite, StartedRun, Tracking, TrackingAccess};

use k8s_openapi::api::core::v1::{ObjectReference, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use podium_api::convert::World;
use podium_api::tuning_job::JobMetadata;
use podium_api::{ModelRegistrySpec, TuningJob, TuningJobSpec};
use podium_core::champion::ledger::Register;
use podium_core::champion::{Freshness, RegistryView};
use podium_core::problem::SpecProblem;
use podium_core::report::TerminationMessage;
use podium_core::time::Timestamp;
use podium_core::tuning::trial;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Why a port could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What kind of failure this is, which decides what is done about it.
    pub kind: PortErrorKind,
    /// One sentence, in the words of the system where it gave any.
    pub message: String,
    /// Its name in conditions, as one CamelCase word of a closed list, where the kind says too little.
    pub reason: Option<&'static str>,
}

/// The kinds of failures of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// The system is out of reach or busy.
    Unavailable,
    /// The object changed since it was read.
    Conflict,
    /// The account that Podium uses has no right to do this.
    Forbidden,
    /// The system does not take it as things are, such as an admission rule, a quota, or a disk that is full.
    Refused,
    /// What was written or read does not have the form that it must have.
    Invalid,
    /// Something that is needed does not exist.
    Missing,
}

impl PortErrorKind {
    /// Whether trying again may work without a change by somebody.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Conflict)
    }

    /// The name in conditions and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "Unavailable",
            Self::Conflict => "Conflict",
            Self::Forbidden => "Forbidden",
            Self::Refused => "Refused",
            Self::Invalid => "Invalid",
            Self::Missing => "Missing",
        }
    }
}

impl PortError {
    /// An error of this kind.
    pub fn new(kind: PortErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            reason: None,
        }
    }

    /// The same with its name in conditions.
    #[must_use]
    pub fn because(self, reason: &'static str) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }

    /// See [`PortErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Unavailable, message)
    }

    /// See [`PortErrorKind::Refused`].
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Refused, message)
    }

    /// See [`PortErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Invalid, message)
    }

    /// See [`PortErrorKind::Missing`].
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Missing, message)
    }

    /// See [`PortErrorKind::Conflict`]: fails unless what is stored is this object as it was read.
    ///
    /// # Errors
    /// It is gone, or has another uid or version.
    pub fn unless_as_read<K: Object>(stored: Option<&K>, object: &K) -> Result<(), Self> {
        let which = |object: &K| (object.uid(), object.resource_version());
        if stored.is_some_and(|stored| which(stored) == which(object)) {
            return Ok(());
        }
        let (kind, name) = (K::kind(&()), object.name_any());
        let message = format!("{kind} `{name}` changed since it was read");
        Err(Self::new(PortErrorKind::Conflict, message))
    }

    /// See [`PortErrorKind::is_transient`].
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl From<std::io::Error> for PortError {
    fn from(error: std::io::Error) -> Self {
        Self::refused(error.to_string())
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
    /// The objects of a kind that belong to the owner with this uid. An object that did not change since an earlier call is the same
    /// [`Arc`] as far as this world keeps its objects, at the same place as long as none before it was deleted.
    fn owned<K: Object>(
        &self,
        owner: &str,
    ) -> impl Future<Output = Result<Arc<Vec<Arc<K>>>, PortError>> + Send;
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
    /// The same, and it fails with [`PortErrorKind::Conflict`] unless the object is stored as it was read, its status included.
    fn replace_status<K: Object>(
        &self,
        object: &K,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Fails with [`PortErrorKind::Conflict`] unless the object is stored as it was read, which a cache that is behind does not know.
    fn confirm<K: Object>(&self, object: &K) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Deletes this very object, and what belongs to it; one that is gone or was made anew since is left alone.
    fn delete<K: Object>(&self, object: &K) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Why an object would not be created, in the world's own words; `None` when it would be.
    fn dry_run<K: Object>(
        &self,
        object: &K,
    ) -> impl Future<Output = Result<Option<String>, PortError>> + Send {
        let _ = object;
        async { Ok(None) }
    }
}

/// What became of an attempt to move an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasUpdate {
    /// It points where it was asked to.
    Done,
    /// It did not point where it was expected to and was left alone.
    Contended {
        /// Where it points.
        found: Option<String>,
    },
    /// The registry confirmed the move, and it points elsewhere since: somebody else moved it at once.
    MovedOn {
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
    /// The tracked run that made them, where there is one.
    pub run: Option<&'a str>,
    /// Facts about it.
    pub tags: BTreeMap<String, String>,
}

/// What is known of a registered model.
#[derive(Clone, Debug)]
pub struct RegistryLook {
    /// Its aliases and versions; `None` when there is no such model.
    pub view: Option<RegistryView>,
    /// All write-once registers of its ledger, by key.
    pub registers: BTreeMap<String, String>,
    /// How new all of this is.
    pub freshness: Freshness,
}

/// A model registry: registered models with versions, aliases, tags.
pub trait ModelRegistry: Send + Sync {
    /// The aliases and versions of a model; `None` when there is no such model.
    fn view(
        &self,
        model: &str,
    ) -> impl Future<Output = Result<Option<RegistryView>, PortError>> + Send;
    /// What is known of a model and its ledger, at least as new as `freshness`: what is older is read again, and of what may be as old as
    /// the last polls a part of it.
    fn look(
        &self,
        model: &str,
        freshness: Freshness,
    ) -> impl Future<Output = Result<RegistryLook, PortError>> + Send {
        let _ = freshness;
        async {
            Ok(RegistryLook {
                view: self.view(model).await?,
                registers: self.registers(model).await?,
                freshness: Freshness::Now,
            })
        }
    }
    /// Registers a version, and the model with its first one; returns the version's name.
    fn register(
        &self,
        version: NewVersion<'_>,
    ) -> impl Future<Output = Result<String, PortError>> + Send;
    /// Points an alias at a version if it points at `from` (or at nothing for `None`), or already at `to`; `None` removes it.
    fn move_alias(
        &self,
        model: &str,
        alias: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> impl Future<Output = Result<AliasUpdate, PortError>> + Send;
    /// Adds tags to a version; a tag that exists is replaced.
    fn tag(
        &self,
        model: &str,
        version: &str,
        tags: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
    /// All write-once registers of a model's ledger, by key.
    fn registers(
        &self,
        model: &str,
    ) -> impl Future<Output = Result<BTreeMap<String, String>, PortError>> + Send;
    /// Writes a register of a model's ledger unless it was written before. The text is shorter than
    /// [`REGISTER_BYTES`](podium_core::champion::ledger::REGISTER_BYTES).
    fn write_register(
        &self,
        model: &str,
        register: &Register,
    ) -> impl Future<Output = Result<RegisterWrite, PortError>> + Send;
    /// Whether the registry can be used, and which ledgers its account may keep.
    fn preflight(&self) -> impl Future<Output = Preflight> + Send;
    /// What tells this registry from others, however it is addressed.
    fn identity(&self) -> String;
}

/// Whether a registry can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// Version of the server, where there is one that told it.
    pub server_version: Option<String>,
    /// Why the registry cannot be used.
    pub problem: Option<PreflightProblem>,
    /// Why it can hold no ledger, where it can be used otherwise.
    pub ledger_problem: Option<PreflightProblem>,
}

/// Why a registry cannot be used, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightProblem {
    /// One CamelCase word of a closed list.
    pub reason: &'static str,
    /// What was found, and what must be done about it.
    pub message: String,
    /// Whether it may go away without a change by somebody.
    pub is_transient: bool,
}

/// What became of an attempt to write a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterWrite {
    /// It holds this text, by this write or by an earlier one.
    Holds,
    /// It holds another text, which stays.
    Taken,
}

/// What can be seen of a file from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is there: SHA-256 of the file, or of the directory of parts, in hexadecimal.
    Present(String),
    /// It is not.
    Missing,
    /// Nothing: only the runs that read it can see it.
    OnlyByRuns,
}

/// Where predictions and models lie.
pub trait ObjectStore: Send + Sync {
    /// What can be seen of the file, or of the directory of parts, that the URI names.
    fn look(&self, uri: &str) -> impl Future<Output = Result<Sight, PortError>> + Send;
}

/// A run of whatever kind; what its container left is read by whoever asked for it.
pub type Run = trial::Run<TerminationMessage>;
/// A run that ended.
pub type EndedRun = trial::EndedRun<TerminationMessage>;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct RunRequest<'a> {
    /// Name of the trial or of the scorer.
    pub name: String,
    /// Which attempt, from 1. Starting an attempt twice starts it once.
    pub attempt: u32,
    /// The specification of the Job, as its writer wrote it.
    pub job: &'a Map<String, Value>,
    /// The pod template in it.
    pub template: &'a PodTemplateSpec,
    /// The container that matters; `None` for the first one.
    pub container: Option<&'a str>,
    /// Variables that podium gives, on which the template's own may build.
    pub variables: BTreeMap<String, String>,
    /// How its containers reach the tracking server that they log to, if they do.
    pub tracking: Option<TrackingAccess>,
    /// Running time after which it is ended.
    pub deadline_seconds: Option<u64>,
    /// The object that the run belongs to and goes with.
    pub owner: Option<OwnerReference>,
    /// Labels by which the run is found.
    pub labels: BTreeMap<String, String>,
    /// Labels and annotations of the Job alone, not of its pods.
    pub job_metadata: JobMetadata,
}

impl RunRequest<'_> {
    /// Which run this asks for.
    #[must_use]
    pub fn id(&self) -> RunId<'_> {
        RunId {
            name: &self.name,
            attempt: self.attempt,
            owner: self.owner.as_ref().map(|owner| owner.uid.as_str()),
        }
    }
}

/// Which run is meant. An object that was deleted and made anew under its name has runs of its own.
#[derive(Clone, Copy, Debug)]
pub struct RunId<'a> {
    /// Name of the trial or of the scorer.
    pub name: &'a str,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Uid of the object that the run belongs to.
    pub owner: Option<&'a str>,
}

/// What became of an attempt to start a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartOutcome {
    /// It was started now.
    Started,
    /// It runs or ran already.
    AlreadyStarted,
    /// The world refuses it for now, in its own words.
    Rejected(String),
}

/// Runs containers: Jobs in a cluster, processes on this machine.
pub trait TrialRunner: Send + Sync {
    /// Why the world would refuse such a run, in its own words; `None` when it would take it.
    fn dry_run(
        &self,
        request: &RunRequest<'_>,
    ) -> impl Future<Output = Result<Option<String>, PortError>> + Send;
    /// The run of an attempt.
    fn observe(&self, run: RunId<'_>) -> impl Future<Output = Result<Run, PortError>> + Send;
    /// Starts an attempt; one that runs or ran is left alone.
    fn start(
        &self,
        request: &RunRequest<'_>,
    ) -> impl Future<Output = Result<StartOutcome, PortError>> + Send;
    /// Digest of what a run depends on, as far as it can be seen from here: its template and variables, and the files that they name.
    fn inputs(
        &self,
        request: &RunRequest<'_>,
    ) -> impl Future<Output = Result<String, PortError>> + Send;
    /// Ends an attempt that runs; one that does not is left alone.
    fn stop(&self, run: RunId<'_>) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Removes what is kept of an attempt that ended and whose result is recorded; one that goes on is left alone.
    fn remove(&self, run: RunId<'_>) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Ends what goes on of an attempt whose result is recorded, such as a container beside the one that decided.
    fn end_leftovers(&self, run: RunId<'_>) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Something that happened, for people who look at an object.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// The object it is said of.
    pub regarding: ObjectReference,
    /// Another object that has to do with it.
    pub related: Option<ObjectReference>,
    /// Whether somebody should look at it.
    pub warning: bool,
    /// Why, as one CamelCase word of a closed list.
    pub reason: String,
    /// What Podium did, as one CamelCase word.
    pub action: &'static str,
    /// The same in one sentence.
    pub note: String,
    /// How long what ended had taken.
    pub took: Option<Duration>,
}

/// Tells people what happened. Nothing depends on it: what cannot be told is logged.
pub trait Events: Send + Sync {
    /// Tells of one thing.
    fn publish(&self, happened: EventRecord) -> impl Future<Output = ()> + Send;
    /// Takes down how long `algorithm` took to suggest trials.
    fn suggested(&self, algorithm: &str, took: Duration);
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The world that an engine acts on.
pub trait Ports: Send + Sync {
    /// See [`Cluster`].
    type Cluster: Cluster;
    /// See [`ModelRegistry`].
    type Registry: ModelRegistry;
    /// See [`Tracking`].
    type Tracking: Tracking;
    /// See [`ObjectStore`].
    type Store: ObjectStore;
    /// See [`TrialRunner`].
    type Runner: TrialRunner;
    /// See [`Evaluator`].
    type Evaluator: Evaluator;
    /// See [`Events`].
    type Events: Events;
    /// See [`Announcer`].
    type Announcer: Announcer;
    /// See [`Clock`].
    type Clock: Clock;

    /// The objects.
    fn cluster(&self) -> &Self::Cluster;
    /// The registry that a `ModelRegistry` object names, with the account that it names.
    fn registry(
        &self,
        object: &podium_api::ModelRegistry,
    ) -> impl Future<Output = Result<Self::Registry, PortError>> + Send;
    /// The tracking server that a `ModelRegistry` object names, with the same account.
    fn tracking(
        &self,
        object: &podium_api::ModelRegistry,
    ) -> impl Future<Output = Result<Self::Tracking, PortError>> + Send;
    /// Predictions and models.
    fn store(&self) -> &Self::Store;
    /// Trials and scorers.
    fn runner(&self) -> &Self::Runner;
    /// Comparisons.
    fn evaluator(&self) -> &Self::Evaluator;
    /// What happened, for people.
    fn events(&self) -> &Self::Events;
    /// Who is champion and what was decided, for those outside.
    fn announcer(&self) -> &Self::Announcer;
    /// Which world this is, for what only one of them carries out.
    fn world(&self) -> World;
    /// Whether somebody stays when nothing is left to do, to look again later.
    fn stays(&self) -> bool {
        self.world() == World::Cluster
    }
    /// Deletes this very search with all that belongs to it, and ends what runs of it.
    fn remove_search(
        &self,
        search: &TuningJob,
    ) -> impl Future<Output = Result<(), PortError>> + Send {
        self.cluster().delete(search)
    }
    /// Where the owner of an alias in that registry lives: `CLUSTER/NAMESPACE`.
    fn location(&self, registry: &ModelRegistrySpec) -> String;
    /// Whether approvals can be taken for those of different people when they name different ones.
    fn approvers_are_verified(&self) -> bool;
    /// What of a search this world cannot carry out; said before anything of it runs.
    fn unsupported(&self, spec: &TuningJobSpec) -> Vec<SpecProblem>;
    /// Runs a computation that may take long, where it holds up nobody else.
    fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, PortError>> + Send;
    /// The time.
    fn clock(&self) -> &Self::Clock;
}
