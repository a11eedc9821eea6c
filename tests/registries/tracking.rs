//! Runs of a real MLflow: one under each key whatever becomes of answers, and beside what a program logs into them itself.

use super::mlflow_proxy::{self, Call, Fate};
use super::mlflow_registry::mlflow_registry;
use super::{run, witness};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunLog, RunStatus};
use podium_operator::adapters::mlflow::tracking::MlflowTracking;
use podium_operator::ports::{NewRun, OpenRuns, PortErrorKind, RunWrite, StartedRun, Tracking};
use podium_testbed::mlflow::{MLFLOW, MLFLOW_2, MlflowServer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const KEY_TAG: &str = "podium.dev/trial-uid";
const LOCATION_TAG: &str = "podium.dev/location";
const AT: Timestamp = Timestamp(1_764_000_000_000);

fn tracking(url: &str) -> MlflowTracking {
    MlflowTracking::new(Arc::clone(mlflow_registry(url).server()))
}

fn texts<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

async fn start(
    tracking: &MlflowTracking,
    experiment: &str,
    uid: &str,
    parent: Option<&str>,
) -> StartedRun {
    let new = NewRun {
        experiment,
        name: "forest-1",
        key: (KEY_TAG, uid),
        parent,
        source: "TuningJob team/forest",
        tags: texts([(LOCATION_TAG, "cluster/team")]),
        start: AT,
        may_exist: true,
    };
    tracking.start_run(new).await.unwrap()
}

/// How many runs MLflow's own client finds under a key, and their status.
fn found(server: &MlflowServer, experiment: &str, uid: &str) -> String {
    witness(
        server,
        &format!(
            "
from mlflow import MlflowClient
runs = MlflowClient().search_runs(['{experiment}'], \"tags.`{KEY_TAG}` = '{uid}'\", order_by=['attributes.start_time'])
print([run.info.status for run in runs])"
        ),
    )
}

async fn an_experiment_is_made_once_and_a_deleted_one_is_refused(server: &MlflowServer) {
    let tracking = tracking(&server.url());
    let made = tracking.experiment("forests").await.unwrap();
    assert_eq!(tracking.experiment("forests").await.unwrap(), made);
    // One of somebody else's is taken as it is.
    let theirs = witness(
        server,
        "from mlflow import MlflowClient\nprint(MlflowClient().create_experiment('theirs'))",
    );
    assert_eq!(tracking.experiment("theirs").await.unwrap(), theirs);
    witness(
        server,
        &format!("from mlflow import MlflowClient\nMlflowClient().delete_experiment('{theirs}')"),
    );
    let error = tracking.experiment("theirs").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Refused);
    let mends = format!("mlflow experiments restore --experiment-id {theirs}");
    assert!(error.message.contains(&mends), "{error:?}");
}

async fn a_run_is_started_once_whatever_becomes_of_the_answer(server: &MlflowServer) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let is_create = |call: &Call| call.path == "runs/create";
    let url = mlflow_proxy::open(&server.url(), move |call| {
        if is_create(call) && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            Fate::BreakThen(Box::new(|| {}))
        } else {
            Fate::Pass
        }
    })
    .await;
    let tracking = tracking(&url);
    let experiment = tracking.experiment("once").await.unwrap();
    let first = start(&tracking, &experiment, "lost", None).await;
    assert!(first.is_new);
    let again = start(&tracking, &experiment, "lost", None).await;
    assert_eq!((again.id, again.is_new), (first.id, false));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(found(server, &experiment, "lost"), "['RUNNING']");
}

/// A request that arrives late makes a second run.
async fn of_two_runs_the_older_counts(server: &MlflowServer) {
    let tracking = tracking(&server.url());
    let experiment = tracking.experiment("twice").await.unwrap();
    let script = format!(
        "
from mlflow import MlflowClient
client = MlflowClient()
runs = [client.create_run('{experiment}', start_time=at, tags={{'{KEY_TAG}': 'twice'}}) for at in (2000, 1000)]
print(runs[1].info.run_id)"
    );
    let older = witness(server, &script);
    for _ in 0..2 {
        let started = start(&tracking, &experiment, "twice", None).await;
        assert_eq!(
            (started.id.as_str(), started.is_new),
            (older.as_str(), false)
        );
    }
    let statuses = found(server, &experiment, "twice");
    assert_eq!(statuses, "['RUNNING', 'KILLED']");
}

