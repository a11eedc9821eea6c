//! Trials that wait until the test lets them end.

use super::Bed;
use super::manifests::{REPORT, search};
use serde_json::{Value, json};

/// Waits for the gate of the trial's index, or for the one of all.
const WAIT: &str =
    "until [ -e /gates/$PODIUM_TRIAL_INDEX ] || [ -e /gates/all ]; do sleep 0.1; done";

/// A search whose trials report once their gates are open.
pub fn gated(bed: &Bed, name: &str, max_trials: u32, parallelism: u32) -> Value {
    gated_with(bed, name, max_trials, parallelism, REPORT)
}

/// A search whose trials do something once their gates are open.
pub fn gated_with(bed: &Bed, name: &str, max_trials: u32, parallelism: u32, then: &str) -> Value {
    let mut search = search(name, max_trials, parallelism, &format!("{WAIT}; {then}"));
    let pod = &mut search["spec"]["trial"]["job"]["template"]["spec"];
    let volume = json!({"name": "gates", "hostPath": {"path": bed.directory()}});
    pod["volumes"].as_array_mut().unwrap().push(volume);
    let mount = json!({"name": "gates", "mountPath": "/gates"});
    let mounts = &mut pod["containers"][0]["volumeMounts"];
    mounts.as_array_mut().unwrap().push(mount);
    search
}

/// Opens the gate of an index, or of `all`.
pub fn open(bed: &Bed, gate: &str) {
    std::fs::write(bed.directory().join(gate), "").unwrap();
}
