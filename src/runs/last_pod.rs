//! What was seen of the newest pod of a Job, kept beyond the pod. Pure.

use super::job_status::has_had_pods;
use super::observed::{ObservedJob, ObservedPod};
use super::pod_state::{
    created, ended_at, finished, is_deleted, is_disrupted, is_gated, is_terminal, newest,
};
use super::pod_termination::failed_before_its_deletion;
use crate::ports::EndedRun;
use kube::ResourceExt;
use podium_core::time::Timestamp;

/// The newest pod of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPodRecord {
    /// When it was made, and its name; `None` for one that only its Job knows of.
    id: Option<(Timestamp, String)>,
    /// When it ended or was found to be gone; until then when it was last seen.
    pub until: Timestamp,
    has_ended: bool,
    /// What its container, which may start again, has failed with. Its Job deletes the pod of one that failed too often, and says so when
    /// the pod is gone.
    pub failure: Option<EndedRun>,
    /// Whether it had scheduling gates, and until when: it does not wait for room before they are gone.
    pub gates: Gates,
}

/// The scheduling gates of a pod, which nothing but a look tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// It was never seen with any.
    None,
    /// It has some.
    Closed,
    /// They were first seen to be gone at this time. Nobody looks while a pod is held, so the last look before says nothing of when.
    OpenSince(Timestamp),
}

impl LastPodRecord {
    /// What is known after this look at a Job and its pods; `before` is what the look before has said.
    #[must_use]
    pub fn seen(
        before: Option<&Self>,
        job: &ObservedJob,
        pods: &[ObservedPod],
        now: Timestamp,
    ) -> Option<Self> {
        let newest = newest(pods.iter()).map(|pod| (pod, (created(pod), pod.name_any())));
        let Some((pod, id)) =
            newest.filter(|(_, id)| before.is_none_or(|before| before.id.as_ref() <= Some(id)))
        else {
            return before
                .map(|before| before.gone(now))
                .or_else(|| Self::unseen(job, now));
        };
        let same = before.filter(|before| before.id.as_ref() == Some(&id));
        let known = same.filter(|same| same.has_ended).map(|same| same.until);
        let ended = is_terminal(pod).then(|| finished(pod).or(known)).flatten();
        // A disruption, a deadline or a node that ends a pod ends what its container could have failed with.
        let is_ended_by_another = is_disrupted(pod) || (is_terminal(pod) && !is_deleted(pod));
        let failure = || failure_so_far(pod, now).or_else(|| same?.failure.clone());
        Some(Self {
            id: Some(id),
            until: ended.map_or(now, |ended| ended.min(now)),
            has_ended: is_terminal(pod),
            failure: (!is_ended_by_another).then(failure).flatten(),
            gates: match (is_gated(pod), same.map(|same| same.gates)) {
                (true, _) => Gates::Closed,
                (false, Some(Gates::Closed)) => Gates::OpenSince(now),
                (false, gates) => gates.unwrap_or(Gates::None),
            },
        })
    }

    /// A pod that only its Job knows of.
    fn unseen(job: &ObservedJob, now: Timestamp) -> Option<Self> {
        has_had_pods(job).then_some(Self {
            id: None,
            until: now,
            has_ended: true,
            failure: None,
            gates: Gates::None,
        })
    }

    /// The same once the pod is gone.
    fn gone(&self, now: Timestamp) -> Self {
        Self {
            until: if self.has_ended { self.until } else { now },
            has_ended: true,
            ..self.clone()
        }
    }

    /// Whether this pod came after `pod` had ended.
    pub(super) fn replaced(&self, pod: &ObservedPod) -> bool {
        let is_later =
            |(made, name): &(Timestamp, String)| *made >= ended_at(pod) && name != &pod.name_any();
        self.id.as_ref().is_some_and(is_later)
    }
}

/// The failure of a container that may start again and has not said yet whether it does.
fn failure_so_far(pod: &ObservedPod, now: Timestamp) -> Option<EndedRun> {
    let policy = pod.spec.as_ref()?.restart_policy.as_deref();
    failed_before_its_deletion(pod, now).filter(|_| policy == Some("OnFailure"))
}
