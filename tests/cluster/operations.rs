//! What people do to a search that runs, or has ended.

use crate::bed::gates::{gated, open};
use crate::bed::manifests::{HANG, REPORT, search};
use crate::bed::{Bed, on_bed, phase, phases, reason, trial_phase};
use crate::looks::{
    live_pods, patch, states_written, status, stays, trial, trial_reason, until_running,
    until_trial,
};
use kube::ResourceExt;
use podium_api::{Trial, TuningJob};
use serde_json::{Value, json};

fn is_current(job: &TuningJob) -> bool {
    let observed = job
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    observed == job.metadata.generation
}

fn unfinished(trials: &[Trial]) -> usize {
    let ended = |trial: &&Trial| status(trial).completion_time.is_some();
    trials.len() - trials.iter().filter(ended).count()
}

/// Trials `NAME-1` to `NAME-COUNT`, all of them succeeded.
async fn all_succeeded(bed: &Bed, name: &str, count: u32) {
    let names = (1..=count).map(|index| (format!("{name}-{index}"), "Succeeded".to_string()));
    assert_eq!(phases(&bed.trials(name).await), names.collect::<Vec<_>>());
}

#[test]
fn a_suspended_search_lets_trials_end_and_starts_none_until_it_is_resumed() {
    on_bed("suspend", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&gated(&bed, "pause", 3, 1));
        until_running(&bed, "pause-1").await;
        patch(&bed, "pause", json!({"suspend": true}));
        let held = |job: &TuningJob| phase(job) == Some("Suspended") && is_current(job);
        bed.until("pause", 60, "is suspended", held).await;
        open(&bed, "all");
        until_trial(&bed, "pause-1", 60, "has ended", |trial| {
            trial_phase(trial) == "Succeeded"
        })
        .await;
        bed.until("pause", 60, "has counted it", |job| {
            job.status.as_ref().unwrap().progress.as_deref() == Some("1/3")
        })
        .await;
        stays(4, "no trial starts", async || {
            bed.trials("pause").await.len() == 1
        })
        .await;
        assert_eq!(
            phase(&bed.search("pause").await.unwrap()),
            Some("Suspended")
        );
        patch(&bed, "pause", json!({"suspend": false}));
        bed.until_finished("pause", 60).await;
        all_succeeded(&bed, "pause", 3).await;
        // A search may be born suspended.
        let mut born = search("born", 1, 1, REPORT);
        born["spec"]["suspend"] = json!(true);
        bed.apply(&born);
        bed.until("born", 60, "is suspended", held).await;
        assert!(bed.trials("born").await.is_empty());
        patch(&bed, "born", json!({"suspend": false}));
        bed.until_finished("born", 60).await;
        states_written(&operator, "pause");
        let born: Vec<String> = states_written(&operator, "born")
            .into_iter()
            .map(|(phase, _)| phase)
            .collect();
        assert_eq!(born[0], "Suspended");
    });
}

#[test]
fn parallelism_goes_up_at_once_and_down_as_trials_end() {
    on_bed("parallel", async |bed| {
        let _operator = bed.operator("a").await;
        bed.apply(&search(
            "width",
            7,
            1,
            "sleep 4; echo '{\"metrics\": {\"auc\": 0.5}}' > /dev/termination-log",
        ));
        until_running(&bed, "width-1").await;
        assert_eq!(bed.trials("width").await.len(), 1);
        patch(&bed, "width", json!({"parallelism": 3}));
        bed.wait(60, "three trials are under way", async || {
            unfinished(&bed.trials("width").await) == 3
        })
        .await;
        patch(&bed, "width", json!({"parallelism": 1}));
        bed.until("width", 60, "has seen the change", is_current)
            .await;
        let mut most = unfinished(&bed.trials("width").await).max(1);
        bed.wait(120, "all have ended", async || {
            let trials = bed.trials("width").await;
            let now = unfinished(&trials);
            assert!(now <= most, "{now} trials are under way after {most}");
            most = now.max(1);
            trials.len() == 7 && now == 0
        })
        .await;
        let job = bed.until_finished("width", 60).await;
        assert_eq!(
            job.status.unwrap().trials.unwrap().succeeded,
            7,
            "a trial was lost"
        );
    });
}

