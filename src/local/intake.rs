//! What happens before the first pass of a run: the directory is locked, its manifests are admitted and stored.

use super::manifests::{self, Manifest};
use super::ports::LocalPorts;
use super::session::{Session, SessionError};
use super::state::{StateDirectory, bump_resource_version};
use super::state_root;
use crate::ports::{PortError, Ports};
use serde_json::{Value, json};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

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
        Ok(Self::new(ports, lock))
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
