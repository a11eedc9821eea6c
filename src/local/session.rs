//! One local run: the manifests are admitted and stored, then everything is reconciled until nothing is left to do.

use super::agenda::{Agenda, Key, Kind};
use super::foundations::Foundations;
use super::manifests::{self, Manifest, ManifestError};
use super::object_cache::ChangedObject;
use super::ports::LocalPorts;
use super::state::{StateDirectory, bump_resource_version};
use super::state_root;
use super::stored::{has_ended, keys_of, running_attempt, unreadable_of};
use crate::engine::{Conduct, Engine, Left};
use crate::ports::{Clock, PortError, Ports, RunId, TrialRunner};
use kube::ResourceExt;
use podium_api::convert::record_of;
use podium_api::{ChampionPolicy, Evaluation, TUNING_JOB_LABEL, Trial, TuningJob};
use podium_core::tuning::trial::Run;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
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
    engine: Engine<LocalPorts>,
    agenda: Agenda,
    foundations: Foundations,
    /// Trials that have not ended.
    open: BTreeSet<String>,
    /// Whether everything was looked at since the last change.
    swept: bool,
    news: News,
    // Held as long as the session lives.
    _lock: File,
}

impl Session {
    /// Locks `directory`, admits its manifests and stores them.
    ///
    /// # Errors
    /// See [`SessionError`]; nothing is stored unless every manifest is admitted.
    pub fn begin(directory: &Path, podium: PathBuf) -> Result<Self, SessionError> {
        let manifests = manifests::read(directory)?;
        let root = state_root(directory);
        let unwritable = |error| SessionError::Unwritable {
            path: root.clone(),
            error,
        };
        fs::create_dir_all(&root).map_err(unwritable)?;
        let lock = lock(&root, directory)?;
        let ports = LocalPorts::new(directory, podium);
        let admitted = admit_all(directory, &manifests, ports.cluster())?;
        let now = jiff::Timestamp::now().to_string();
        for (plural, object) in &admitted {
            apply(ports.cluster(), plural, object, &now)?;
        }
        let state = ports.cluster().root().to_path_buf();
        fs::create_dir_all(&state).map_err(unwritable)?;
        let stands_on = [
            directory.to_path_buf(),
            root.clone(),
            root.join("lock"),
            state,
        ];
        let mut session = Self {
            engine: Engine::new(ports, Conduct::LOCAL),
            agenda: Agenda::default(),
            foundations: Foundations::of(stands_on).map_err(unwritable)?,
            open: BTreeSet::new(),
            swept: true,
            news: News::default(),
            _lock: lock,
        };
        session.take_in_stored()?;
        Ok(session)
    }

    /// What was stored is looked at once; trials that ended are only told of.
    fn take_in_stored(&mut self) -> Result<(), PortError> {
        let state = self.engine.ports().cluster();
        let trials = state.shared_list::<Trial>()?;
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
        for name in &self.open {
            self.watch(name)?;
        }
        Ok(())
    }

    /// Runs that an earlier podium started end without telling this one, so they are watched too.
    fn watch(&self, name: &str) -> Result<(), PortError> {
        let ports = self.engine.ports();
        if let Some((name, attempt)) = running_attempt(ports.cluster().shared(name)?) {
            ports.runner().watch(&name, attempt);
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
        keys.extend(keys_of::<TuningJob>(state, Kind::TuningJob)?);
        keys.extend(keys_of::<Evaluation>(state, Kind::Evaluation)?);
        keys.extend(keys_of::<ChampionPolicy>(state, Kind::ChampionPolicy)?);
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
            match self.reconcile(&key).await {
                Ok(left) => {
                    self.swept &= !left.acted;
                    self.agenda.done(&key, left);
                }
                Err(error) => {
                    if let Some(why) = self.agenda.failed(&key, &error, now) {
                        self.news.failures.push((key, why));
                    }
                }
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

    async fn reconcile(&self, key: &Key) -> Result<Left, PortError> {
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
                    let waiting = self.open.iter();
                    for trial in waiting.map(|name| Key::new(Kind::Trial, name)) {
                        self.agenda.add(trial);
                    }
                    self.add_policies()?;
                }
                "Evaluation" => {
                    self.swept = false;
                    self.agenda.add(Key::new(Kind::Evaluation, &name));
                    self.add_policies()?;
                }
                // What follows from a policy's own status, it does itself.
                _ => {}
            }
        }
        Ok(())
    }