#[test]
fn more_trials_may_be_asked_for_during_and_after_a_search() {
    on_bed("more", async |bed| {
        let operator = bed.operator("a").await;
        let mut more = gated(&bed, "more", 1, 1);
        more["spec"]["ttlSecondsAfterFinished"] = json!(3600);
        bed.apply(&more);
        until_running(&bed, "more-1").await;
        patch(&bed, "more", json!({"maxTrials": 2}));
        bed.until("more", 60, "has seen the change", is_current)
            .await;
        open(&bed, "1");
        open(&bed, "2");
        let two = |job: &TuningJob| is_current(job) && reason(job) == Some("MaxTrialsReached");
        let first = bed.until("more", 60, "has ended with two", two).await;
        all_succeeded(&bed, "more", 2).await;
        let ended = first.status.unwrap().completion_time.unwrap();
        patch(&bed, "more", json!({"maxTrials": 4, "parallelism": 2}));
        let goes_on = |job: &TuningJob| phase(job) == Some("Running") && is_current(job);
        let job = bed.until("more", 60, "goes on", goes_on).await;
        assert_eq!(
            job.status.unwrap().completion_time,
            None,
            "it has not ended"
        );
        open(&bed, "all");
        let job = bed.until_finished("more", 60).await;
        all_succeeded(&bed, "more", 4).await;
        assert!(job.status.unwrap().completion_time.unwrap().0 > ended.0);
        let phases: Vec<String> = states_written(&operator, "more")
            .into_iter()
            .map(|(phase, _)| phase)
            .collect();
        assert_eq!(
            phases,
            ["Pending", "Running", "Succeeded", "Running", "Succeeded"]
        );
    });
}

#[test]
fn an_edit_of_a_finished_search_does_not_rewrite_how_it_ended() {
    on_bed("edit", async |bed| {
        let _operator = bed.operator("a").await;
        let mut small = search("small", 10, 2, REPORT);
        small["spec"]["parameters"] = json!([{"name": "rate", "integer": {"min": 0, "max": 1}}]);
        small["spec"]["activeDeadlineSeconds"] = json!(40);
        bed.apply(&small);
        let job = bed.until_finished("small", 60).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Succeeded"), Some("SpaceExhausted"))
        );
        let before = job.status.unwrap();
        let began = before.start_time.clone().unwrap();
        // An end before the deadline stays one after it.
        let past = || k8s_openapi::jiff::Timestamp::now().as_second() > began.0.as_second() + 40;
        bed.wait(60, "the deadline is over", async || past()).await;
        patch(&bed, "small", json!({"ttlSecondsAfterFinished": 3600}));
        let job = bed
            .until("small", 60, "has seen the change", is_current)
            .await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Succeeded"), Some("SpaceExhausted"))
        );
        assert_eq!(job.status.unwrap().completion_time, before.completion_time);
    });
}

