//! Requests for a search at once, which `podium run-now` leaves in a directory: a file each, named after the policy, that holds the value
//! of the annotation `podium.dev/run-now`. They stand beside the state, since a manifest is its owner's file.

use super::state::StateDirectory;
use super::state_root;
use crate::ports::PortError;
use crate::regular_file;
use kube::Resource;
use podium_api::convert::request_of;
use podium_api::{ChampionPolicy, RUN_NOW_ANNOTATION};
use podium_workload::atomic_file;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Values by the name of their policy.
pub(super) type Requests = BTreeMap<String, String>;

fn folder(directory: &Path) -> PathBuf {
    state_root(directory).join("run-now")
}

/// Leaves a request for a search of the policy; one that waits is replaced.
///
/// # Errors
/// The file cannot be written.
pub fn leave(directory: &Path, policy: &str, value: &str) -> Result<(), PortError> {
    let folder = folder(directory);
    fs::create_dir_all(&folder)?;
    Ok(atomic_file::write(&folder.join(policy), value.as_bytes())?)
}

/// The requests that wait; one that was answered is removed. What is no request and cannot be read is nobody's wish.
pub(super) fn waiting(directory: &Path, state: &StateDirectory) -> Requests {
    let entries = fs::read_dir(folder(directory));
    let paths = entries.into_iter().flatten().flatten().map(|e| e.path());
    let mut waiting = Requests::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // While it is written, a file has another name.
        if name.starts_with('.') {
            continue;
        }
        let Ok(Some(value)) = regular_file::read_text(&path) else {
            continue;
        };
        if is_answered(state, &name, &value) {
            // One that stays is found to be answered again.
            let _ = fs::remove_file(&path);
        } else {
            waiting.insert(name.into_owned(), value);
        }
    }
    waiting
}

fn is_answered(state: &StateDirectory, policy: &str, value: &str) -> bool {
    let found = state.shared::<ChampionPolicy>(policy).ok().flatten();
    let status = found.as_ref().and_then(|policy| policy.status.as_ref());
    let retrain = status.and_then(|status| status.retrain.as_ref());
    let value = request_of(value);
    retrain.is_some_and(|retrain| {
        retrain.last_run_now.as_ref() == Some(&value) || retrain.earlier_run_now.contains(&value)
    })
}

/// Puts the requests that wait on their policies, as `kubectl annotate` does.
pub(super) fn put_on(objects: &mut [(String, Value)], requests: &Requests) {
    let policies = ChampionPolicy::plural(&());
    for (plural, object) in objects {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let request = name.and_then(|name| requests.get(name));
        if let Some(value) = request.filter(|_| *plural == policies) {
            object["metadata"]["annotations"][RUN_NOW_ANNOTATION] = json!(value);
        }
    }
}