    fn take_in_trial(&mut self, name: &str) -> Result<(), PortError> {
        self.swept = false;
        let trial = self.engine.ports().cluster().shared::<Trial>(name)?;
        let Some(trial) = trial else {
            return Ok(());
        };
        self.news.trials.insert(name.to_string());
        if has_ended(&trial) {
            self.open.remove(name);
        } else if self.open.insert(name.to_string()) {
            self.agenda.add(Key::new(Kind::Trial, name));
        }
        if let Some(job) = trial.labels().get(TUNING_JOB_LABEL) {
            self.agenda.add(Key::new(Kind::TuningJob, job));
        }
        Ok(())
    }

    fn add_policies(&mut self) -> Result<(), PortError> {
        let state = self.engine.ports().cluster();
        for key in keys_of::<ChampionPolicy>(state, Kind::ChampionPolicy)? {
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
        let ports = self.engine.ports();
        let mut stopped = 0;
        for name in &self.open {
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

fn lock(root: &Path, directory: &Path) -> Result<File, SessionError> {
    let path = root.join("lock");
    let unwritable = |error| SessionError::Unwritable {
        path: path.clone(),
        error,
    };
    let file = File::create(&path).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SessionError::Busy(directory.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

/// Admits all manifests before any is stored; returns plural and object.
fn admit_all(
    directory: &Path,
    manifests: &[Manifest],
    state: &StateDirectory,
) -> Result<Vec<(String, Value)>, SessionError> {
    let mut admitted = Vec::new();
    let mut refused = Vec::new();
    for manifest in manifests {
        let file = manifest
            .file
            .strip_prefix(directory)
            .unwrap_or(&manifest.file)
            .display();
        match admit_one(&manifest.object, state)? {
            Ok(object) => admitted.push(object),
            Err(causes) => {
                let what = described(&manifest.object);
                refused.extend(
                    causes
                        .into_iter()
                        .map(|cause| format!("{file}: {what}: {cause}")),
                );
            }
        }
    }
    if refused.is_empty() {
        Ok(admitted)
    } else {
        Err(SessionError::Refused(refused))
    }
}

fn described(object: &Value) -> String {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("?")
    };
    format!("{} \"{}\"", text("/kind"), text("/metadata/name"))
}

type Admitted = Result<(String, Value), Vec<String>>;

fn admit_one(object: &Value, state: &StateDirectory) -> Result<Admitted, PortError> {
    let plural = plural_of(object);
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let old = match (&plural, name) {
        (Some(plural), Some(name)) => state.read(plural, name)?,
        _ => None,
    };
    Ok(match super::admission::admit(object, old.as_ref()) {
        Ok(object) => Ok((plural.unwrap_or_default(), object)),
        Err(causes) => Err(causes.iter().map(ToString::to_string).collect()),
    })
}

fn plural_of(object: &Value) -> Option<String> {
    let crd = podium_api::crd_of(object.get("kind")?.as_str()?)?;
    let plural = crd.pointer("/spec/names/plural")?;
    plural.as_str().map(str::to_string)
}

/// Stores a manifest as `kubectl apply` would: a changed specification is a new generation.
fn apply(state: &StateDirectory, plural: &str, object: &Value, now: &str) -> Result<(), PortError> {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(mut stored) = state.read(plural, name)? else {
        return state.create_value(plural, object.clone(), now).map(drop);
    };
    let kept = |of: &Value, field: &str| of.pointer(&format!("/metadata/{field}")).cloned();
    let fields = ["labels", "annotations"];
    let same_metadata = fields
        .iter()
        .all(|field| kept(&stored, field) == kept(object, field));
    let same_spec = stored.get("spec") == object.get("spec");
    if same_spec && same_metadata {
        return Ok(());
    }
    bump_resource_version(&mut stored);
    let generation = stored
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if let Some(metadata) = stored.get_mut("metadata").and_then(Value::as_object_mut) {
        if !same_spec {
            metadata.insert("generation".into(), json!(generation + 1));
        }
        for field in fields {
            match kept(object, field) {
                Some(value) => drop(metadata.insert(field.into(), value)),
                None => drop(metadata.remove(field)),
            }
        }
    }
    if let (Some(map), Some(spec)) = (stored.as_object_mut(), object.get("spec")) {
        map.insert("spec".into(), spec.clone());
    }
    state.write(plural, &stored)
}
