//! What was seen of the newest pod of a Job, kept beyond the pod. Pure.

use super::job_state::has_had_pods;
use super::pod_state::{created, failed_before_its_deletion, finished, is_disrupted, is_terminal};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::EndedRun;

/// The newest pod of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPod {
    /// When it was made, and its name; `None` for one that only its Job knows of.
    id: Option<(Timestamp, String)>,
    /// When it ended, or when it was last seen.
    pub until: Timestamp,
    /// What its container, which may start again, has failed with. Its Job deletes the pod of one that failed too often, and says so when
    /// the pod is gone.
    pub failure: Option<EndedRun>,
}

impl LastPod {
    /// What is known after this look at a Job and its pods; `before` is what the look before has said.
    #[must_use]
    pub fn seen(before: Option<&Self>, job: &Job, pods: &[Pod], now: Timestamp) -> Option<Self> {
        let Some(pod) = newest(pods.iter()) else {
            let unseen = || {
                has_had_pods(job).then_some(Self {
                    id: None,
                    until: now,
                    failure: None,
                })
            };
            return before.cloned().or_else(unseen);
        };
        let id = Some((created(pod), pod.name_any()));
        if let Some(newer) = before.filter(|before| before.id > id) {
            return Some(newer.clone());
        }
        let same = before.filter(|before| before.id == id);
        let ended = is_terminal(pod).then(|| finished(pod).or(same.map(|same| same.until)));
        let failure = failure_so_far(pod, now)
            .or_else(|| same?.failure.clone())
            .filter(|_| !is_disrupted(pod));
        Some(Self {
            id,
            until: ended.flatten().map_or(now, |ended| ended.min(now)),
            failure,
        })
    }

    /// Whether this pod came after `pod` had ended.
    pub(super) fn replaced(&self, pod: &Pod) -> bool {
        let ended = finished(pod).unwrap_or_else(|| created(pod));
        self.id
            .as_ref()
            .is_some_and(|(made, name)| *made >= ended && name != &pod.name_any())
    }
}

/// The failure of a container that may start again and has not said yet whether it does.
fn failure_so_far(pod: &Pod, now: Timestamp) -> Option<EndedRun> {
    let policy = pod.spec.as_ref()?.restart_policy.as_deref();
    failed_before_its_deletion(pod, now).filter(|_| policy == Some("OnFailure"))
}

/// The pod that was made last.
pub(super) fn newest<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.max_by_key(|pod| (created(pod), pod.name_any()))
}
