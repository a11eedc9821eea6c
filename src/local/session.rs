//! One local run: the manifests are admitted and stored, then everything is reconciled until nothing is left to do.

use super::manifests::ManifestError;
use super::ports::LocalPorts;
use super::scope::Scope;
use crate::engine::{Conduct, Engine, Left};
use crate::ports::{Clock, Cluster, Object, PortError, Ports, RunId, TrialRunner};
use kube::ResourceExt;
use podium_api::convert::record_of;
use podium_api::{ChampionPolicy, Evaluation, Trial, TuningJob};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// See [`ManifestError`].
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// Manifests that cannot be admitted, each with its file and its problems.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// Another run works on this directory.
    #[error("another `podium run` works on {0}; wait until it ends, or stop it")]
    Busy(PathBuf),
    /// The directory cannot be used.
    #[error("cannot write {path}: {error}")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A port could not do what it was asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What became of a look at everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Something was done; there may be more.
    Acted,
    /// Something goes on, and its end must be waited for.
    Waiting {
        /// When to look again even without an event.
        look_again: Option<Duration>,
    },
    /// Nothing is left to do.
    Settled,
}

/// A local run on one directory; one at a time.
#[derive(Debug)]
pub struct Session {
    engine: Engine<LocalPorts>,
    scope: Scope,
    watched: BTreeSet<(String, u32)>,
    // Held as long as the session lives.
    _lock: File,
}

impl Session {
    /// A session on `ports` that takes care of what `scope` covers; it holds `lock` as long as it lives.
    pub(super) fn new(ports: LocalPorts, scope: Scope, lock: File) -> Self {
        Self {
            engine: Engine::new(ports, Conduct::LOCAL),
            scope,
            watched: BTreeSet::new(),
            _lock: lock,
        }
    }

    /// The engine of this run.
    #[must_use]
    pub fn engine(&self) -> &Engine<LocalPorts> {
        &self.engine
    }

    /// What this run takes care of.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The stored objects of a kind that this run takes care of.
    async fn list<K: Object>(&self) -> Result<Vec<K>, PortError> {
        let mut objects = self.engine.ports().cluster().list::<K>().await?;
        objects.retain(|object| self.scope.covers(object));
        Ok(objects)
    }

    /// Looks at every object once and takes it one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn pass(&mut self) -> Result<Pass, SessionError> {
        let mut left = Left::default();
        for trial in self.list::<Trial>().await? {
            left = left.and(self.engine.reconcile_trial(&trial.name_any()).await?);
        }
        for job in self.list::<TuningJob>().await? {
            left = left.and(self.engine.reconcile_tuning_job(&job.name_any()).await?);
        }
        for evaluation in self.list::<Evaluation>().await? {
            left = left.and(
                self.engine
                    .reconcile_evaluation(&evaluation.name_any())
                    .await?,
            );
        }
        for policy in self.list::<ChampionPolicy>().await? {
            left = left.and(
                self.engine
                    .reconcile_champion_policy(&policy.name_any())
                    .await?,
            );
        }
        self.watch_running().await?;
        if left.acted {
            return Ok(Pass::Acted);
        }
        if !left.waiting {
            return Ok(Pass::Settled);
        }
        let now = self.engine.ports().clock().now();
        let look_again = left.look_again_at.map(|at| {
            Duration::from_millis(u64::try_from(at.milliseconds_since(now)).unwrap_or(0))
        });
        Ok(Pass::Waiting { look_again })
    }

    /// Waits until a run that goes on has ended, or for `look_again`.
    pub async fn wait(&self, look_again: Option<Duration>) {
        let changed = self.engine.ports().runner().changed();
        match look_again {
            Some(duration) => drop(tokio::time::timeout(duration, changed).await),
            None => changed.await,
        }
    }

    /// Ends every trial that runs, so that nothing is left behind; the next run repeats them.
    ///
    /// # Errors
    /// A trial cannot be ended.
    pub async fn stop_trials(&self) -> Result<usize, SessionError> {
        let running = self.running().await?;
        for (name, attempt) in &running {
            let run = RunId {
                name,
                attempt: *attempt,
                owner: None,
            };
            self.engine.ports().runner().stop(run).await?;
        }
        Ok(running.len())
    }

    async fn running(&self) -> Result<Vec<(String, u32)>, SessionError> {
        let trials = self.list::<Trial>().await?;
        Ok(trials.iter().filter_map(running_attempt).collect())
    }

    /// Runs that an earlier podium started end without telling this one, so they are watched too.
    async fn watch_running(&mut self) -> Result<(), SessionError> {
        for (name, attempt) in self.running().await? {
            if self.watched.insert((name.clone(), attempt)) {
                self.engine.ports().runner().watch(&name, attempt);
            }
        }
        Ok(())
    }
}

fn running_attempt(trial: &Trial) -> Option<(String, u32)> {
    let status = trial.status.as_ref()?;
    let unfinished = status.completion_time.is_none();
    unfinished.then(|| (trial.name_any(), record_of(Some(status)).current_attempt()))
}
