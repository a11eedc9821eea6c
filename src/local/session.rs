//! One local run: everything that its scope covers is reconciled until nothing is left to do.

use super::agenda::{Agenda, Key, Kind};
use super::foundations::Foundations;
use super::manifests::ManifestError;
use super::object_cache::ChangedObject;
use super::ports::LocalPorts;
use super::scope::Scope;
use super::state_root;
use super::stored::{has_ended, keys_of, unreadable_of};
use super::watch::Watched;
use crate::engine::{Engine, Requeue, WritePolicy};
use crate::ports::{Clock, Object, PortError, Ports, Run, RunId, TrialRunner};
use kube::ResourceExt;
use podium_api::convert::record_of;
use podium_api::{ChampionPolicy, Evaluation, TUNING_JOB_LABEL, Trial, TuningJob};
use std::collections::BTreeSet;
use std::fs::{self, File};
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
    /// What the run stands on was taken away.
    #[error(
        "{0} was removed, moved or replaced while `podium run` worked there, so nothing more can be stored; \
         the trials that ran were ended"
    )]
    Vanished(PathBuf),
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

/// What happened since somebody asked.
#[derive(Debug, Default)]
pub struct News {
    /// Trials that were written.
    pub trials: BTreeSet<String>,
    /// Objects that could not be carried out, and why.
    pub failures: Vec<(Key, String)>,
}

/// A local run on one directory; one at a time.
#[derive(Debug)]
pub struct Session {
    pub(super) engine: Engine<LocalPorts>,
    scope: Scope,
    agenda: Agenda,
    foundations: Foundations,
    /// Trials that have not ended.
    open: BTreeSet<String>,
    /// Whether everything was looked at since the last change.
    swept: bool,
    news: News,
    /// What was taken in of the directory, where the session watches it.
    pub(super) watched: Option<Watched>,
    // Held as long as the session lives.
    _lock: File,
}

impl Session {
    /// A session on `ports` that takes care of what `scope` covers; it holds `lock` as long as it lives.
    ///
    /// # Errors
    /// The directory of the state cannot be written or read.
    pub(super) fn new(ports: LocalPorts, scope: Scope, lock: File) -> Result<Self, SessionError> {
        let directory = ports.directory().to_path_buf();
        let root = state_root(&directory);
        let state = ports.cluster().root().to_path_buf();
        let unwritable = |error| SessionError::Unwritable {
            path: root.clone(),
            error,
        };
        fs::create_dir_all(&state).map_err(unwritable)?;
        let stands_on = [directory, root.clone(), root.join("lock"), state];
        let foundations = Foundations::of(stands_on).map_err(unwritable)?;
        let mut session = Self {
            agenda: Agenda::of_run(ports.stays()),
            engine: Engine::new(ports, WritePolicy::LOCAL),
            scope,
            foundations,
            open: BTreeSet::new(),
            swept: true,
            news: News::default(),
            watched: None,
            _lock: lock,
        };
        session.take_in_stored()?;
        Ok(session)
    }

    /// What was stored is looked at once; trials that ended are only told of.
    fn take_in_stored(&mut self) -> Result<(), PortError> {
        let state = self.engine.ports().cluster();
        let mut trials = state.shared_list::<Trial>()?;
        trials.retain(|trial| self.scope.covers(trial.as_ref()));
        self.news.trials = trials.iter().map(|trial| trial.name_any()).collect();
        let open = trials.iter().filter(|trial| !has_ended(trial));
        self.open = open.map(|trial| trial.name_any()).collect();
        let mut unreadable = unreadable_of::<Trial>(state, Kind::Trial)?;
        unreadable.extend(unreadable_of::<TuningJob>(state, Kind::TuningJob)?);
        unreadable.extend(unreadable_of::<Evaluation>(state, Kind::Evaluation)?);
        unreadable.extend(unreadable_of::<ChampionPolicy>(
            state,
            Kind::ChampionPolicy,
        )?);
        self.add_everything()?;
        // Each is looked at, fails and is told of.
        for key in unreadable {
            self.agenda.add(key);
        }
        Ok(())
    }

    /// Everything that may have something to do.
    fn add_everything(&mut self) -> Result<(), PortError> {
        let state = self.engine.ports().cluster();
        let mut keys: Vec<Key> = self
            .open
            .iter()
            .map(|name| Key::new(Kind::Trial, name))
            .collect();
        keys.extend(keys_of::<TuningJob>(state, &self.scope, Kind::TuningJob)?);
        keys.extend(keys_of::<Evaluation>(state, &self.scope, Kind::Evaluation)?);
        keys.extend(keys_of::<ChampionPolicy>(
            state,
            &self.scope,
            Kind::ChampionPolicy,
        )?);
        for key in keys {
            self.agenda.add(key);
        }
        Ok(())
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

    /// What happened since the last call.
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// The objects that could not be carried out, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&Key, &str)> {
        self.agenda.failures()
    }

