//! Every way in which a trial, and with it a search, can end.

use crate::bed::manifests::{HANG, REPORT, cases, container_of, pod_of, search};
use crate::bed::{Bed, on_bed, phase, phases, reason, trial_phase};
use crate::looks::{by_case, count_pods, live_pods, status, trial, trial_message, trial_reason};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use podium_api::{Trial, TuningJob};
use serde_json::json;
use std::collections::BTreeMap;

/// One way to end per value of `case`; the metric `gap` may be at most 0.1.
const ENDS: &str = r#"
report() { printf '%s' "$1" > /dev/termination-log; }
case $(case) in
good) report '{"metrics": {"auc": 0.5, "gap": 0}}';;
parts) report '{"metrics": {"auc": [0.9, 0.5], "gap": 0}, "weights": {"auc": [3, 1]}}';;
exit) echo loading; echo "KeyError: auc"; exit 3;;
memory) exec tail /dev/zero;;
silent) exit 0;;
broken) report '{"metrics": {"auc": 0.5';;
nan) report '{"metrics": {"auc": NaN, "gap": 0}}';;
absent) report '{"metrics": {"loss": 1, "gap": 0}}';;
long)
  text='{"metrics": {"auc": 0.5'; rest=400
  while [ $rest -gt 0 ]; do text="$text, \"metric_$rest\": 1"; rest=$((rest - 1)); done
  report "$text}}";;
unfair) report '{"metrics": {"auc": 0.95, "gap": 0.2}}';;
unusable) exit 78;;
again) case $HOSTNAME in *-1-?????) exit 75;; esac; report '{"metrics": {"auc": 0.6, "gap": 0}}';;
esac"#;

#[test]
fn every_end_of_a_run_is_told_apart() {
    let expected = [
        ("good", "Succeeded", "Completed", ""),
        ("parts", "Succeeded", "Completed", ""),
        (
            "exit",
            "Failed",
            "NonZeroExit",
            "exited with code 3; its last lines: loading | KeyError: auc",
        ),
        ("memory", "Failed", "OutOfMemory", "more memory than it may"),
        (
            "silent",
            "Failed",
            "MetricsMissing",
            "no termination message",
        ),
        (
            "broken",
            "Failed",
            "MetricsInvalid",
            "must be one JSON object",
        ),
        (
            "nan",
            "Failed",
            "MetricsInvalid",
            "the metric `auc` must be a finite number, not NaN",
        ),
        ("absent", "Failed", "MetricsInvalid", "auc"),
        (
            "long",
            "Failed",
            "MetricsInvalid",
            "must be shorter than 4096 bytes",
        ),
        (
            "unfair",
            "Infeasible",
            "ConstraintViolated",
            "`gap <= 0.1` must hold",
        ),
        ("unusable", "Infeasible", "FailureRule", "code 78"),
        ("again", "Succeeded", "Completed", ""),
    ];
    on_bed("ends", async |bed| {
        let operator = bed.operator("a").await;
        let mut ends = cases("ends", &expected.map(|(case, ..)| case), 4, ENDS);
        ends["spec"]["objective"]["constraints"] = json!(["gap <= 0.1"]);
        ends["spec"]["trial"]["failureRules"] = json!([
            {"when": "exitCode == 78", "action": "Infeasible"},
            {"when": "exitCode == 75", "action": "Retry"},
        ]);
        container_of(&mut ends)["resources"] = json!({"limits": {"memory": "32Mi"}});
        bed.apply(&ends);
        let job = bed.until_finished("ends", 180).await;
        let trials = by_case(&bed, "ends").await;
        for (case, phase, reason, message) in expected {
            let trial = &trials[case];
            assert_eq!(
                (trial_phase(trial), trial_reason(trial).as_str()),
                (phase, reason),
                "{case}: {trial:?}"
            );
            let said = trial_message(trial);
            assert!(said.contains(message), "{case}: {said}");
        }
        let parts = status(&trials["parts"]);
        let auc = parts
            .metrics
            .iter()
            .find(|metric| metric.name == "auc")
            .unwrap();
        assert_eq!((auc.value, auc.weight, auc.parts), (0.8, 4.0, 2));
        let again = status(&trials["again"]);
        let attempts: Vec<_> = again
            .attempts
            .iter()
            .map(|a| (a.number, a.reason.as_deref()))
            .collect();
        assert_eq!(attempts, [(1, Some("FailureRule")), (2, None)]);
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Succeeded"), Some("MaxTrialsReached"))
        );
        let status = job.status.unwrap();
        let counts = status.trials.unwrap();
        assert_eq!(
            (
                counts.succeeded,
                counts.infeasible,
                counts.failed,
                counts.retried
            ),
            (3, 2, 7, 1)
        );
        assert_eq!(status.best.unwrap().objective, 0.8);
        // The pod of every run is known, also of one that never was seen to run.
        for trial in trials.values() {
            assert!(
                self::status(trial)
                    .attempts
                    .iter()
                    .all(|run| run.pod_name.is_some()),
                "{trial:?}"
            );
        }
        drop(operator);
    });
}

