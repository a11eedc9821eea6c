//! What these tests look at: trials by what they tried, the table of states, live pods over time.

use crate::bed::mlflow::Mlflow;
use crate::bed::operator::Operator;
use crate::bed::{Bed, trial_phase};
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Resource, ResourceExt};
use podium_api::{TRIAL_LABEL, Trial, TrialStatus, TuningJob};
use podium_operator::ports::Object;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub fn status(trial: &Trial) -> TrialStatus {
    trial.status.clone().unwrap_or_default()
}

pub fn trial_reason(trial: &Trial) -> String {
    status(trial).reason.unwrap_or_default()
}

pub fn trial_message(trial: &Trial) -> String {
    status(trial).message.unwrap_or_default()
}

/// The trials of a search by the value of their parameter `case`.
pub async fn by_case(bed: &Bed, search: &str) -> BTreeMap<String, Trial> {
    let trials = bed.trials(search).await;
    let of_case = |trial: Trial| (trial.spec.parameters["case"].to_string(), trial);
    trials.into_iter().map(of_case).collect()
}

/// What the condition Ready of a search says in words; empty before its first status.
pub fn ready_message(job: &TuningJob) -> String {
    let conditions = job.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready
        .next()
        .map(|ready| ready.message.clone())
        .unwrap_or_default()
}

/// Waits until the condition Ready of an object is so, and returns it.
pub async fn until_ready_is<K: Object + Resource<Scope = NamespaceResourceScope>>(
    bed: &Bed,
    name: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    let what = format!("{name} {what}");
    let mut ready = Value::Null;
    bed.wait(180, &what, async || {
        let found = json!(bed.find::<K>(name).await);
        let conditions = found.pointer("/status/conditions");
        let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
        let is_ready = |condition: &&Value| condition["type"] == "Ready";
        ready = conditions.find(is_ready).cloned().unwrap_or_default();
        holds(&ready)
    })
    .await;
    ready
}

/// Waits until the condition Ready of an object has this reason, and returns what it says in words.
pub async fn until_says<K: Object + Resource<Scope = NamespaceResourceScope>>(
    bed: &Bed,
    name: &str,
    reason: &str,
) -> String {
    let what = format!("says {reason}");
    let ready = until_ready_is::<K>(bed, name, &what, |ready| ready["reason"] == reason).await;
    ready["message"].as_str().unwrap_or_default().to_string()
}

/// The version that MLflow's own interface calls champion, past everything of Podium; empty for none.
pub async fn champion_in(mlflow: &Mlflow, model: &str) -> String {
    let path = "api/2.0/mlflow/registered-models/get";
    let answer = reqwest::get(format!("{}/{path}?name={model}", mlflow.url)).await;
    let answer: Value = serde_json::from_str(&answer.unwrap().text().await.unwrap()).unwrap();
    let found = &answer["registered_model"];
    assert_eq!(found["name"], model, "{answer}");
    let aliases = found["aliases"].as_array();
    let mut aliases = aliases.into_iter().flatten();
    let champion = aliases.find(|alias| alias["alias"] == "champion");
    let version = champion.map(|alias| alias["version"].as_str().unwrap().to_string());
    version.unwrap_or_default()
}

/// Changes fields of a search's specification.
pub fn patch(bed: &Bed, search: &str, spec: Value) {
    let patch = json!({"spec": spec}).to_string();
    bed.kubectl(&["patch", "tj", search, "--type=merge", "-p", &patch])
        .unwrap();
}

/// The trial of that name, which must be there.
pub async fn trial(bed: &Bed, name: &str) -> Trial {
    bed.find::<Trial>(name).await.expect("the trial is there")
}

/// Waits until a trial says so.
pub async fn until_trial(
    bed: &Bed,
    name: &str,
    seconds: u64,
    what: &str,
    holds: impl Fn(&Trial) -> bool,
) -> Trial {
    let what = format!("{name} {what}");
    let found = async || bed.find::<Trial>(name).await;
    bed.wait(seconds, &what, async || {
        found().await.is_some_and(|trial| holds(&trial))
    })
    .await;
    trial(bed, name).await
}

/// Waits until a pod of a trial runs, and returns its name.
pub async fn until_running(bed: &Bed, name: &str) -> String {
    let of_trial = ListParams::default().labels(&format!("{TRIAL_LABEL}={name}"));
    let running = async || {
        let pods = bed.api::<Pod>().list(&of_trial).await.ok()?.items;
        let mut running = pods.iter().filter(|pod| pod_phase(pod) == Some("Running"));
        running.next().map(ResourceExt::name_any)
    };
    let mut pod = None;
    bed.wait(60, &format!("{name} runs"), async || {
        pod = running().await;
        pod.is_some()
    })
    .await;
    pod.unwrap()
}

