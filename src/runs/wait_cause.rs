//! Why the container of a pod that was scheduled does not start, as its node says in events only: volumes that cannot be mounted, networks
//! that cannot be set up.

use crate::ports::{EndedRun, Run};
use k8s_openapi::api::core::v1::{Event, Pod};
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
/// Pods that are remembered; beyond that, those are forgotten that were asked about longest ago.
const MOST_REMEMBERED: usize = 1_000;

/// Reasons of events that tell it.
const REASONS: [&str; 4] = [
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
];
/// What a node says after the cause itself, over and over.
const CONSEQUENCES: [&str; 2] = ["timed out waiting for the condition", "unmounted volumes="];

/// The causes that are known, by uid of the pod.
#[derive(Clone, Default)]
pub(super) struct WaitCauses {
    known: Arc<Mutex<HashMap<String, Known>>>,
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
        pods: &[Pod],
        now: Timestamp,
        events: impl AsyncFnOnce(ListParams) -> Option<Vec<Event>>,
    ) -> Run {
        match run {
            Run::Queued {
                since,
                reason: Reason::Starting,
                why,
            } if now.milliseconds_since(since) >= ASKED_AFTER_MILLISECONDS => {
                let cause = match pods.iter().find_map(ResourceExt::uid) {
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
    fn explain_end(&self, ended: EndedRun, pods: &[Pod]) -> EndedRun {
        let Exit::NeverStarted(why) = &ended.exit else {
            return ended;
        };
        let known = self.known();
        let cause = pods
            .iter()
            .filter_map(ResourceExt::uid)
            .find_map(|uid| known.get(&uid)?.cause.clone());
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
        let known = self.known().get(uid).cloned();
        if let Some(known) = &known
            && now.milliseconds_since(known.asked) < ASKED_AGAIN_MILLISECONDS
        {
            return known.cause.clone();
        }
        let about = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        // What cannot be asked now is asked again; a cause that is known stays until another one is.
        let found = events(about).await;
        let found = found.and_then(|events| cause_of(&events));
        let cause = found.or(known.and_then(|known| known.cause));
        let mut remembered = self.known();
        if remembered.len() >= MOST_REMEMBERED {
            let latest = remembered.values().map(|known| known.asked).max();
            remembered.retain(|_, known| Some(known.asked) == latest);
        }
        let known = Known {
            asked: now,
            cause: cause.clone(),
        };
        remembered.insert(uid.to_string(), known);
        cause
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
}