#[test]
fn a_run_that_hangs_and_one_that_cannot_start_have_failed() {
    on_bed("hang", async |bed| {
        let _operator = bed.operator("a").await;
        let mut hang = search("hang", 1, 1, "echo epoch 1; exec sleep 600");
        // Long enough for a container to start on a busy machine: otherwise there would be another run.
        hang["spec"]["trial"]["activeDeadlineSeconds"] = json!(20);
        bed.apply(&hang);
        let mut absent = search("absent", 1, 1, "");
        container_of(&mut absent)["command"] = json!(["/no/such/program"]);
        bed.apply(&absent);
        for (name, because, message) in [
            (
                "hang",
                "DeadlineExceeded",
                "it ran longer than `trial.activeDeadlineSeconds` 20 and was ended",
            ),
            ("absent", "CannotStart", "/no/such/program"),
        ] {
            let job = bed.until_finished(name, 120).await;
            assert_eq!(
                (phase(&job), reason(&job)),
                (Some("Failed"), Some("NoSuccessfulTrial"))
            );
            let trial = trial(&bed, &format!("{name}-1")).await;
            assert_eq!(
                (trial_phase(&trial), trial_reason(&trial).as_str()),
                ("Failed", because)
            );
            let said = trial_message(&trial);
            assert!(said.contains(message), "{said}");
            assert_eq!(status(&trial).attempts.len(), 1);
        }
        bed.wait(60, "nothing runs any more", async || {
            live_pods(&bed).await.is_empty()
        })
        .await;
    });
}

