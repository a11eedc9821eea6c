//! A search and its trials, logged to an MLflow: a run for the search, and one below it for each trial.
//!
//! | step | once by | recorded as |
//! |---|---|---|
//! | the experiment is found or made | its name | `status.tracking.experimentID` of the search |
//! | the search's run is started | the search's uid in a tag | `status.tracking.parentRunID` |
//! | a trial's run is started, before its Job | the trial's uid in a tag | `status.mlflowRunID` of the trial |
//! | the end of a trial is logged | what stands in the run stays | `status.mlflowRunStatus` |
//! | the end of the search is logged, after all of these | the same numbers at the same step | `status.tracking.parentRunStatus` |
//!
//! No Job is created before its trial has a run, since its containers are to log there: a trial waits for MLflow like one without room.
//! Nothing else waits: a search ends whatever its MLflow does, and what could not be logged then is logged later. Objects have no finalizers,
//! so the runs of those that are gone are looked for by their tags and ended.

mod log;
mod metrics;
mod orphans;
mod search_end;
mod search_run;
mod tell;
mod trial_run;

pub(super) use metrics::MetricsLook;
pub(super) use trial_run::{Startable, with_newest_run};

use super::Engine;
use super::pauses::{Generation, Pauses, generation_of};
use crate::ports::{Cluster, PortError, Ports};
use kube::ResourceExt;
use podium_api::tuning_job::Tracking as Asked;
use podium_api::{ModelRegistry, Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::RunStatus;
use podium_core::tuning::trial::refusal_words;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The field that names the registry of the tracking server.
const REFERENCE: &str = "spec.tracking.registryRef.name";
/// Seconds until a run that had not what the objective needs is read again, at first and at most.
const READ_AGAIN_SECONDS: (u64, u64) = (1, 30);

/// What people can change to mend what failed: the search, and its registry.
type Cause = (Generation, Option<Generation>);

/// What is remembered of tracking. Lost with the process, which costs some requests.
#[derive(Debug)]
pub(super) struct TrackingMemory {
    /// Servers that could not be asked, by the name of their registry.
    servers: Pauses<Option<Generation>>,
    /// Searches of which something was refused, by name.
    searches: Pauses<Cause>,
    /// Trials whose runs had not what the objective needs, by name and by attempt.
    reads: Pauses<u32>,
    /// Trials whose end was not taken by a server that answers otherwise, by name and by uid.
    ends: Pauses<Option<String>>,
    /// Why something of a search is not logged yet, by its name.
    failures: Mutex<HashMap<String, String>>,
    /// Names of trials that this process has made, and whose runs it has not asked for.
    new_trials: Mutex<HashSet<String>>,
    /// The searches that are logged to a registry, by its name.
    logged: Mutex<HashMap<String, orphans::LoggedSearches>>,
}

impl Default for TrackingMemory {
    fn default() -> Self {
        let (first, longest) = READ_AGAIN_SECONDS;
        Self {
            servers: Pauses::default(),
            searches: Pauses::default(),
            reads: Pauses::of_seconds(first, longest),
            ends: Pauses::default(),
            failures: Mutex::default(),
            new_trials: Mutex::default(),
            logged: Mutex::default(),
        }
    }
}

impl TrackingMemory {
    /// A trial was made now, so that it has no run.
    pub(super) fn made_trial(&self, name: &str) {
        lock(&self.new_trials).insert(name.to_string());
    }

    /// A search is gone or has ended.
    pub(super) fn forget(&self, search: &str) {
        self.searches.forget(search);
        lock(&self.failures).remove(search);
        let of_search = format!("{search}-");
        lock(&self.new_trials).retain(|trial| !trial.starts_with(&of_search));
    }

    /// A trial is gone.
    pub(super) fn forget_trial(&self, name: &str) {
        self.reads.forget(name);
        self.ends.forget(name);
        lock(&self.new_trials).remove(name);
    }

    /// Something of a search could not be logged; why, in words that a status has room for.
    fn note_failure(&self, search: &str, error: &PortError) -> String {
        let why = refusal_words(&error.message);
        lock(&self.failures).insert(search.to_string(), why.clone());
        why
    }

    /// Why something of a search is not logged yet.
    fn failure_of(&self, search: &str) -> Option<String> {
        lock(&self.failures).get(search).cloned()
    }
}

/// The run of a trial in MLflow.
pub(super) fn run_of(trial: &Trial) -> Option<&str> {
    trial.status.as_ref()?.mlflow_run_id.as_deref()
}

/// Whether the run of a trial, where it has one, was told of its end.
fn is_told(trial: &Trial) -> bool {
    let status = trial.status.as_ref();
    let told = status.and_then(|status| status.mlflow_run_status.as_deref());
    run_of(trial).is_none()
        || told
            .and_then(RunStatus::parse)
            .is_some_and(RunStatus::is_ended)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A tracking server that may be asked now.
struct Server<T> {
    tracking: T,
    /// Where the runs are logged from: `CLUSTER/NAMESPACE`.
    location: String,
    admission: Admission,
}

/// What was known when a search was let in to its tracking server.
struct Admission {
    registry: String,
    cause: Cause,
    /// How often the server, and something of the search, had failed.
    failures: [u32; 2],
}

/// Something that the tracking server cannot be asked for now.
#[derive(Debug)]
pub(super) struct Waits {
    /// Why.
    pub(super) why: String,
    /// When to try again.
    pub(super) again_at: Timestamp,
}

impl<P: Ports> Engine<P> {
    /// The tracking server of a search, unless it failed so lately that it is not asked yet.
    async fn tracking_server(
        &self,
        job: &TuningJob,
        asked: &Asked,
    ) -> Result<Server<P::Tracking>, Waits> {
        let registry = asked.registry_ref.name.clone();
        let found = self.ports.cluster().get::<ModelRegistry>(&registry).await;
        // One that cannot be read is as good as none.
        let generation = found.ok().flatten().as_ref().map(generation_of);
        let cause = (generation_of(job), generation);
        let (name, now) = (job.name_any(), self.now());
        let TrackingMemory {
            servers, searches, ..
        } = &self.tracking;
        let waits = searches.until(&name, &cause, now);
        if let Some(again_at) = waits.or_else(|| servers.turn(&registry, &cause.1, now)) {
            let why = self.tracking.failure_of(&name);
            let why = why.unwrap_or_else(|| "MLflow did not answer lately".to_string());
            return Err(Waits { why, again_at });
        }
        let admission = Admission {
            failures: [
                servers.times(&registry, &cause.1),
                searches.times(&name, &cause),
            ],
            registry,
            cause,
        };
        match self.open_tracking(&admission.registry).await {
            Ok((tracking, location)) => Ok(Server {
                tracking,
                location,
                admission,
            }),
            Err(error) => Err(self.tracking_failed(&name, &admission, &error)),
        }
    }

    async fn open_tracking(&self, registry: &str) -> Result<(P::Tracking, String), PortError> {
        let named = self.named_registry(registry, REFERENCE).await;
        let (object, _) = named.map_err(|problem| PortError::refused(problem.to_string()))?;
        let tracking = self.ports.tracking(&object).await?;
        Ok((tracking, self.ports.location(&object.spec)))
    }

    /// What a tracking server has answered. After a failure it is asked again after growing pauses: a server that is away on behalf of all
    /// searches and by one of them at a time, one that refuses something on behalf of this one.
    fn heard<T>(
        &self,
        job: &TuningJob,
        server: &Server<P::Tracking>,
        answer: Result<T, PortError>,
    ) -> Result<T, Waits> {
        let name = job.name_any();
        match answer {
            Ok(answer) => {
                self.tracking.servers.forget(&server.admission.registry);
                self.tracking.searches.forget(&name);
                lock(&self.tracking.failures).remove(&name);
                Ok(answer)
            }
            Err(error) => Err(self.tracking_failed(&name, &server.admission, &error)),
        }
    }

    fn tracking_failed(&self, search: &str, admission: &Admission, error: &PortError) -> Waits {
        let Admission {
            registry,
            cause,
            failures: [of_server, of_search],
        } = admission;
        let (memory, now) = (&self.tracking, self.now());
        let again_at = if error.is_transient() {
            let (servers, cause) = (&memory.servers, cause.1.clone());
            servers.failed_after(*of_server, registry, cause, now)
        } else {
            memory.servers.give_back(registry);
            let (searches, cause) = (&memory.searches, cause.clone());
            searches.failed_after(*of_search, search, cause, now)
        };
        let why = memory.note_failure(search, error);
        Waits { why, again_at }
    }
}