/// What a program logs itself stays, numbers are read as they are, and what MLflow takes no name of is named otherwise.
async fn a_program_logs_into_the_same_run(server: &MlflowServer) {
    let tracking = tracking(&server.url());
    let experiment = tracking.experiment("beside").await.unwrap();
    let id = start(&tracking, &experiment, "beside", None).await.id;
    let program = format!(
        "
import os
os.environ['MLFLOW_RUN_ID'] = '{id}'
import mlflow
with mlflow.start_run():
    mlflow.log_param('depth', 5.0)
    mlflow.log_metric('auc', 0.5, step=3)
    mlflow.log_metric('nan', float('nan'))
    mlflow.log_metric('inf', float('inf'))"
    );
    witness(server, &program);
    let there = tracking.content(&id).await.unwrap().unwrap();
    assert!(there.metrics["nan"].value.is_nan());
    assert_eq!(there.metrics["inf"].value, f64::INFINITY);
    assert_eq!(there.metrics["auc"].value, 0.5);
    assert!(there.metrics["auc"].at > AT);

    let mut log = RunLog {
        params: texts([("depth", "5"), ("rate", "0.1")]),
        metrics: BTreeMap::from([("auc".to_string(), 0.9), ("hits@10".to_string(), 0.7)]),
        at: AT,
        ..RunLog::of_tags(texts([("podium.dev/phase", "Failed")]))
    };
    let refused = tracking.log(&id, &log).await.unwrap();
    assert!(matches!(refused, RunWrite::Refused(_)), "{refused:?}");
    log = log.beside(&there);
    // As much as a trial can report, twice: a request that is repeated changes nothing.
    log.metrics
        .extend((0..199).map(|n| (format!("m{n}"), 0.25)));
    log.params
        .extend((0..98).map(|n| (format!("p{n}"), "x".repeat(500))));
    for _ in 0..2 {
        assert_eq!(tracking.log(&id, &log).await, Ok(RunWrite::Done));
        let ended = tracking.set_status(&id, RunStatus::Failed, Some(AT)).await;
        assert_eq!(ended, Ok(RunWrite::Done));
    }
    let seen = witness(
        server,
        &format!(
            "
from mlflow import MlflowClient
client = MlflowClient()
run = client.get_run('{id}')
data = run.data
print(run.info.status, run.info.end_time, data.params['depth'], data.params['rate'], data.metrics['auc'], data.metrics['hits_10'],
      data.tags['podium.dev/phase'], len(data.params), len(client.get_metric_history('{id}', 'm1')))"
        ),
    );
    let expected = format!("FAILED {} 5.0 0.1 0.5 0.7 Failed 100 1", AT.0);
    assert_eq!(seen, expected);
}

async fn runs_that_go_on_are_found_by_their_parent_and_their_tag(server: &MlflowServer) {
    let tracking = tracking(&server.url());
    let experiment = tracking.experiment("open").await.unwrap();
    let parent = start(&tracking, &experiment, "parent", None).await.id;
    let mut children = Vec::new();
    for uid in ["a", "b"] {
        let child = start(&tracking, &experiment, uid, Some(&parent)).await;
        children.push(child.id);
    }
    let ended = tracking
        .set_status(&children[0], RunStatus::Finished, Some(AT))
        .await;
    assert_eq!(ended, Ok(RunWrite::Done));
    let below = OpenRuns::Below {
        experiment: &experiment,
        parent: &parent,
    };
    let open = tracking.open_runs(below).await.unwrap();
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(
        (&open[0].id, open[0].tags[KEY_TAG].as_str()),
        (&children[1], "b")
    );
    let tagged = OpenRuns::Tagged {
        tag: LOCATION_TAG,
        value: "cluster/team",
    };
    let open = tracking.open_runs(tagged).await.unwrap();
    let ids: Vec<&String> = open.iter().map(|run| &run.id).collect();
    assert!(ids.contains(&&parent) && ids.contains(&&children[1]));
    assert!(!ids.contains(&&children[0]));

    // A deleted run takes nothing, and is no error.
    witness(
        server,
        &format!("from mlflow import MlflowClient\nMlflowClient().delete_run('{parent}')"),
    );
    assert_eq!(tracking.content(&parent).await, Ok(None));
    let log = RunLog::of_tags(texts([("a", "b")]));
    assert_eq!(tracking.log(&parent, &log).await, Ok(RunWrite::Gone));
    let told = tracking.set_status(&parent, RunStatus::Killed, None).await;
    assert_eq!(told, Ok(RunWrite::Gone));
}

fn tracks(version: &str) {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), version, None).unwrap();
    run(async {
        an_experiment_is_made_once_and_a_deleted_one_is_refused(&server).await;
        a_run_is_started_once_whatever_becomes_of_the_answer(&server).await;
        of_two_runs_the_older_counts(&server).await;
        a_program_logs_into_the_same_run(&server).await;
        runs_that_go_on_are_found_by_their_parent_and_their_tag(&server).await;
    });
}

#[test]
fn mlflow_3_tracks() {
    tracks(MLFLOW);
}

#[test]
fn mlflow_2_tracks() {
    tracks(MLFLOW_2);
}
