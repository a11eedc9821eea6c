//! The objects of a local run, one file each.
//!
//! They are written as YAML, for people. Trials, of which there are thousands, are written as JSON, which is YAML too and is read fifteen
//! times faster.

use super::object_cache::{CachedKind, ChangedObject, ObjectCache};
use super::state_file::{file_name, hidden, name_of, read_object, typed};
use crate::ports::{Cluster, Created, Object, PortError};
use kube::{Resource, ResourceExt};
use podium_api::Trial;
use podium_workload::atomic_file;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Objects under `ROOT/PLURAL/NAME.yaml`.
///
/// Typed objects are read once and then kept in memory, which is right for whoever holds the lock of the directory: nobody else writes
/// there. A write replaces the file first and the object in memory then.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    root: PathBuf,
    cache: Arc<Mutex<ObjectCache>>,
    files_read: Arc<AtomicU64>,
}

impl StateDirectory {
    /// The state kept under `root`, which need not exist.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            cache: Arc::default(),
            files_read: Arc::default(),
        }
    }

    /// Its path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many files of objects were read so far.
    #[must_use]
    pub fn files_read(&self) -> u64 {
        self.files_read.load(Ordering::Relaxed)
    }

    /// The typed objects that were written since the last call.
    #[must_use]
    pub fn take_changed(&self) -> BTreeSet<ChangedObject> {
        self.cache().take_changed()
    }

    /// The object of that name, shared.
    ///
    /// # Errors
    /// Its file cannot be read, or is not what podium writes.
    pub fn shared<K: Object>(&self, name: &str) -> Result<Option<Arc<K>>, PortError> {
        self.with_kind(|kind: &mut CachedKind<K>| match kind.unreadable.get(name) {
            Some(why) => Err(PortError::refused(why.clone())),
            None => Ok(kind.get(name)),
        })?
    }

    /// All objects of a kind by name, shared. Those that cannot be read are left out.
    ///
    /// # Errors
    /// The directory of the kind cannot be read.
    pub fn shared_list<K: Object>(&self) -> Result<Vec<Arc<K>>, PortError> {
        self.with_kind(|kind: &mut CachedKind<K>| kind.all().cloned().collect())
    }

    /// Why objects of a kind cannot be read, by name.
    ///
    /// # Errors
    /// The directory of the kind cannot be read.
    pub fn unreadable<K: Object>(&self) -> Result<Vec<(String, String)>, PortError> {
        self.with_kind(|kind: &mut CachedKind<K>| {
            let unreadable = kind.unreadable.iter();
            unreadable
                .map(|(name, why)| (name.clone(), why.clone()))
                .collect()
        })
    }

    fn cache(&self) -> MutexGuard<'_, ObjectCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_kind<K: Object, T>(
        &self,
        ask: impl FnOnce(&mut CachedKind<K>) -> T,
    ) -> Result<T, PortError> {
        let mut cache = self.cache();
        match cache.kind(|| self.load::<K>())? {
            Some(kind) => Ok(ask(kind)),
            // One plural is one type.
            None => Err(PortError::refused(format!(
                "two types are called {}",
                K::plural(&())
            ))),
        }
    }

    fn load<K: Object>(&self) -> Result<CachedKind<K>, PortError> {
        let read = |path: &PathBuf| -> Result<Option<K>, PortError> {
            let value = self.read_object(path)?;
            value.map(|value| typed(path, value)).transpose()
        };
        let paths = self.paths(&K::plural(&()))?;
        let loaded: Vec<_> = paths.par_iter().map(read).collect();
        let mut kind = CachedKind::default();
        for (path, object) in paths.iter().zip(loaded) {
            match object {
                Ok(Some(object)) => kind.put(object),
                Ok(None) => {}
                Err(error) => {
                    let name = path.file_stem().unwrap_or_default().to_string_lossy();
                    kind.unreadable.insert(name.into_owned(), error.to_string());
                }
            }
        }
        Ok(kind)
    }

    fn read_object(&self, path: &Path) -> Result<Option<Value>, PortError> {
        self.files_read.fetch_add(1, Ordering::Relaxed);
        read_object(path)
    }

    /// The stored object of that name, as it stands in the file.
    ///
    /// # Errors
    /// The file cannot be read or holds no object.
    pub fn read(&self, plural: &str, name: &str) -> Result<Option<Value>, PortError> {
        self.read_object(&self.path(plural, name))
    }

    /// Stores an object whole.
    ///
    /// # Errors
    /// The file cannot be written; the old one is then unchanged.
    pub fn write(&self, plural: &str, object: &Value) -> Result<(), PortError> {
        self.cache().forget(plural);
        self.write_file(plural, object)
    }

    fn write_file(&self, plural: &str, object: &Value) -> Result<(), PortError> {
        let name = name_of(object)?;
        let path = self.path(plural, &name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| {
                PortError::refused(format!("cannot write {}: {e}", parent.display()))
            })?;
        }
        let text = if plural == Trial::plural(&()) {
            serde_json::to_string_pretty(object).map_err(|e| e.to_string())
        } else {
            serde_saphyr::to_string(object).map_err(|e| e.to_string())
        };
        let text = text.map_err(PortError::invalid)?;
        Ok(atomic_file::write(&path, text.as_bytes())?)
    }

    /// Stores a new object with the metadata that an API server would add, or leaves the one there as it is.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn create_value(
        &self,
        plural: &str,
        object: Value,
        now: &str,
    ) -> Result<Created, PortError> {
        self.cache().forget(plural);
        let created = self.create_file(plural, object, now)?;
        Ok(match created {
            Some(_) => Created::New,
            None => Created::Existed,
        })
    }

    /// The object as it was stored, or `None` when one of its name exists.
    fn create_file(
        &self,
        plural: &str,
        mut object: Value,
        now: &str,
    ) -> Result<Option<Value>, PortError> {
        if self.read(plural, &name_of(&object)?)?.is_some() {
            return Ok(None);
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("uid".into(), json!(uuid::Uuid::new_v4().to_string()));
            metadata.insert("creationTimestamp".into(), json!(now));
            metadata.insert("generation".into(), json!(1));
            metadata.insert("resourceVersion".into(), json!("1"));
        }
        self.write_file(plural, &object)?;
        Ok(Some(object))
    }

    /// Removes an object and, as a garbage collector would, what belongs to it.
    fn remove(&self, plural: &str, name: &str, uid: &str) -> Result<(), PortError> {
        for (children, child) in self.readable_but(&[])? {
            if is_owned_by(&child, uid) {
                let child_uid = uid_of(&child).unwrap_or_default().to_string();
                self.remove(&children, &name_of(&child)?, &child_uid)?;
            }
        }
        self.remove_file(plural, name)
    }

    /// Removes an object alone; one that is gone already is what is wanted.
    pub(super) fn remove_file(&self, plural: &str, name: &str) -> Result<(), PortError> {
        let path = self.path(plural, name);
        let removed = fs::remove_file(&path);
        self.cache().forget(plural);
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PortError::refused(
                format!("cannot remove {}: {error}", path.display()),
            )),
            _ => Ok(()),
        }
    }

    /// The stored objects of all kinds but these that can be read, each with its plural.
    pub(super) fn readable_but(
        &self,
        left_out: &[&str],
    ) -> Result<Vec<(String, Value)>, PortError> {
        let mut all = Vec::new();
        for plural in plurals() {
            if left_out.contains(&plural.as_str()) {
                continue;
            }
            let paths = self.paths(&plural)?;
            let read = paths.iter().filter_map(|path| self.read_object(path).ok()?);
            all.extend(read.map(|value| (plural.clone(), value)));
        }
        Ok(all)
    }

    /// The names of a kind's objects that cannot be read.
    pub(super) fn unreadable_names(&self, plural: &str) -> Result<Vec<String>, PortError> {
        let paths = self.paths(plural)?;
        let unreadable = paths.iter().filter(|path| self.read_object(path).is_err());
        let stems = unreadable.filter_map(|path| path.file_stem());
        Ok(stems
            .map(|stem| stem.to_string_lossy().into_owned())
            .collect())
    }

    /// All stored objects of a kind, by name.
    ///
    /// # Errors
    /// A file cannot be read or holds no object.
    pub fn list_values(&self, plural: &str) -> Result<Vec<Value>, PortError> {
        let paths = self.paths(plural)?;
        let read = paths.par_iter().map(|path| self.read_object(path));
        let values: Result<Vec<_>, PortError> = read.collect();
        Ok(values?.into_iter().flatten().collect())
    }

    /// The files of a kind, by name.
    fn paths(&self, plural: &str) -> Result<Vec<PathBuf>, PortError> {
        let directory = self.root.join(plural);
        let listed = match fs::read_dir(&directory) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(PortError::refused(format!(
                    "cannot read {}: {error}",
                    directory.display()
                )));
            }
        };
        let mut paths: Vec<PathBuf> = listed
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "yaml") && !hidden(path))
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// Keeps in memory what was written.
    fn keep<K: Object>(&self, plural: &str, stored: Value) -> Result<(), PortError> {
        let path = self.path(plural, &name_of(&stored)?);
        let object = typed::<K>(&path, stored)?;
        self.cache().wrote(object);
        Ok(())
    }

    /// An object of that name is there: it counts as created if it is this owner's.
    fn adopt<K: Object>(&self, wanted: &K) -> Result<Created, PortError> {
        let (plural, name) = (K::plural(&()), wanted.name_any());
        let uids = |object: &K| -> BTreeSet<String> {
            let owners = object.owner_references().iter();
            owners.map(|owner| owner.uid.clone()).collect()
        };
        let there = self.shared::<K>(&name)?;
        if there.is_none_or(|there| uids(&there) == uids(wanted)) {
            return Ok(Created::Existed);
        }
        Err(PortError::refused(format!(
            "{plural} \"{name}\" exists and belongs to something else: {}",
            self.path(&plural, &name).display()
        )))
    }

    fn path(&self, plural: &str, name: &str) -> PathBuf {
        self.root.join(plural).join(file_name(name))
    }
}