#[test]
fn the_container_that_matters_decides_and_what_the_template_says_of_restarts_holds() {
    on_bed("containers", async |bed| {
        let _operator = bed.operator("a").await;
        // A sidecar is ended by a signal once the others are done: that is not how the trial ended.
        let mut sidecar = search("sidecar", 1, 1, "echo no rows; exit 3");
        let mut side = container_of(&mut sidecar).clone();
        side["name"] = json!("side");
        side["command"] = json!(["/usr/bin/sh", "-c", HANG]);
        let mut first = side.clone();
        first["restartPolicy"] = json!("Always");
        pod_of(&mut sidecar)["initContainers"] = json!([first]);
        bed.apply(&sidecar);
        // The metrics come from the container that the search names.
        let mut named = search("named", 1, 1, "exit 0");
        let mut second = container_of(&mut named).clone();
        second["name"] = json!("report");
        second["command"][2] = json!(REPORT);
        pod_of(&mut named)["containers"]
            .as_array_mut()
            .unwrap()
            .push(second);
        named["spec"]["metrics"] =
            json!({"sources": [{"terminationMessage": {"container": "report"}}]});
        bed.apply(&named);
        // A container that the template lets start again has not failed.
        let twice = r#"[ -e /kept/once ] || { : > /kept/once; exit 1; }; echo '{"metrics": {"auc": 0.5}}' > /dev/termination-log"#;
        let mut restarts = search("restarts", 1, 1, twice);
        restarts["spec"]["trial"]["job"]["backoffLimit"] = json!(3);
        pod_of(&mut restarts)["restartPolicy"] = json!("OnFailure");
        let kept = json!({"name": "kept", "emptyDir": {}});
        pod_of(&mut restarts)["volumes"]
            .as_array_mut()
            .unwrap()
            .push(kept);
        let mount = json!({"name": "kept", "mountPath": "/kept"});
        container_of(&mut restarts)["volumeMounts"]
            .as_array_mut()
            .unwrap()
            .push(mount);
        bed.apply(&restarts);
        // One that fails whenever it starts has failed, although its Job deletes the pod.
        let mut fails = search("fails", 1, 1, "echo no rows; exit 3");
        fails["spec"]["trial"]["job"]["backoffLimit"] = json!(0);
        pod_of(&mut fails)["restartPolicy"] = json!("OnFailure");
        bed.apply(&fails);

        for name in ["sidecar", "fails"] {
            bed.until_finished(name, 90).await;
            let trial = trial(&bed, &format!("{name}-1")).await;
            assert_eq!(trial_reason(&trial), "NonZeroExit");
            assert!(
                trial_message(&trial).contains("code 3; its last lines: no rows"),
                "{trial:?}"
            );
            assert_eq!(status(&trial).attempts.len(), 1);
        }
        for name in ["named", "restarts"] {
            let job = bed.until_finished(name, 90).await;
            assert_eq!(phase(&job), Some("Succeeded"), "{name}");
            assert_eq!(
                status(&trial(&bed, &format!("{name}-1")).await)
                    .attempts
                    .len(),
                1
            );
        }
    });
}

#[test]
fn a_trial_that_ran_longer_than_it_may_wait_ends_as_it_ended() {
    on_bed("long", async |bed| {
        let operator = bed.operator("a").await;
        let ends = r#"
        case $HOSTNAME in *-1-?????)
          sleep 22
          case $(case) in fails) echo no rows; exit 3;; again) exit 75;; *) exec sleep 600;; esac
        esac
        echo '{"metrics": {"auc": 0.5}}' > /dev/termination-log"#;
        let mut long = cases("long", &["fails", "again", "deleted"], 3, ends);
        long["spec"]["trial"]["queueDeadlineSeconds"] = json!(20);
        long["spec"]["trial"]["failureRules"] =
            json!([{"when": "exitCode == 75", "action": "Retry"}]);
        bed.apply(&long);
        let again = |trials: &BTreeMap<String, Trial>| {
            let trial = trials.get("again");
            trial.is_some_and(|trial| status(trial).attempts.len() == 2)
        };
        let retried = async || again(&by_case(&bed, "long").await);
        bed.wait(60, "a run is repeated", retried).await;
        let deleted = by_case(&bed, "long").await["deleted"].name_any();
        let of_trial = format!("-lpodium.dev/trial={deleted}");
        bed.kubectl(&["delete", "pod", &of_trial, "--wait=false"])
            .unwrap();
        bed.until_finished("long", 90).await;
        let trials = by_case(&bed, "long").await;
        let end = |case: &str| (trial_phase(&trials[case]), trial_reason(&trials[case]));
        assert_eq!(end("fails"), ("Failed", "NonZeroExit".to_string()));
        for case in ["again", "deleted"] {
            assert_eq!(end(case), ("Succeeded", "Completed".to_string()), "{case}");
            let attempts = status(&trials[case]).attempts;
            assert_eq!(attempts.len(), 2, "{attempts:?}");
            assert!(attempts[0].completion_time.is_some());
        }
        // Between its end and what its Job says of it no run was thought to wait.
        for (case, trial) in &trials {
            let writes = operator.writes();
            let states = writes.iter().filter(|write| {
                (write.resource.as_str(), &write.name) == ("trials/status", &trial.name_any())
            });
            let of_first_run = states
                .map(|write| &write.body["status"])
                .take_while(|status| status["attempts"][1].is_null());
            let phases: Vec<_> = of_first_run.map(|status| &status["phase"]).collect();
            let began = phases.iter().position(|phase| *phase == "Running");
            let began = began.unwrap_or_else(|| panic!("{case}: {phases:?}"));
            assert!(
                !phases[began..].iter().any(|phase| *phase == "Queued"),
                "{case}: {phases:?}"
            );
        }
    });
}

