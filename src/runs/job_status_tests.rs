use super::*;
use serde_json::{Value, json};

#[path = "pod_termination_tests.rs"]
mod ends;
#[path = "job_wait_tests.rs"]
mod waits;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn mk_job(conditions: Value) -> ObservedJob {
    serde_json::from_value(json!({
        "metadata": {"name": "forest-1-1", "creationTimestamp": "2026-11-25T10:00:00Z"},
        "spec": {"completions": 1, "template": {}},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn mk_pod(status: Value) -> ObservedPod {
    serde_json::from_value(json!({
        "metadata": {"name": "forest-1-1-abcde", "creationTimestamp": "2026-11-25T10:00:01Z", "annotations": {CONTAINER_ANNOTATION: "train"}},
        "status": status,
    }))
    .unwrap()
}

/// A pod whose container `train` ended, beside a sidecar that comes first and ended well.
fn mk_failed(terminated: Value) -> ObservedPod {
    mk_pod(json!({"phase": "Failed", "containerStatuses": [
        {"name": "side", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}},
        {"name": "train", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated}},
    ]}))
}

fn failed(reason: &str) -> Value {
    json!([{"type": "Failed", "status": "True", "reason": reason, "message": "Job has failed"}])
}

/// What these objects say to somebody who has not looked before, and say as well when they are kept in a store.
fn run(job: Option<&ObservedJob>, pods: &[ObservedPod]) -> Run {
    run_after(None, job, pods, None)
}

/// The same to somebody who saw the Job's last pod as `before`, and a refusal of another one.
fn run_after(
    before: Option<&LastPodRecord>,
    job: Option<&ObservedJob>,
    pods: &[ObservedPod],
    refusal: Option<&Refusal>,
) -> Run {
    let said = |job: Option<&ObservedJob>, pods: &[ObservedPod]| {
        let last_pod = job.and_then(|job| LastPodRecord::seen(before, job, pods, NOW));
        run_of(RunObservation {
            job,
            pods,
            refusal,
            last_pod: last_pod.as_ref(),
            now: NOW,
        })
    };
    let (mut kept_job, mut kept_pods) = (job.cloned(), pods.to_vec());
    kept_job
        .iter_mut()
        .for_each(ObservedJob::remove_what_nobody_reads);
    kept_pods
        .iter_mut()
        .for_each(ObservedPod::remove_what_nobody_reads);
    let run = said(job, pods);
    assert_eq!(said(kept_job.as_ref(), &kept_pods), run);
    run
}

/// A look at this pod of a Job.
fn seen(pod: &ObservedPod, now: Timestamp) -> Option<LastPodRecord> {
    LastPodRecord::seen(None, &mk_job(json!([])), std::slice::from_ref(pod), now)
}

/// The pod with another name, made at that time.
fn made(mut pod: ObservedPod, name: &str, time: &str) -> ObservedPod {
    pod.metadata.name = Some(name.to_string());
    pod.metadata.creation_timestamp = serde_json::from_value(json!(time)).unwrap();
    pod
}

/// The pod with its deletion asked for at that time, and half a minute to end.
fn deleted(mut pod: ObservedPod, time: &str) -> ObservedPod {
    let ends = at(time).plus_seconds(30);
    pod.metadata.deletion_timestamp = Some(podium_api::convert::to_time(ends));
    pod.metadata.deletion_grace_period_seconds = Some(30);
    pod
}

fn at(time: &str) -> Timestamp {
    from_time(&serde_json::from_value(json!(time)).unwrap())
}

fn mk_refusal(time: &str) -> Refusal {
    Refusal {
        at: at(time),
        why: "exceeded quota".to_string(),
    }
}

/// A pod that says with this container status how it ended, and was taken by its node a second after its creation.
fn mk_train(phase: &str, mut container: Value) -> ObservedPod {
    for (field, value) in [
        ("name", json!("train")),
        ("image", json!("")),
        ("imageID", json!("")),
        ("ready", json!(false)),
    ] {
        container[field] = value;
    }
    let mut status = json!({"phase": phase, "startTime": "2026-11-25T10:00:02Z", "containerStatuses": [container]});
    status["containerStatuses"][0]["restartCount"] = json!(0);
    mk_pod(status)
}

fn exit(pod: ObservedPod) -> Exit {
    match run(Some(&mk_job(failed("BackoffLimitExceeded"))), &[pod]) {
        Run::Ended(ended) => ended.exit,
        other => panic!("it did not end: {other:?}"),
    }
}

#[test]
fn a_run_that_ended_well_brings_its_message_and_times() {
    let pod = mk_pod(json!({"phase": "Succeeded", "containerStatuses": [
        {"name": "train", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated":
            {"exitCode": 0, "message": "{}", "startedAt": "2026-11-25T10:00:02Z", "finishedAt": "2026-11-25T10:00:05Z"}}},
    ]}));
    let Run::Ended(ended) = run(Some(&mk_job(json!([]))), std::slice::from_ref(&pod)) else {
        panic!("the pod of a Job with one completion decides")
    };
    assert_eq!(
        (ended.exit, ended.message.text.as_deref()),
        (Exit::Code(0), Some("{}"))
    );
    assert_eq!(ended.ended.milliseconds_since(ended.started), 3_000);
    assert_eq!(ended.pod.as_deref(), Some("forest-1-1-abcde"));
    let Run::Ended(kept) = run(None, &[pod]) else {
        panic!("a result outlives its Job")
    };
    assert_eq!(kept.exit, Exit::Code(0));
}

#[test]
fn a_run_goes_on_as_long_as_a_pod_of_it_does() {
    let pod = mk_pod(json!({"phase": "Running", "startTime": "2026-11-25T10:00:02Z"}));
    let running = run(Some(&mk_job(json!([]))), std::slice::from_ref(&pod));
    assert!(
        matches!(&running, Run::Running { pod: Some(name), .. } if name == "forest-1-1-abcde"),
        "{running:?}"
    );
    assert!(
        matches!(run(None, &[pod]), Run::Running { .. }),
        "its Job was deleted, its pod still ends"
    );
    let unstarted = mk_pod(json!({"phase": "Pending"}));
    let told = run(None, &[unstarted]);
    assert!(
        matches!(&told, Run::Running { since, .. } if *since == at("2026-11-25T10:00:01Z")),
        "{told:?}"
    );
    assert_eq!(run(None, &[]), Run::Absent);
    let over = mk_pod(json!({"phase": "Failed"}));
    assert_eq!(run(None, &[over]), Run::Absent);
}

#[test]
fn an_end_without_its_pod_is_worth_a_look() {
    assert!(lacks_the_end(&mk_job(failed("BackoffLimitExceeded")), &[]));
    assert!(!lacks_the_end(&mk_job(json!([])), &[]));
    let pods = [mk_failed(json!({"exitCode": 3}))];
    assert!(!lacks_the_end(
        &mk_job(failed("BackoffLimitExceeded")),
        &pods
    ));
    // All that succeeded are seen before the first of them decides.
    let mut both = mk_job(json!([{"type": "Complete", "status": "True"}]));
    both.status.as_mut().unwrap().succeeded = Some(2);
    let one = mk_pod(json!({"phase": "Succeeded"}));
    assert!(lacks_the_end(&both, std::slice::from_ref(&one)));
    assert!(!lacks_the_end(&both, &[one.clone(), one]));
    // The pods of earlier runs of a Job say nothing of its last one.
    let complete = json!([{"type": "Complete", "status": "True"}]);
    assert!(lacks_the_end(&mk_job(complete), &pods));
    let mut thrice = mk_job(failed("BackoffLimitExceeded"));
    thrice.status.as_mut().unwrap().failed = Some(3);
    assert!(lacks_the_end(&thrice, &pods));
}

/// Whoever pauses after a loss must not find it to be of just now in every look.
#[test]
fn what_leaves_no_trace_ended_with_its_job() {
    let time = "2026-11-25T10:07:00Z";
    for (kind, reason) in [("Failed", "BackoffLimitExceeded"), ("Complete", "")] {
        let condition =
            json!([{"type": kind, "status": "True", "reason": reason, "lastTransitionTime": time}]);
        let Run::Ended(ended) = run(Some(&mk_job(condition)), &[]) else {
            panic!("its pod is gone")
        };
        assert!(matches!(ended.exit, Exit::Infrastructure(_)), "{ended:?}");
        assert_eq!(ended.ended, at(time));
    }
}

#[test]
fn workers_that_share_a_queue_are_waited_for() {
    let done = mk_train(
        "Succeeded",
        json!({"state": {"terminated": {"exitCode": 0}}}),
    );
    let other = mk_train("Running", json!({"state": {"running": {}}}));
    let mut job = mk_job(json!([]));
    job.spec.as_mut().unwrap().completions = None;
    let told = run(
        Some(&job),
        &[
            done,
            made(other, "forest-1-1-fghij", "2026-11-25T10:00:01Z"),
        ],
    );
    assert!(matches!(told, Run::Running { .. }), "{told:?}");
}

#[test]
fn a_pod_that_outlives_its_deletion_is_overdue() {
    // Its node may have taken it and not started it.
    for phase in ["Running", "Pending"] {
        let mut pod = deleted(mk_pod(json!({"phase": phase})), "2026-11-25T10:00:00Z");
        pod.spec = serde_json::from_value(json!({"nodeName": "node-7", "containers": []})).unwrap();
        let Run::Running {
            overdue: Some(overdue),
            ..
        } = run(Some(&mk_job(json!([]))), &[pod])
        else {
            panic!("it goes on and should have ended")
        };
        assert_eq!(overdue.at, at("2026-11-25T10:01:00Z"));
        assert!(overdue.why.contains("forest-1-1-abcde"), "{}", overdue.why);
        assert!(overdue.why.contains("node-7"), "{}", overdue.why);
    }
}

#[test]
fn of_several_pods_the_first_that_reports_decides() {
    let done = |name: &str, index: &str, message: &str| {
        let mut pod = mk_train(
            "Succeeded",
            json!({"state": {"terminated": {"exitCode": 0, "message": message}}}),
        );
        pod.metadata.name = Some(name.to_string());
        pod.annotations_mut()
            .insert(INDEX_ANNOTATION.to_string(), index.to_string());
        pod
    };
    let pods = [
        done("b", "10", "ten"),
        done("a", "2", "two"),
        done("c", "0", ""),
    ];
    let complete = mk_job(json!([{"type": "Complete", "status": "True"}]));
    let Run::Ended(ended) = run(Some(&complete), &pods) else {
        panic!("it is complete")
    };
    assert_eq!(ended.message.text.as_deref(), Some("two"));
    // One of them is a part of the result and no result: its Job may have been deleted before the others came.
    assert_eq!(run(None, &pods[..1]), Run::Absent);
    let mut deleted = mk_job(json!([]));
    deleted.metadata.deletion_timestamp = deleted.metadata.creation_timestamp.clone();
    deleted.spec.as_mut().unwrap().completions = Some(3);
    assert_eq!(run(Some(&deleted), &pods[..1]), Run::Absent);
}