/// Waits until a run of a trial is recorded as running, which takes some seconds, and returns the name of its pod.
pub async fn until_recorded(bed: &Bed, name: &str) -> String {
    let pod = |trial: &Trial| {
        let last = status(trial).attempts.pop();
        last.and_then(|attempt| attempt.pod_name)
    };
    let runs = |trial: &Trial| trial_phase(trial) == "Running" && pod(trial).is_some();
    let trial = until_trial(bed, name, 60, "is recorded as running", runs).await;
    pod(&trial).unwrap()
}

/// Asserts that `holds` stays true for a while: what must not happen has no moment at which it has not happened.
pub async fn stays(seconds: u64, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        assert!(holds().await, "it did not stay so that {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Names of all pods of the test's namespace that have not ended.
pub async fn live_pods(bed: &Bed) -> Vec<String> {
    let pods = bed.api::<Pod>().list(&ListParams::default()).await;
    // Without an answer nobody knows.
    let pods = pods.map_or_else(|_| vec![Pod::default()], |list| list.items);
    let live = pods.iter().filter(|pod| is_live(pod));
    live.map(ResourceExt::name_any).collect()
}

fn pod_phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn is_live(pod: &Pod) -> bool {
    !matches!(pod_phase(pod), Some("Succeeded" | "Failed"))
}

/// The most pods that were alive at one moment, and how many there were, by the API server's own history.
#[derive(Default)]
pub struct Crowd {
    live: BTreeSet<String>,
    pub most: usize,
    pub all: BTreeSet<String>,
}

/// Counts the live pods of the namespace from now on.
pub fn count_pods(bed: &Bed) -> Arc<Mutex<Crowd>> {
    let crowd = Arc::new(Mutex::new(Crowd::default()));
    let (pods, counted) = (bed.api::<Pod>(), Arc::clone(&crowd));
    tokio::spawn(async move {
        let mut events = watcher(pods, Config::default()).boxed();
        while let Some(event) = events.next().await {
            let mut crowd = counted.lock().unwrap();
            match event {
                Ok(Event::Apply(pod) | Event::InitApply(pod)) if is_live(&pod) => {
                    crowd.live.insert(pod.name_any());
                    crowd.all.insert(pod.name_any());
                }
                Ok(Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod)) => {
                    crowd.live.remove(&pod.name_any());
                }
                Ok(Event::Init | Event::InitDone) => {}
                // A gap could hide a moment.
                Err(error) => panic!("the watch was interrupted: {error}"),
            }
            crowd.most = crowd.most.max(crowd.live.len());
        }
    });
    crowd
}

/// One row of the table of states: Ready, Reconciling, Stalled, Succeeded, Finished and Suspended, each with `-` for absent.
type Row = (&'static str, [&'static str; 6]);

const CONDITIONS: [&str; 6] = [
    "Ready",
    "Reconciling",
    "Stalled",
    "Succeeded",
    "Finished",
    "Suspended",
];
const TABLE: [Row; 7] = [
    (
        "Pending",
        ["False", "True", "-", "Unknown", "False", "False"],
    ),
    ("Running", ["True", "-", "-", "Unknown", "False", "False"]),
    ("Suspended", ["True", "-", "-", "Unknown", "False", "True"]),
    (
        "Blocked",
        ["False", "-", "True", "Unknown", "False", "False"],
    ),
    ("Succeeded", ["True", "-", "-", "True", "True", "False"]),
    ("Failed", ["False", "-", "True", "False", "True", "False"]),
    (
        "Terminating",
        ["False", "True", "-", "Unknown", "False", "False"],
    ),
];

/// Checks every status of a search that the operator has written against the table, and returns phases and reasons in their order,
/// repetitions left out.
pub fn states_written(operator: &Operator, search: &str) -> Vec<(String, String)> {
    let mut states = Vec::new();
    for write in operator.writes() {
        if write.resource != "tuningjobs/status" || write.name != search {
            continue;
        }
        let status = &write.body["status"];
        let phase = status["phase"].as_str().unwrap_or_default();
        let row = TABLE.iter().find(|(name, _)| *name == phase);
        let (_, expected) = row.unwrap_or_else(|| panic!("no such state: {status:#}"));
        let conditions = CONDITIONS.map(|kind| value_of(status, kind, "status").unwrap_or("-"));
        assert_eq!(&conditions, expected, "{status:#}");
        lint(status);
        let reason = value_of(status, "Ready", "reason").unwrap_or_default();
        let state = (phase.to_string(), reason.to_string());
        if states.last() != Some(&state) {
            states.push(state);
        }
    }
    states
}

/// What holds of every condition of every object.
pub fn lint(status: &Value) {
    let generation = &status["observedGeneration"];
    assert!(generation.is_i64(), "{status:#}");
    for condition in status["conditions"].as_array().unwrap() {
        assert_eq!(&condition["observedGeneration"], generation, "{status:#}");
        for field in ["type", "status", "reason", "lastTransitionTime"] {
            let text = condition[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{field}: {status:#}");
        }
    }
}

fn value_of<'a>(status: &'a Value, kind: &str, field: &str) -> Option<&'a str> {
    let conditions = status["conditions"].as_array()?;
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind)?;
    found[field].as_str()
}
