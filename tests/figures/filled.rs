//! A search with trials that ended long ago, made by hand: they look as if the operator and the kubelet had made them.

use crate::bed::Bed;
use crate::bed::manifests::{script_job, search};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use podium_api::{Trial, TuningJob};
use serde_json::{Value, json};

/// The specification that all these searches have but for numbers and script.
pub fn spec(max_trials: u32, parallelism: u32, script: &str) -> Value {
    search("any", max_trials, parallelism, script)["spec"].clone()
}

/// A suspended search with `finished` trials, each with its Job and its pod. Without the suspension of what is left to do.
pub async fn search_with_finished_trials(
    bed: &Bed,
    name: &str,
    finished: u32,
    max_trials: u32,
    parallelism: u32,
    script: &str,
) {
    let mut object = search(name, max_trials, parallelism, script);
    object["spec"]["trial"]["job"] = script_job(script);
    // With it the operator leaves the Jobs of good results to Kubernetes, which never finishes a suspended Job.
    object["spec"]["trial"]["job"]["ttlSecondsAfterFinished"] = json!(86_400);
    let job: TuningJob = serde_json::from_value(object).unwrap();
    let job = bed
        .api::<TuningJob>()
        .create(&PostParams::default(), &job)
        .await
        .unwrap();
    let owner = serde_json::to_value(job.controller_owner_ref(&()).unwrap()).unwrap();
    futures::stream::iter(1..=finished)
        .for_each_concurrent(16, |index| finished_trial(bed, name, index, owner.clone()))
        .await;
}

async fn finished_trial(bed: &Bed, search: &str, index: u32, owner: Value) {
    let name = format!("{search}-{index}");
    let trial: Trial = serde_json::from_value(json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "Trial",
        "metadata": {"name": name, "labels": {"podium.dev/tuning-job": search}, "ownerReferences": [owner]},
        "spec": {"index": index, "seed": index, "origin": "Random", "parameters": {"rate": f64::from(index) / 1e4}},
    }))
    .unwrap();
    let trial = bed
        .api::<Trial>()
        .create(&PostParams::default(), &trial)
        .await
        .unwrap();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "Completed", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
    let status = json!({"status": {
        "observedGeneration": 1, "phase": "Succeeded", "objective": f64::from(index) / 1e4, "duration": "3.0s", "reason": "Completed",
        "parametersText": format!("rate={}", f64::from(index) / 1e4), "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:03Z",
        "metrics": [{"name": "auc", "value": f64::from(index) / 1e4, "weight": 1.0, "parts": 1}],
        "attempts": [{"number": 1, "podName": format!("{name}-1-abcde")}],
        "conditions": [condition("Ready"), condition("Succeeded"), condition("Finished")],
    }});
    let merge = |status: &Value| Patch::Merge(status.clone());
    bed.api::<Trial>()
        .patch_status(&name, &PatchParams::default(), &merge(&status))
        .await
        .unwrap();

    let owner = trial.controller_owner_ref(&()).unwrap();
    let labels = json!({
        "podium.dev/tuning-job": search, "podium.dev/trial": name, "podium.dev/run": name,
        "podium.dev/attempt": "1", "podium.dev/owner": owner.uid,
    });
    // A suspended Job gets no pod of its own.
    let mut manifest = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": format!("{name}-1"), "labels": labels, "ownerReferences": [owner], "annotations": {"podium.dev/container": "train"}},
        "spec": script_job("true"),
    });
    manifest["spec"]["suspend"] = json!(true);
    manifest["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    let job: Job = serde_json::from_value(manifest.clone()).unwrap();
    bed.api::<Job>()
        .create(&PostParams::default(), &job)
        .await
        .unwrap();
    let job: Job = bed.find(&format!("{name}-1")).await.unwrap();
    let owner = job.controller_owner_ref(&()).unwrap();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": format!("{name}-1-abcde"), "labels": labels, "ownerReferences": [owner]},
        // No scheduler has this name, so that no kubelet touches it.
        "spec": {"schedulerName": "nobody", "containers": manifest["spec"]["template"]["spec"]["containers"], "volumes": manifest["spec"]["template"]["spec"]["volumes"], "restartPolicy": "Never"},
    }))
    .unwrap();
    let pod = bed
        .api::<Pod>()
        .create(&PostParams::default(), &pod)
        .await
        .unwrap();
    let status = json!({"status": {"phase": "Succeeded", "containerStatuses": [{
        "name": "train", "image": "podium.dev/testbed/pause:1", "imageID": "sha256:0", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "reason": "Completed", "message": "{\"metrics\": {\"auc\": 0.5}}", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:03Z"}},
    }]}});
    bed.api::<Pod>()
        .patch_status(&pod.name_any(), &PatchParams::default(), &merge(&status))
        .await
        .unwrap();
}