    /// Looks at every object that something concerns and takes it one step further. What keeps one of them from that is told of it and
    /// touches no other.
    ///
    /// # Errors
    /// Nothing can be stored any more.
    pub async fn pass(&mut self) -> Result<Pass, SessionError> {
        if let Some(path) = self.foundations.vanished() {
            return Err(SessionError::Vanished(path.to_path_buf()));
        }
        let now = self.engine.ports().clock().now();
        for key in self.agenda.take_due(now) {
            let is_policy = key.kind == Kind::ChampionPolicy;
            match self.reconcile(&key).await {
                Ok(requeue) => {
                    self.swept &= !requeue.changed;
                    self.agenda.done(&key, requeue);
                }
                Err(error) => {
                    if let Some(why) = self.agenda.failed(&key, &error, now) {
                        self.news.failures.push((key, why));
                    }
                }
            }
            if is_policy {
                self.forget_removed_trials();
            }
        }
        self.take_in_changes()?;
        if self.agenda.is_due() {
            return Ok(Pass::Acted);
        }
        if self.agenda.is_waiting() {
            let now = self.engine.ports().clock().now();
            let look_again = self.agenda.next_look().map(|at| {
                Duration::from_millis(u64::try_from(at.milliseconds_since(now)).unwrap_or(0))
            });
            return Ok(Pass::Waiting { look_again });
        }
        if !self.swept {
            // Before the run ends, nothing may have been missed.
            self.swept = true;
            self.add_everything()?;
            return Ok(Pass::Acted);
        }
        Ok(Pass::Settled)
    }

    async fn reconcile(&self, key: &Key) -> Result<Requeue, PortError> {
        match key.kind {
            Kind::Trial => self.engine.reconcile_trial(&key.name).await,
            Kind::TuningJob => self.engine.reconcile_tuning_job(&key.name).await,
            Kind::Evaluation => self.engine.reconcile_evaluation(&key.name).await,
            Kind::ChampionPolicy => self.engine.reconcile_champion_policy(&key.name).await,
        }
    }

    /// Adds what the objects that were written concern.
    fn take_in_changes(&mut self) -> Result<(), PortError> {
        for ChangedObject { kind, name } in self.engine.ports().cluster().take_changed() {
            match kind.as_str() {
                "Trial" => self.take_in_trial(&name)?,
                "TuningJob" => {
                    self.swept = false;
                    self.take_in_search(&name)?;
                    let waiting = self.open.iter();
                    for trial in waiting.map(|name| Key::new(Kind::Trial, name)) {
                        self.agenda.add(trial);
                    }
                    self.add_policies()?;
                }
                "Evaluation" => {
                    self.swept = false;
                    if !self.leaves_alone::<Evaluation>(&name) {
                        self.agenda.add(Key::new(Kind::Evaluation, &name));
                    }
                    self.add_policies()?;
                }
                // What follows from a policy's own status, it does itself.
                _ => {}
            }
        }
        Ok(())
    }

    /// A search that a policy has just started is looked at; what follows from the status of another one, it does itself.
    fn take_in_search(&mut self, name: &str) -> Result<(), PortError> {
        let search = self.engine.ports().cluster().shared::<TuningJob>(name)?;
        let is_new = search.is_some_and(|search| search.status.is_none());
        if is_new && !self.leaves_alone::<TuningJob>(name) {
            self.agenda.add(Key::new(Kind::TuningJob, name));
        }
        Ok(())
    }

    /// A policy may have removed a search with its trials, also where another step of it failed then.
    fn forget_removed_trials(&mut self) {
        let state = self.engine.ports().cluster();
        let is_gone = |name: &&String| matches!(state.shared::<Trial>(name.as_str()), Ok(None));
        let gone: Vec<String> = self.open.iter().filter(is_gone).cloned().collect();
        for name in gone {
            self.open.remove(&name);
            // The end of its run is waited for until it is looked at.
            self.agenda.add(Key::new(Kind::Trial, &name));
        }
    }