const TWO_KINDS: &str = r#"
case $(case) in
bad) exit 1;;
good) echo '{"metrics": {"auc": 0.95}}' > /dev/termination-log;;
*) exec sleep 600;;
esac"#;

/// Two trials that never end were stopped with their Jobs and pods, and the other one is what it is.
async fn the_others_were_stopped(bed: &Bed, job: &TuningJob, other: (&str, &str)) {
    let trials = by_case(bed, "search").await;
    for case in ["slow", "slower"] {
        let trial = &trials[case];
        let said = (trial_phase(trial), trial_reason(trial));
        assert_eq!(said, ("StoppedEarly", "SearchEnded".to_string()));
    }
    assert_eq!(trial_phase(&trials[other.0]), other.1);
    let counts = job.status.as_ref().unwrap().trials.unwrap();
    assert_eq!(
        (counts.stopped_early, counts.running, counts.queued),
        (2, 0, 0)
    );
    bed.wait(60, "the pods of what was stopped are gone", async || {
        live_pods(bed).await.is_empty()
    })
    .await;
    let jobs = bed
        .api::<Job>()
        .list(&kube::api::ListParams::default())
        .await
        .unwrap();
    assert_eq!(
        jobs.items.len(),
        1,
        "the Job of the trial that ended by itself stays"
    );
}

#[test]
fn too_many_failed_trials_end_a_search() {
    on_bed("toomany", async |bed| {
        let _operator = bed.operator("a").await;
        let mut failing = cases("search", &["slow", "slower", "bad"], 3, TWO_KINDS);
        failing["spec"]["maxFailedTrials"] = json!(0);
        bed.apply(&failing);
        let job = bed.until_finished("search", 90).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Failed"), Some("TooManyFailedTrials"))
        );
        the_others_were_stopped(&bed, &job, ("bad", "Failed")).await;
    });
}

#[test]
fn a_target_ends_a_search_with_what_still_runs() {
    on_bed("target", async |bed| {
        let _operator = bed.operator("a").await;
        let mut search = cases("search", &["slow", "slower", "good"], 3, TWO_KINDS);
        search["spec"]["objective"]["target"] = json!(0.9);
        bed.apply(&search);
        let job = bed.until_finished("search", 90).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Succeeded"), Some("TargetReached"))
        );
        the_others_were_stopped(&bed, &job, ("good", "Succeeded")).await;
    });
}

#[test]
fn a_search_ends_at_its_own_deadline() {
    on_bed("deadline", async |bed| {
        let _operator = bed.operator("a").await;
        let mut long = search("long", 3, 2, HANG);
        long["spec"]["activeDeadlineSeconds"] = json!(6);
        bed.apply(&long);
        let job = bed.until_finished("long", 60).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Failed"), Some("DeadlineExceeded"))
        );
        let trials = bed.trials("long").await;
        let stopped = |index| (format!("long-{index}"), "StoppedEarly".to_string());
        assert_eq!(phases(&trials), [stopped(1), stopped(2)]);
        bed.wait(60, "nothing runs any more", async || {
            live_pods(&bed).await.is_empty()
        })
        .await;
    });
}

#[test]
fn forty_trials_never_run_more_than_eight_at_once() {
    on_bed("forty", async |bed| {
        let operator = bed.operator("a").await;
        let crowd = count_pods(&bed);
        bed.apply(&search("forty", 40, 8, &format!("sleep 1; {REPORT}")));
        let job = bed.until_finished("forty", 300).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        assert_eq!(job.status.unwrap().trials.unwrap().succeeded, 40);
        let crowd = crowd.lock().unwrap();
        assert_eq!((crowd.most, crowd.all.len()), (8, 40));
        let statuses = operator
            .writes()
            .iter()
            .filter(|write| write.resource == "trials/status")
            .count();
        assert!(statuses <= 3 * 40, "{statuses} statuses of 40 trials");
    });
}
