use super::*;
use crate::adapters::kubernetes::stores::{shorten_job, shorten_pod};
use serde_json::{Value, json};

#[path = "pod_end_tests.rs"]
mod ends;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn mk_job(conditions: Value) -> Job {
    serde_json::from_value(json!({
        "metadata": {"name": "forest-1-1", "creationTimestamp": "2026-11-25T10:00:00Z"},
        "spec": {"template": {}},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn mk_pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "forest-1-1-abcde", "creationTimestamp": "2026-11-25T10:00:01Z", "annotations": {CONTAINER_ANNOTATION: "train"}},
        "status": status,
    }))
    .unwrap()
}

/// A pod whose container `train` ended, beside a sidecar that comes first and ended well.
fn mk_failed(terminated: Value) -> Pod {
    mk_pod(json!({"phase": "Failed", "containerStatuses": [
        {"name": "side", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}},
        {"name": "train", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated}},
    ]}))
}

fn failed(reason: &str) -> Value {
    json!([{"type": "Failed", "status": "True", "reason": reason, "message": "Job has failed"}])
}

/// What these objects say to somebody who has not looked before, and say as well when they are kept in a store.
fn run(job: Option<&Job>, pods: &[Pod]) -> Run {
    run_after(None, job, pods, None)
}

/// The same to somebody who saw the Job's last pod as `before`, and a refusal of another one.
fn run_after(
    before: Option<&LastPod>,
    job: Option<&Job>,
    pods: &[Pod],
    refusal: Option<&Refusal>,
) -> Run {
    let said = |job: Option<&Job>, pods: &[Pod]| {
        let last_pod = job.and_then(|job| LastPod::seen(before, job, pods, NOW));
        run_of(Known {
            job,
            pods,
            refusal,
            last_pod: last_pod.as_ref(),
            now: NOW,
        })
    };
    let (mut kept_job, mut kept_pods) = (job.cloned(), pods.to_vec());
    kept_job.iter_mut().for_each(shorten_job);
    kept_pods.iter_mut().for_each(shorten_pod);
    let run = said(job, pods);
    assert_eq!(said(kept_job.as_ref(), &kept_pods), run);
    run
}

/// A look at this pod of a Job.
fn seen(pod: &Pod, now: Timestamp) -> Option<LastPod> {
    LastPod::seen(None, &mk_job(json!([])), std::slice::from_ref(pod), now)
}

/// The pod with another name, made at that time.
fn made(mut pod: Pod, name: &str, time: &str) -> Pod {
    pod.metadata.name = Some(name.to_string());
    pod.metadata.creation_timestamp = serde_json::from_value(json!(time)).unwrap();
    pod
}

