//! Why the container of a pod that was scheduled does not start, as its node says in events only: volumes that cannot be mounted, networks
//! that cannot be set up.

use super::observed::ObservedPod;
use super::pod_state::is_scheduled;
use crate::ports::{EndedRun, Run};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::convert::from_time;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Exit, Reason};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A pod that starts as it should has no such events; one that is about to start for this long is asked about.
const ASKED_AFTER_MILLISECONDS: i64 = 8_000;
/// Time between two questions about a pod.
const ASKED_AGAIN_MILLISECONDS: i64 = 15_000;
/// Time between two questions about any pods of a namespace: each makes the API server go through all events there.
const QUESTIONS_APART_MILLISECONDS: i64 = 250;
/// What was asked so long ago is of a pod that has started since, or is gone.
const REMEMBERED_MILLISECONDS: i64 = 600_000;

/// Reasons of events that tell it.
const REASONS: [&str; 4] = [
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
];
/// What a node says after the cause itself, over and over.
const CONSEQUENCES: [&str; 2] = ["timed out waiting for the condition", "unmounted volumes="];

/// The causes that are known.
#[derive(Clone, Default)]
pub(super) struct WaitCauses {
    answers: Arc<Mutex<Answers>>,
}

#[derive(Default)]
struct Answers {
    /// By uid of the pod.
    known: HashMap<String, Known>,
    /// When the last question was asked.
    last: Option<Timestamp>,
}

#[derive(Clone)]
struct Known {
    asked: Timestamp,
    cause: Option<String>,
}

impl WaitCauses {
    /// The same run, with the cause by which it does not start, where its node tells one. `events` lists events; `None` when it cannot.
    pub(super) async fn explain(
        &self,
        run: Run,
        pods: &[ObservedPod],
        now: Timestamp,
        events: impl AsyncFnOnce(ListParams) -> Option<Vec<Event>>,
    ) -> Run {
        match run {
            Run::Queued {
                since,
                reason: Reason::Starting,
                why,
            } if now.milliseconds_since(since) >= ASKED_AFTER_MILLISECONDS => {
                // Before a node was chosen, none has anything to tell.
                let mut scheduled = pods.iter().filter(|pod| is_scheduled(pod));
                let cause = match scheduled.find_map(ResourceExt::uid) {
                    Some(uid) => self.ask(&uid, now, events).await,
                    None => None,
                };
                let starting = (Reason::Starting, why);
                let (reason, why) =
                    cause.map_or(starting, |cause| (Reason::ContainerNotCreated, cause));
                Run::Queued { since, reason, why }
            }
            Run::Ended(ended) => Run::Ended(self.explain_end(ended, pods)),
            other => other,
        }
    }

    /// A run of which nothing ran says for what it waited.
    fn explain_end(&self, ended: EndedRun, pods: &[ObservedPod]) -> EndedRun {
        let Exit::NeverStarted(why) = &ended.exit else {
            return ended;
        };
        let answers = self.answers();
        let cause = pods
            .iter()
            .filter_map(ResourceExt::uid)
            .find_map(|uid| answers.known.get(&uid)?.cause.clone());
        match cause {
            Some(cause) => EndedRun {
                exit: Exit::NeverStarted(format!("{why} ({cause})")),
                ..ended
            },
            None => ended,
        }
    }

    async fn ask(
        &self,
        uid: &str,
        now: Timestamp,
        events: impl AsyncFnOnce(ListParams) -> Option<Vec<Event>>,
    ) -> Option<String> {
        let known = self.answers().known.get(uid).cloned();
        if !self.may_ask(known.as_ref(), now) {
            return known.and_then(|known| known.cause);
        }
        let about = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        // What cannot be asked now is asked again; a cause that is known stays until another one is.
        let found = events(about).await;
        let found = found.and_then(|events| cause_of(&events));
        let cause = found.or(known.and_then(|known| known.cause));
        let known = Known {
            asked: now,
            cause: cause.clone(),
        };
        self.answers().known.insert(uid.to_string(), known);
        cause
    }