    /// From here on the run takes care of what this scope covers. Trials of others are ended, as when the run ends.
    ///
    /// # Errors
    /// A trial cannot be ended, or the stored objects cannot be read.
    pub(super) async fn narrow_or_widen(&mut self, scope: Scope) -> Result<(), SessionError> {
        self.scope = scope;
        self.forget_removed_trials();
        let state = self.engine.ports().cluster();
        let mut open = BTreeSet::new();
        let mut others = BTreeSet::new();
        for trial in state.shared_list::<Trial>()? {
            match (self.scope.covers(trial.as_ref()), has_ended(&trial)) {
                (true, false) => drop(open.insert(trial.name_any())),
                (false, false) => drop(others.insert(trial.name_any())),
                (_, true) => {}
            }
        }
        self.stop(others.iter()).await?;
        self.open.extend(open);
        self.open.retain(|name| !others.contains(name));
        self.swept = false;
        Ok(self.add_everything()?)
    }

    fn take_in_trial(&mut self, name: &str) -> Result<(), PortError> {
        self.swept = false;
        let trial = self.engine.ports().cluster().shared::<Trial>(name)?;
        let Some(trial) = trial.filter(|trial| self.scope.covers(trial.as_ref())) else {
            return Ok(());
        };
        self.news.trials.insert(name.to_string());
        if has_ended(&trial) {
            // One that its search stopped is waited for no longer once it is looked at.
            self.agenda.add(Key::new(Kind::Trial, name));
            self.open.remove(name);
        } else if self.open.insert(name.to_string()) {
            self.agenda.add(Key::new(Kind::Trial, name));
        }
        if let Some(job) = trial.labels().get(TUNING_JOB_LABEL)
            && !self.leaves_alone::<TuningJob>(job)
        {
            self.agenda.add(Key::new(Kind::TuningJob, job));
        }
        Ok(())
    }

    /// Whether this run takes no care of the stored object of that name. One that cannot be read is looked at, fails and is told of.
    fn leaves_alone<K: Object>(&self, name: &str) -> bool {
        let found = self.engine.ports().cluster().shared::<K>(name);
        matches!(found, Ok(Some(found)) if !self.scope.covers(found.as_ref()))
    }

    fn add_policies(&mut self) -> Result<(), PortError> {
        let state = self.engine.ports().cluster();
        for key in keys_of::<ChampionPolicy>(state, &self.scope, Kind::ChampionPolicy)? {
            self.agenda.add(key);
        }
        Ok(())
    }

    /// Waits until a run that goes on has ended, or for `look_again`.
    ///
    /// # Errors
    /// The stored objects cannot be read.
    pub async fn wait(&mut self, look_again: Option<Duration>) -> Result<(), SessionError> {
        let changed = self.engine.ports().runner().changed();
        let ended = match look_again {
            Some(duration) => tokio::time::timeout(duration, changed)
                .await
                .unwrap_or_default(),
            None => changed.await,
        };
        for name in ended {
            if self.open.contains(&name) {
                self.agenda.add(Key::new(Kind::Trial, &name));
            } else {
                // The run of a scorer.
                self.add_policies()?;
            }
        }
        Ok(())
    }

    /// Ends every trial that runs, so that nothing is left behind; the next run repeats them.
    ///
    /// # Errors
    /// A trial cannot be ended.
    pub async fn stop_trials(&self) -> Result<usize, SessionError> {
        self.stop(self.open.iter()).await
    }

    async fn stop(&self, trials: impl Iterator<Item = &String>) -> Result<usize, SessionError> {
        let ports = self.engine.ports();
        let mut stopped = 0;
        for name in trials {
            // One that was started although that could not be stored any more has the first attempt.
            let trial = ports.cluster().shared::<Trial>(name)?;
            let attempt = record_of(trial.as_ref().and_then(|trial| trial.status.as_ref()));
            let run = RunId {
                name,
                attempt: attempt.current_attempt(),
                owner: None,
            };
            if let Run::Queued { .. } | Run::Running { .. } = ports.runner().observe(run).await? {
                ports.runner().stop(run).await?;
                stopped += 1;
            }
        }
        Ok(stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::intake::lock;

    #[test]
    fn nothing_of_a_trial_that_was_removed_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let ports = LocalPorts::new(directory.path(), PathBuf::from("podium")).staying();
        let lock = lock(directory.path()).unwrap();
        let mut session = Session::new(ports, Scope::default(), lock).unwrap();
        // It ran, and a policy has removed it with its search.
        session.open.insert("a-1".to_string());
        let runs = Requeue {
            pending: true,
            ..Requeue::default()
        };
        session.agenda.done(&Key::new(Kind::Trial, "a-1"), runs);
        session.agenda.add(Key::new(Kind::ChampionPolicy, "p"));
        let mut passes = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            for _ in 0..2 {
                passes.push(session.pass().await.unwrap());
            }
        });
        assert_eq!(passes, [Pass::Acted, Pass::Settled]);
        assert!(session.open.is_empty());
    }
}