/// The pod with its deletion asked for at that time, and half a minute to end.
fn deleted(mut pod: Pod, time: &str) -> Pod {
    let at = from_time(&serde_json::from_value(json!(time)).unwrap()).plus_seconds(30);
    pod.metadata.deletion_timestamp = Some(podium_api::convert::to_time(at));
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
fn mk_train(phase: &str, mut container: Value) -> Pod {
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

fn exit(pod: Pod) -> Exit {
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
        (ended.exit, ended.termination_message.as_deref()),
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
fn what_a_run_waits_for_is_named() {
    let job = mk_job(json!([]));
    let reason = |status: Value| match run(Some(&job), &[mk_pod(status)]) {
        Run::Queued { reason, why, .. } => (reason, why),
        other => panic!("it does not wait: {other:?}"),
    };
    let pulling = json!({"phase": "Pending", "containerStatuses": [{"name": "train", "image": "", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]});
    assert_eq!(
        reason(pulling),
        (
            Reason::ImagePullFailed,
            "ErrImagePull: not found".to_string()
        )
    );
    let no_room = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
    assert_eq!(
        reason(no_room),
        (
            Reason::Unschedulable,
            "Unschedulable: 0/1 nodes are available".to_string()
        )
    );
    assert_eq!(reason(json!({"phase": "Pending"})).0, Reason::Starting);

    let refused = run_after(
        None,
        Some(&job),
        &[],
        Some(&mk_refusal("2026-11-25T10:00:00Z")),
    );
    assert!(
        matches!(
            refused,
            Run::Queued {
                reason: Reason::PodRefused,
                ..
            }
        ),
        "{refused:?}"
    );
    let mut suspended = job.clone();
    suspended.spec.as_mut().unwrap().suspend = Some(true);
    assert!(matches!(
        run(Some(&suspended), &[]),
        Run::Queued {
            reason: Reason::JobSuspended,
            ..
        }
    ));
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
    // The pods of earlier runs of a Job say nothing of its last one.
    let complete = json!([{"type": "Complete", "status": "True"}]);
    assert!(lacks_the_end(&mk_job(complete), &pods));
    let mut thrice = mk_job(failed("BackoffLimitExceeded"));
    thrice.status.as_mut().unwrap().failed = Some(3);
    assert!(lacks_the_end(&thrice, &pods));
}

#[test]
fn a_run_whose_end_its_job_has_not_told_yet_does_not_wait() {
    let job = mk_job(json!([]));
    let over = mk_train(
        "Failed",
        json!({"state": {"terminated": {"exitCode": 3, "startedAt": "2026-11-25T10:00:03Z", "finishedAt": "2026-11-25T13:00:00Z"}}}),
    );
    let told = run(Some(&job), std::slice::from_ref(&over));
    assert!(
        matches!(&told, Run::Running { since, pod: Some(_), overdue: None } if *since == at("2026-11-25T10:00:03Z")),
        "{told:?}"
    );
    // A pod that somebody deleted is gone before its Job says so.
    let mut deleted = job.clone();
    deleted.status.as_mut().unwrap().active = Some(1);
    let told = run(Some(&deleted), &[]);
    assert!(matches!(told, Run::Running { pod: None, .. }), "{told:?}");
    // What was refused before the pod ran is over; what is refused after it is waited for from its end on.
    let refused = |time: &str| {
        run_after(
            None,
            Some(&job),
            std::slice::from_ref(&over),
            Some(&mk_refusal(time)),
        )
    };
    let before = refused("2026-11-25T10:00:00Z");
    assert!(matches!(before, Run::Running { .. }), "{before:?}");
    for time in ["2026-11-25T13:00:01Z", "2026-11-25T13:30:00Z"] {
        let after = refused(time);
        assert!(
            matches!(&after, Run::Queued { since, reason: Reason::PodRefused, .. } if *since == at("2026-11-25T13:00:00Z")),
            "{after:?}"
        );
    }
}

#[test]
fn what_is_refused_waits_since_its_job_was_made_however_often_that_is_said() {
    for time in ["2026-11-25T10:00:00Z", "2026-11-25T11:00:00Z"] {
        let told = run_after(None, Some(&mk_job(json!([]))), &[], Some(&mk_refusal(time)));
        assert!(
            matches!(&told, Run::Queued { since, .. } if *since == at("2026-11-25T10:00:00Z")),
            "{told:?}"
        );
    }
}

#[test]
fn a_refusal_from_before_a_pod_that_is_gone_is_over() {
    let running = mk_train("Running", json!({"state": {"running": {}}}));
    let before = seen(&running, at("2026-11-25T13:00:00Z"));
    let mut job = mk_job(json!([]));
    job.status.as_mut().unwrap().failed = Some(1);
    let told = |before: Option<&LastPod>, time: &str| {
        run_after(before, Some(&job), &[], Some(&mk_refusal(time)))
    };
    let old = told(before.as_ref(), "2026-11-25T10:00:00Z");
    assert!(matches!(old, Run::Running { .. }), "{old:?}");
    let new = told(before.as_ref(), "2026-11-25T13:00:10Z");
    assert!(
        matches!(&new, Run::Queued { since, reason: Reason::PodRefused, .. } if *since == at("2026-11-25T13:00:00Z")),
        "{new:?}"
    );
    // Whoever has not seen the pod cannot tell what came first.
    let unseen = told(None, "2026-11-25T10:00:00Z");
    assert!(matches!(unseen, Run::Running { .. }), "{unseen:?}");
    // A Job that is ending gets no pod any more.
    let ending =
        mk_job(json!([{"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}]));
    let told = run_after(
        None,
        Some(&ending),
        &[],
        Some(&mk_refusal("2026-11-25T10:00:00Z")),
    );
    assert!(matches!(told, Run::Running { .. }), "{told:?}");
}

#[test]
fn a_job_waits_since_it_was_suspended_or_made() {
    let since = |job: &Job| match run(Some(job), &[]) {
        Run::Queued { since, .. } => since,
        other => panic!("it does not wait: {other:?}"),
    };
    let mut job = mk_job(
        json!([{"type": "Suspended", "status": "True", "lastTransitionTime": "2026-11-25T14:00:00Z"}]),
    );
    job.spec.as_mut().unwrap().suspend = Some(true);
    assert_eq!(since(&job), at("2026-11-25T14:00:00Z"));
    job.spec.as_mut().unwrap().suspend = Some(false);
    assert_eq!(since(&job), at("2026-11-25T10:00:00Z"));
    job.status.as_mut().unwrap().start_time =
        serde_json::from_value(json!("2026-11-25T15:00:00Z")).unwrap();
    assert_eq!(
        since(&job),
        at("2026-11-25T15:00:00Z"),
        "it was resumed then"
    );
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
    assert_eq!(ended.termination_message.as_deref(), Some("two"));
    // One of them is a part of the result and no result: its Job may have been deleted before the others came.
    assert_eq!(run(None, &pods[..1]), Run::Absent);
    let mut deleted = mk_job(json!([]));
    deleted.metadata.deletion_timestamp = deleted.metadata.creation_timestamp.clone();
    deleted.spec.as_mut().unwrap().completions = Some(3);
    assert_eq!(run(Some(&deleted), &pods[..1]), Run::Absent);
}
