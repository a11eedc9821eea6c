//! Searches that are logged to a real MLflow, whose own client is the witness, with programs that log into their runs themselves.

use crate::bed::gates::{gated, gated_with, open};
use crate::bed::manifests::{HANG, REPORT, cases, model_registry, registering, search, tracked};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_proxy::{self, Fate, Said};
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::{Bed, on_bed, phase, reason};
use crate::looks::{
    by_case, patch, status, trial, trial_message, trial_reason, until_running, until_trial,
};
use crate::policies::operator;
use podium_api::TuningJob;
use podium_api::tuning_job::TrackingStatus;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a program does to log something into its run. Pods reach the server by an address of their own.
fn logs(path: &str, what: &str) -> String {
    let mlflow = std::env::var("MLFLOW_IN_PODS").expect("the test bed says where it is");
    let body = format!("{{\\\"run_id\\\": \\\"$MLFLOW_RUN_ID\\\", {what}}}");
    format!(
        "curl --fail --silent --show-error -X POST {mlflow}/api/2.0/mlflow/runs/{path} -H 'Content-Type: application/json' -d \"{body}\""
    )
}

fn tracking(job: &TuningJob) -> TrackingStatus {
    let status = job.status.as_ref();
    let tracking = status.and_then(|status| status.tracking.clone());
    tracking.unwrap_or_default()
}

/// Waits until a search and all that belongs to it is logged to its end.
async fn until_logged(bed: &Bed, name: &str, run_status: &str) -> TuningJob {
    let is_logged = |job: &TuningJob| {
        let tracking = tracking(job);
        tracking.parent_run_status.as_deref() == Some(run_status) && tracking.message.is_none()
    };
    let what = format!("has told its run: {run_status}");
    bed.until(name, 240, &what, is_logged).await
}

/// The statuses of all runs of an experiment, by their names.
fn statuses(mlflow: &Mlflow, experiment: &str) -> Value {
    let mut runs = mlflow.runs(experiment);
    for (_, run) in runs.as_object_mut().unwrap() {
        *run = run["status"].take();
    }
    runs
}

#[test]
fn a_search_is_a_run_and_each_trial_one_below_it_that_its_program_logs_into() {
    on_bed("tracking", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let experiment = bed.namespace.as_str();
        let (_operator, way) = MlflowWay::with_operator(&bed, &mlflow).await;
        let own = logs(
            "log-batch",
            r#"\"params\": [{\"key\": \"rate\", \"value\": \"mine\"}], \"metrics\": [{\"key\": \"loss\", \"value\": 0.25, \"timestamp\": 1, \"step\": 7}],
               \"tags\": [{\"key\": \"uri\", \"value\": \"$MLFLOW_TRACKING_URI\"}, {\"key\": \"run\", \"value\": \"$PODIUM_MLFLOW_RUN_ID\"}]"#,
        );
        let report = r#"echo '{"metrics": {"auc": 0.75}}' > /dev/termination-log"#;
        let script = format!(
            "case $PODIUM_TRIAL_INDEX in 1) {own} && {report};; 2) exit 3;; *) {HANG};; esac"
        );
        let mut forest = gated_with(&bed, "forest", 3, 3, &script);
        forest["spec"]["objective"]["target"] = json!(0.7);
        bed.apply(&tracked(forest, experiment));
        until_running(&bed, "forest-3").await;
        open(&bed, "2");
        bed.until_trial("forest", 2, "Failed").await;
        open(&bed, "1");
        let job = until_logged(&bed, "forest", "FINISHED").await;
        assert_eq!(reason(&job), Some("TargetReached"));

        let ended = json!({
            "forest": "FINISHED", "forest-1": "FINISHED", "forest-2": "FAILED", "forest-3": "KILLED",
        });
        assert_eq!(statuses(&mlflow, experiment), ended);
        let runs = mlflow.runs(experiment);
        let parent = tracking(&job).parent_run_id.unwrap();
        assert_eq!(runs["forest"]["id"], parent);
        assert_eq!(runs["forest"]["metrics"]["objective"], 0.75);
        assert_eq!(runs["forest"]["tags"]["podium.dev/best-trial"], "forest-1");
        let first = &runs["forest-1"];
        let recorded = status(&trial(&bed, "forest-1").await).mlflow_run_id;
        assert_eq!(first["id"], json!(recorded));
        assert_eq!(first["params"], json!({"rate": "mine"}));
        let metrics = json!({"auc": 0.75, "objective": 0.75, "loss": 0.25});
        assert_eq!(first["metrics"], metrics);
        for (tag, value) in [
            ("mlflow.parentRunId", parent.as_str()),
            ("podium.dev/trial", "forest-1"),
            ("podium.dev/phase", "Succeeded"),
            ("uri", way.url.as_str()),
            ("run", first["id"].as_str().unwrap()),
        ] {
            assert_eq!(first["tags"][tag], value, "{tag}");
        }
        assert!(runs["forest-2"]["params"]["rate"].is_string());
        let writes = way.writes();
        let count = |path: &str| writes.iter().filter(|write| write.path == path).count();
        for path in ["runs/create", "runs/update", "runs/log-batch"] {
            assert_eq!(count(path), 4, "{path}");
        }
    });
}

