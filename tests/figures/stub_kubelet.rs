//! Pods that no kubelet runs, so that thousands of them can start and end without a process each.

use crate::bed::Bed;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::watcher::{Config, watcher};
use kube::runtime::{PredicateConfig, WatchStreamExt, predicates};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A scheduler of this name does not exist: no node takes the pods of such a template.
pub const NO_SCHEDULER: &str = "nobody";

/// Requests that are on their way at once.
const AT_ONCE: usize = 32;

/// What the trials of [`search`] say at their end, and the container that says it.
const REPORT: &str = "{\"metrics\": {\"auc\": 0.5}}";
const TRAIN: &str = "train";

/// A search whose pods wait for a stub.
pub fn search(name: &str, max_trials: u32, parallelism: u32) -> Value {
    let mut search = crate::bed::manifests::search(name, max_trials, parallelism, "true");
    crate::bed::manifests::pod_of(&mut search)["schedulerName"] = NO_SCHEDULER.into();
    search
}

/// The pods of a search that have not ended.
pub async fn waiting_pods(bed: &Bed, search: &str) -> Vec<String> {
    let of_search = ListParams::default().labels(&format!("podium.dev/tuning-job={search}"));
    let pods = bed.api::<Pod>().list(&of_search).await.unwrap().items;
    let waits = pods.iter().filter(|pod| is_pending(pod));
    waits.map(ResourceExt::name_any).collect()
}

/// The name of a pod's only container.
fn container_of(pod: &Pod) -> &str {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut names = containers.map(|container| container.name.as_str());
    names.next().unwrap_or(TRAIN)
}

fn is_pending(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Pending")
}

/// Lets these pods end well, each with a metric, as fast as the API server takes it.
pub async fn end(bed: &Bed, pods: Vec<String>) {
    let ended = futures::stream::iter(pods).map(|name| {
        let pods = bed.api::<Pod>();
        async move { end_one(&pods, &name, TRAIN, REPORT).await }
    });
    let ended: Vec<Pod> = ended.buffer_unordered(AT_ONCE).try_collect().await.unwrap();
    drop(ended);
}

/// Lets a pod end well, whose only container leaves this message.
async fn end_one(pods: &Api<Pod>, name: &str, container: &str, message: &str) -> kube::Result<Pod> {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let status = json!({"status": {"phase": "Succeeded", "startTime": now, "containerStatuses": [{
        "name": container, "image": "none", "imageID": "none", "ready": false, "restartCount": 0,
        "state": {"terminated": {
            "exitCode": 0, "reason": "Completed", "message": message,
            "startedAt": now, "finishedAt": now,
        }},
    }]}});
    let status: Patch<Value> = Patch::Merge(status);
    pods.patch_status(name, &PatchParams::default(), &status)
        .await
}

/// Ends each pod of any namespace that waits for it, `after` so long; until this is dropped.
pub struct StubKubelet(JoinHandle<()>);

impl StubKubelet {
    pub fn of(client: Client, after: Duration) -> Self {
        Self::saying(client, after, |_| REPORT.to_string())
    }

    /// The same with the message that each pod leaves.
    pub fn saying(
        client: Client,
        after: Duration,
        message: impl Fn(&Pod) -> String + Send + Sync + 'static,
    ) -> Self {
        let pods = Api::<Pod>::all(client.clone());
        let waiting = Config::default().fields(&format!("spec.schedulerName={NO_SCHEDULER}"));
        let seen = watcher(pods, waiting)
            .default_backoff()
            .applied_objects()
            .predicate_filter(predicates::generation, PredicateConfig::default());
        let work = seen
            .filter_map(async |pod| pod.ok().filter(is_pending))
            .for_each_concurrent(None, move |pod| {
                let pods = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
                let said = message(&pod);
                async move {
                    tokio::time::sleep(after).await;
                    // A pod that was deleted meanwhile needs no end.
                    let _ = end_one(&pods, &pod.name_any(), container_of(&pod), &said).await;
                }
            });
        Self(tokio::spawn(work))
    }
}

impl Drop for StubKubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}
