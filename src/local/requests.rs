//! Requests for a search at once, which `podium run-now` leaves in a directory: a file each, named after the policy, that holds the value
//! of the annotation `podium.dev/run-now`. They stand beside the state, since a manifest is its owner's file.

use super::state::StateDirectory;
use super::state_file::file_name;
use super::state_root;
use crate::ports::PortError;
use crate::regular_file;
use kube::{Resource, ResourceExt};
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
    let path = folder.join(file_name(policy));
    Ok(atomic_file::write(&path, value.as_bytes())?)
}

/// The requests that wait; one that was answered is removed. What is no request and cannot be read is nobody's wish.
pub(super) fn waiting(directory: &Path, state: &StateDirectory) -> Requests {
    let folder = folder(directory);
    let mut waiting = Requests::new();
    for policy in state.shared_list::<ChampionPolicy>().unwrap_or_default() {
        let name = policy.name_any();
        let path = folder.join(file_name(&name));
        let Ok(Some(value)) = regular_file::read_text(&path) else {
            continue;
        };
        if is_answered(&policy, &value) {
            remove(&path, &value);
        } else {
            waiting.insert(name, value);
        }
    }
    waiting
}

fn is_answered(policy: &ChampionPolicy, value: &str) -> bool {
    let status = policy.status.as_ref();
    let retrain = status.and_then(|status| status.retrain.as_ref());
    let value = request_of(value);
    retrain.is_some_and(|retrain| {
        retrain.last_run_now.as_ref() == Some(&value) || retrain.earlier_run_now.contains(&value)
    })
}

/// Removes an answered request; one that was left in its place since it was read stays. What cannot be removed is found to be answered again.
fn remove(path: &Path, answered: &str) {
    let aside = path.with_file_name(".answered");
    if fs::rename(path, &aside).is_err() {
        return;
    }
    let found = regular_file::read_text(&aside);
    if found.is_ok_and(|found| found.as_deref() != Some(answered)) {
        // Not over one that is newer still.
        let _ = fs::hard_link(&aside, path);
    }
    let _ = fs::remove_file(&aside);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A stored policy whose last request had this value.
    fn store(state: &StateDirectory, policy: &str, answered: &str) {
        let object = json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy", "metadata": {"name": policy},
            "spec": {
                "registryRef": {"name": "mlflow"}, "model": "fraud",
                "evidence": {"predictions": {"uri": "file://a/$(version)", "columns": {"id": "i", "label": "l"}}},
            },
            "status": {"retrain": {"lastRunNow": answered}},
        });
        state.write("championpolicies", &object).unwrap();
    }

    #[test]
    fn requests_wait_until_they_are_answered_also_for_the_longest_name() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let state = StateDirectory::new(state_root(directory).join("state"));
        for policy in ["p".to_string(), "p".repeat(253)] {
            store(&state, &policy, "old");
            leave(directory, &policy, "new").unwrap();
            let waits = Requests::from([(policy.clone(), "new".to_string())]);
            assert_eq!(waiting(directory, &state), waits);
            store(&state, &policy, "new");
            assert_eq!(waiting(directory, &state), Requests::new());
        }
        assert_eq!(fs::read_dir(folder(directory)).unwrap().count(), 0);
    }

    #[test]
    fn a_request_that_came_while_another_one_was_removed_stays() {
        let directory = tempfile::tempdir().unwrap();
        leave(directory.path(), "p", "new").unwrap();
        let folder = folder(directory.path());
        let path = folder.join(file_name("p"));
        remove(&path, "old");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        remove(&path, "new");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