impl Cluster for StateDirectory {
    async fn get<K: Object>(&self, name: &str) -> Result<Option<K>, PortError> {
        let found = self.shared::<K>(name)?;
        Ok(found.map(|object| object.as_ref().clone()))
    }

    async fn list<K: Object>(&self) -> Result<Vec<K>, PortError> {
        self.with_kind(|kind: &mut CachedKind<K>| {
            kind.all().map(|object| object.as_ref().clone()).collect()
        })
    }

    async fn owned<K: Object>(&self, owner: &str) -> Result<Arc<Vec<Arc<K>>>, PortError> {
        self.with_kind(|kind: &mut CachedKind<K>| kind.owned_by(owner))
    }

    async fn create<K: Object>(&self, object: &K) -> Result<Created, PortError> {
        let mut value =
            serde_json::to_value(object).map_err(|e| PortError::invalid(e.to_string()))?;
        if let Some(map) = value.as_object_mut() {
            map.insert("apiVersion".into(), json!(K::api_version(&())));
            map.insert("kind".into(), json!(K::kind(&())));
        }
        let plural = K::plural(&());
        let now = jiff::Timestamp::now().to_string();
        let Some(stored) = self.create_file(&plural, value, &now)? else {
            return self.adopt(object);
        };
        self.keep::<K>(&plural, stored)?;
        Ok(Created::New)
    }

