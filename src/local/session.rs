//! One local run: the manifests are admitted and stored, then everything is reconciled until nothing is left to do.

use super::manifests::{self, Manifest, ManifestError};
use super::ports::LocalPorts;
use super::state::{StateDirectory, bump_resource_version};
use super::state_root;
use crate::engine::{Conduct, Engine, Left};
use crate::ports::{Clock, Cluster, PortError, Ports, RunId, TrialRunner};
use kube::ResourceExt;
use podium_api::convert::record_of;
use podium_api::{ChampionPolicy, Evaluation, Trial, TuningJob};
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
    watched: BTreeSet<(String, u32)>,
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
        Ok(Self {
            engine: Engine::new(ports, Conduct::LOCAL),
            watched: BTreeSet::new(),
            _lock: lock,
        })
    }

    /// The engine of this run.
    #[must_use]
    pub fn engine(&self) -> &Engine<LocalPorts> {
        &self.engine
    }

    /// Looks at every object once and takes it one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn pass(&mut self) -> Result<Pass, SessionError> {
        let cluster = self.engine.ports().cluster();
        let mut left = Left::default();
        for trial in cluster.list::<Trial>().await? {
            left = left.and(self.engine.reconcile_trial(&trial.name_any()).await?);
        }
        for job in cluster.list::<TuningJob>().await? {
            left = left.and(self.engine.reconcile_tuning_job(&job.name_any()).await?);
        }
        for evaluation in cluster.list::<Evaluation>().await? {
            left = left.and(
                self.engine
                    .reconcile_evaluation(&evaluation.name_any())
                    .await?,
            );
        }
        for policy in cluster.list::<ChampionPolicy>().await? {
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
        let trials = self.engine.ports().cluster().list::<Trial>().await?;
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