#[test]
fn metrics_are_read_back_and_the_winner_is_registered_with_its_run() {
    on_bed("tracking-metrics", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let name = bed.namespace.as_str();
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        let metric =
            |value: &str| format!(r#"\"key\": \"auc\", \"value\": {value}, \"timestamp\": 1"#);
        let (good, nan) = (metric("0.75"), metric(r#"\"NaN\""#));
        let script = format!(
            "case $(case) in good) {};; nan) {};; esac",
            logs("log-metric", &good),
            logs("log-metric", &nan)
        );
        let mut read = cases("read", &["good", "nan", "none"], 3, &script);
        read["spec"]["metrics"] = json!({"sources": [{"mlflow": {}}], "deadlineSeconds": 3});
        bed.apply(&registering(tracked(read, name), name));
        let job = until_logged(&bed, "read", "FINISHED").await;
        assert_eq!(phase(&job), Some("Succeeded"));
        let trials = by_case(&bed, "read").await;
        let good = status(&trials["good"]);
        assert_eq!(good.objective, Some(0.75), "{good:#?}");
        for (case, because, words) in [
            ("nan", "MetricsInvalid", "must be a finite number, not NaN"),
            ("none", "MetricsMissing", "must report the metric `auc`"),
        ] {
            assert_eq!(trial_reason(&trials[case]), because, "{case}");
            let message = trial_message(&trials[case]);
            assert!(message.contains(words), "{message}");
        }
        let version = format!("print(client.get_model_version('{name}', '1').run_id)");
        assert_eq!(Some(mlflow.python(&version)), good.mlflow_run_id);
    });
}

/// Also what a search leaves that goes while nobody looks.
#[test]
fn a_search_that_is_deleted_leaves_no_run_that_goes_on() {
    on_bed("tracking-deleted", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let experiment = bed.namespace.as_str();
        let operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        for name in ["seen", "unseen", "stays"] {
            bed.apply(&tracked(gated(&bed, name, 1, 1), experiment));
            until_running(&bed, &format!("{name}-1")).await;
        }
        let killed = async |name: &str| {
            let what = format!("no run of {name} goes on");
            bed.wait(180, &what, async || {
                let all = statuses(&mlflow, experiment);
                all[name] == "KILLED" && all[format!("{name}-1")] == "KILLED"
            })
            .await;
        };
        bed.kubectl(&["delete", "tj", "seen"]).unwrap();
        killed("seen").await;
        operator.kill();
        bed.kubectl(&["delete", "tj", "unseen"]).unwrap();
        operator.start_again();
        killed("unseen").await;
        let all = statuses(&mlflow, experiment);
        assert_eq!(
            (&all["stays"], &all["stays-1"]),
            (&json!("RUNNING"), &json!("RUNNING"))
        );
        open(&bed, "all");
        until_logged(&bed, "stays", "FINISHED").await;
        assert_eq!(statuses(&mlflow, experiment)["stays-1"], "FINISHED");
    });
}

#[test]
fn a_server_that_is_away_holds_up_a_start_and_no_end_and_hears_of_it_later() {
    on_bed("tracking-away", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let experiment = bed.namespace.as_str();
        let is_away = Arc::new(AtomicBool::new(true));
        let away = Arc::clone(&is_away);
        let url = mlflow_proxy::open(&mlflow.url, move |_| match away.load(Ordering::SeqCst) {
            true => Fate::Answer(Said::json(503, "{}")),
            false => Fate::Pass,
        })
        .await;
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&url));
        bed.apply(&tracked(gated(&bed, "away", 1, 1), experiment));
        let waits = "waits for MLflow";
        until_trial(&bed, "away-1", 90, waits, |trial| {
            trial_reason(trial) == "WaitingForTracking"
        })
        .await;
        bed.until("away", 60, waits, |job| {
            reason(job) == Some("WaitingForTracking") && tracking(job).message.is_some()
        })
        .await;
        is_away.store(false, Ordering::SeqCst);
        until_trial(&bed, "away-1", 120, "has a run", |trial| {
            status(trial).mlflow_run_id.is_some()
        })
        .await;
        until_running(&bed, "away-1").await;

        is_away.store(true, Ordering::SeqCst);
        open(&bed, "all");
        let job = bed.until_finished("away", 120).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        bed.until("away", 60, "says what is not logged", |job| {
            tracking(job).message.is_some() && phase(job) == Some("Succeeded")
        })
        .await;
        is_away.store(false, Ordering::SeqCst);
        until_logged(&bed, "away", "FINISHED").await;
        let ended = json!({"away": "FINISHED", "away-1": "FINISHED"});
        assert_eq!(statuses(&mlflow, experiment), ended);

        // A search that goes on goes on in its run.
        patch(&bed, "away", json!({"maxTrials": 2}));
        until_trial(&bed, "away-2", 120, "is logged", |trial| {
            status(trial).mlflow_run_status.as_deref() == Some("FINISHED")
        })
        .await;
        let again = until_logged(&bed, "away", "FINISHED").await;
        assert_eq!(tracking(&again).parent_run_id, tracking(&job).parent_run_id);
        assert_eq!(statuses(&mlflow, experiment)["away-2"], "FINISHED");
    });
}

#[test]
fn a_trial_gets_the_account_of_trials_and_waits_for_its_secret() {
    on_bed("tracking-account", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let _operator = operator(&bed).await;
        let mut registry = model_registry(&mlflow.url);
        registry["spec"]["mlflow"]["trialCredentialsSecretRef"] = json!({"name": "trials"});
        bed.apply(&registry);
        let script = format!(
            "[ \"$MLFLOW_TRACKING_USERNAME/$MLFLOW_TRACKING_PASSWORD/$MLFLOW_TRACKING_TOKEN\" = trial/canary/ ] && {REPORT}"
        );
        bed.apply(&tracked(search("account", 1, 1, &script), &bed.namespace));
        let refused = until_trial(&bed, "account-1", 90, "waits for a Secret", |trial| {
            trial_reason(trial) == "PodRefused"
        })
        .await;
        let words = "the Secret `trials` that spec.mlflow.trialCredentialsSecretRef";
        assert!(trial_message(&refused).contains(words), "{refused:#?}");
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "trials"},
            "stringData": {"username": "trial", "password": "canary"},
        }));
        let job = until_logged(&bed, "account", "FINISHED").await;
        assert_eq!(phase(&job), Some("Succeeded"), "{job:#?}");
    });
}