    /// Whether a question may be asked now; it is taken for asked then.
    fn may_ask(&self, known: Option<&Known>, now: Timestamp) -> bool {
        let since = |then: Timestamp| now.milliseconds_since(then);
        let mut answers = self.answers();
        let is_known = known.is_some_and(|known| since(known.asked) < ASKED_AGAIN_MILLISECONDS);
        let is_too_soon = answers
            .last
            .is_some_and(|last| since(last) < QUESTIONS_APART_MILLISECONDS);
        if is_known || is_too_soon {
            return false;
        }
        answers.last = Some(now);
        answers
            .known
            .retain(|_, known| since(known.asked) < REMEMBERED_MILLISECONDS);
        true
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest cause among the events of a pod; a consequence only where no cause is told.
fn cause_of(events: &[Event]) -> Option<String> {
    let told = events.iter().filter_map(|event| {
        let reason = event.reason.as_deref()?;
        let message = event.message.as_deref()?;
        REASONS.contains(&reason).then(|| {
            let is_cause = !CONSEQUENCES.iter().any(|words| message.contains(words));
            ((is_cause, last_seen(event)), format!("{reason}: {message}"))
        })
    });
    told.max_by_key(|(key, _)| *key).map(|(_, cause)| cause)
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref();
    let series = series.and_then(|series| series.last_observed_time.as_ref());
    let micro = series.or(event.event_time.as_ref());
    let micro = micro.map(|time| Timestamp(time.0.as_millisecond()));
    micro.max(event.last_timestamp.as_ref().map(from_time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use serde_json::json;

    fn mk(reason: &str, message: &str, second: u32) -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "reason": reason, "message": message,
            "lastTimestamp": format!("2026-11-25T10:00:{second:02}Z"),
        }))
        .unwrap()
    }

    #[test]
    fn the_cause_is_told_and_not_what_follows_from_it() {
        let missing =
            "MountVolume.SetUp failed for volume \"settings\" : configmap \"a\" not found";
        let timeout = "Unable to attach or mount volumes: unmounted volumes=[settings]: timed out waiting for the condition";
        let events = [
            mk("Scheduled", "assigned to node", 50),
            mk("FailedMount", "an older cause", 1),
            mk("FailedMount", missing, 2),
            mk("FailedMount", timeout, 40),
        ];
        let cause = cause_of(&events).unwrap();
        assert_eq!(cause, format!("FailedMount: {missing}"));
        assert!(cause_of(&events[3..]).unwrap().contains("unmounted"));
        assert_eq!(cause_of(&events[..1]), None);
    }

    fn mk_pod(uid: &str, scheduled: bool) -> ObservedPod {
        let conditions = if scheduled {
            json!([{"type": "PodScheduled", "status": "True"}])
        } else {
            json!([])
        };
        serde_json::from_value(json!({
            "metadata": {"uid": uid}, "status": {"phase": "Pending", "conditions": conditions},
        }))
        .unwrap()
    }

    /// How often the API server is asked while so many pods start for a minute, each looked at every second.
    fn questions(pods: usize, scheduled: bool) -> usize {
        let causes = WaitCauses::default();
        let asked = std::cell::Cell::new(0);
        let pods: Vec<ObservedPod> = (0..pods)
            .map(|index| mk_pod(&index.to_string(), scheduled))
            .collect();
        for second in 0..60_i64 {
            for pod in &pods {
                let starting = Run::Queued {
                    since: Timestamp(0),
                    reason: Reason::Starting,
                    why: String::new(),
                };
                let now = Timestamp(60_000 + second * 1_000);
                let ask = async |_| {
                    asked.set(asked.get() + 1);
                    Some(Vec::new())
                };
                let explained = causes.explain(starting, std::slice::from_ref(pod), now, ask);
                drop(explained.now_or_never());
            }
        }
        asked.get()
    }

    #[test]
    fn a_thousand_pods_that_start_are_asked_about_as_seldom_as_one_after_the_other() {
        assert_eq!(questions(1, true), 4, "every quarter of a minute");
        assert_eq!(questions(1_000, true), 60, "once for each moment");
        assert_eq!(questions(1_000, false), 0, "no node has anything to tell");
    }
}