#[test]
fn the_place_of_a_deleted_trial_is_filled_again() {
    on_bed("delete", async |bed| {
        let operator = bed.operator("a").await;
        let script = "case $PODIUM_TRIAL_INDEX in 1) ;; *) sleep 8;; esac; echo '{\"metrics\": {\"auc\": 0.5}}' > /dev/termination-log";
        bed.apply(&search("places", 3, 2, script));
        let succeeded = |trial: &Trial| trial_phase(trial) == "Succeeded";
        let ended = until_trial(&bed, "places-1", 60, "has ended", succeeded).await;
        until_running(&bed, "places-2").await;
        let running = trial(&bed, "places-2").await;
        // The Job of the one that ended goes late, and its pod with it: their result is not that of the next trial.
        let finalizers = |list: Value| {
            let patch = json!({"metadata": {"finalizers": list}}).to_string();
            bed.kubectl(&["patch", "job", "places-1-1", "--type=merge", "-p", &patch])
                .unwrap();
        };
        finalizers(json!(["podium.dev/test"]));
        let delete = ["delete", "trial", "places-1", "places-2", "--wait=false"];
        bed.kubectl(&delete).unwrap();
        for old in [&ended, &running] {
            let is_new = |trial: &Trial| trial.uid() != old.uid();
            until_trial(&bed, &old.name_any(), 60, "is there again", is_new).await;
        }
        let waits = |trial: &Trial| trial_reason(trial) == "PodRefused";
        let waiting = until_trial(&bed, "places-1", 60, "waits for the name", waits).await;
        assert_eq!(trial_phase(&waiting), "Queued");
        finalizers(json!([]));
        let job = bed.until_finished("places", 120).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Succeeded"), Some("MaxTrialsReached"))
        );
        all_succeeded(&bed, "places", 3).await;
        let pods = |trial: &Trial| -> Vec<String> {
            let runs = status(trial).attempts.into_iter();
            runs.filter_map(|run| run.pod_name).collect()
        };
        let (trials, old) = (bed.trials("places").await, [&ended, &running]);
        for (trial, old) in trials.iter().zip(old) {
            let runs = pods(trial);
            assert_eq!(runs.len(), 1, "{trial:?}");
            assert_ne!(runs, pods(old), "a trial has the pod of another one");
        }
        assert_eq!(job.status.unwrap().trials.unwrap().retried, 0);
        states_written(&operator, "places");
    });
}

#[test]
fn a_search_is_deleted_with_all_that_belongs_to_it() {
    on_bed("gone", async |bed| {
        let operator = bed.operator("a").await;
        for way in ["background", "foreground"] {
            bed.apply(&search(way, 3, 2, HANG));
            until_running(&bed, &format!("{way}-1")).await;
            bed.kubectl(&[
                "delete",
                "tj",
                way,
                &format!("--cascade={way}"),
                "--timeout=60s",
            ])
            .unwrap();
            bed.wait(60, "all of it is gone", async || {
                bed.kubectl(&["get", "tj,trials,jobs,pods", "-o", "name"])
                    .is_ok_and(|left| left.is_empty())
            })
            .await;
        }
        // Orphans stay as they are: their owner asked for it.
        bed.apply(&gated(&bed, "orphan", 2, 1));
        until_running(&bed, "orphan-1").await;
        // What the garbage collector does for `--cascade=orphan`, which it may do too early for a young trial.
        let patch = r#"[{"op": "remove", "path": "/metadata/ownerReferences"}]"#;
        bed.kubectl(&["patch", "trial", "orphan-1", "--type=json", "-p", patch])
            .unwrap();
        bed.kubectl(&["delete", "tj", "orphan", "--timeout=60s"])
            .unwrap();
        open(&bed, "all");
        bed.wait(60, "its pod has ended", async || {
            live_pods(&bed).await.is_empty()
        })
        .await;
        operator.way.forget();
        stays(3, "the orphan is left alone", async || {
            bed.trials("orphan").await.len() == 1
        })
        .await;
        assert_eq!(operator.writes().len(), 0, "{:#?}", operator.writes());
        assert!(operator.terminate().await.success());
    });
}

#[test]
fn a_finished_search_is_deleted_when_its_time_has_come_and_an_operator_without_work_writes_nothing()
{
    on_bed("idle", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&search("kept", 2, 2, REPORT));
        let mut short = search("short", 1, 1, REPORT);
        short["spec"]["ttlSecondsAfterFinished"] = json!(5);
        bed.apply(&short);
        bed.until_finished("short", 60).await;
        bed.until_finished("kept", 60).await;
        bed.wait(60, "it is gone with its trials", async || {
            let left = bed.kubectl(&["get", "tj,trials,jobs,pods", "-o", "name"]);
            left.is_ok_and(|left| !left.contains("short"))
        })
        .await;
        operator.way.forget();
        stays(12, "nothing is written", async || {
            operator.writes().is_empty()
        })
        .await;
        assert!(bed.search("kept").await.is_some());
        all_succeeded(&bed, "kept", 2).await;
    });
}
