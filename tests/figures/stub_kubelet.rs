//! Pods that no kubelet runs, so that thousands of them can end when a test says so.

use crate::bed::Bed;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

/// A scheduler of this name does not exist: no node takes the pods of such a template.
pub const NO_SCHEDULER: &str = "nobody";

/// The pods of a search that have not ended.
pub async fn waiting_pods(bed: &Bed, search: &str) -> Vec<String> {
    let of_search = ListParams::default().labels(&format!("podium.dev/tuning-job={search}"));
    let pods = bed.api::<Pod>().list(&of_search).await.unwrap().items;
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
    let waits = pods
        .iter()
        .filter(|pod| phase(pod).as_deref() == Some("Pending"));
    waits.map(ResourceExt::name_any).collect()
}

/// Lets these pods end well, each with a metric, as fast as the API server takes it.
pub async fn end(bed: &Bed, pods: Vec<String>) {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let status = json!({"status": {"phase": "Succeeded", "startTime": now, "containerStatuses": [{
        "name": "train", "image": "none", "imageID": "none", "ready": false, "restartCount": 0,
        "state": {"terminated": {
            "exitCode": 0, "reason": "Completed", "message": "{\"metrics\": {\"auc\": 0.5}}",
            "startedAt": now, "finishedAt": now,
        }},
    }]}});
    let ended = futures::stream::iter(pods).map(|name| {
        let status: Patch<Value> = Patch::Merge(status.clone());
        let pods = bed.api::<Pod>();
        async move {
            pods.patch_status(&name, &PatchParams::default(), &status)
                .await
        }
    });
    let ended: Vec<Pod> = ended.buffer_unordered(32).try_collect().await.unwrap();
    drop(ended);
}