    async fn write_status<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let wanted = serde_json::to_value(object).map_err(|e| PortError::invalid(e.to_string()))?;
        let plural = K::plural(&());
        let name = name_of(&wanted)?;
        let Some(mut stored) = self.read(&plural, &name)? else {
            return Err(PortError::missing(format!(
                "{plural} \"{name}\" not found: {} was removed; what is known of it cannot be stored",
                self.path(&plural, &name).display()
            )));
        };
        let status = wanted.get("status").cloned().unwrap_or(Value::Null);
        if stored.get("status").unwrap_or(&Value::Null) == &status {
            return Ok(());
        }
        bump_resource_version(&mut stored);
        if let Some(map) = stored.as_object_mut() {
            map.insert("status".into(), status);
        }
        self.write_file(&plural, &stored)?;
        self.keep::<K>(&plural, stored)
    }

    async fn replace_status<K: Object>(&self, object: &K) -> Result<(), PortError> {
        // Of one that was removed, writing says so.
        if self.read(&K::plural(&()), &object.name_any())?.is_some() {
            self.confirm(object).await?;
        }
        self.write_status(object).await
    }

    async fn confirm<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let (plural, name) = (K::plural(&()), object.name_any());
        let stored = self.read(&plural, &name)?;
        let path = self.path(&plural, &name);
        let stored = stored.map(|stored| typed::<K>(&path, stored)).transpose()?;
        PortError::unless_as_read(stored.as_ref(), object)
    }

    async fn delete<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let (plural, name) = (K::plural(&()), object.name_any());
        let stored = self.read(&plural, &name)?;
        match (stored.as_ref().and_then(uid_of), object.uid()) {
            (Some(stored), Some(asked)) if stored == asked => self.remove(&plural, &name, &asked),
            _ => Ok(()),
        }
    }
}

/// The plurals of all kinds.
fn plurals() -> Vec<String> {
    let crds = podium_api::crds();
    let plurals = crds
        .iter()
        .filter_map(|crd| crd.pointer("/spec/names/plural")?.as_str());
    plurals.map(str::to_string).collect()
}

fn uid_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid").and_then(Value::as_str)
}

pub(super) fn is_owned_by(object: &Value, uid: &str) -> bool {
    let owners = object.pointer("/metadata/ownerReferences");
    owners.and_then(Value::as_array).is_some_and(|owners| {
        owners
            .iter()
            .any(|owner| owner.get("uid").and_then(Value::as_str) == Some(uid))
    })
}

/// Counts a write, as an API server would.
pub fn bump_resource_version(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let version = metadata
        .get("resourceVersion")
        .and_then(Value::as_str)
        .and_then(|v| v.parse::<u64>().ok());
    metadata.insert(
        "resourceVersion".into(),
        json!((version.unwrap_or(0) + 1).to_string()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_are_files_and_stay_apart() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path().to_path_buf());
        let names: Vec<String> = [200, 201, 245, 252, 253]
            .into_iter()
            .map(|length| "n".repeat(length))
            .collect();
        for name in &names {
            let object = json!({"metadata": {"name": name}});
            let created = state.create_value("tuningjobs", object, "2026-11-26T00:00:00Z");
            assert_eq!(created.unwrap(), Created::New, "{}", name.len());
        }
        for name in &names {
            let found = state.read("tuningjobs", name).unwrap().unwrap();
            assert_eq!(found.pointer("/metadata/name"), Some(&json!(name)));
        }
        assert_eq!(state.list_values("tuningjobs").unwrap().len(), names.len());
    }
}
