//! What happened, as Kubernetes events and as counts.

use crate::metrics::Metrics;
use crate::ports::{EventRecord, Events};
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Objects and reasons of which the last note is remembered; beyond that all are forgotten, which costs an event with a count.
const MOST_REMEMBERED: usize = 10_000;
/// An event that the API server does not take in this time is given up.
const PATIENCE: Duration = Duration::from_secs(4);

/// Publishes events; equal ones within minutes become one with a count.
#[derive(Clone)]
pub struct KubernetesEvents {
    client: Client,
    reporter: Reporter,
    recorders: Arc<Mutex<HashMap<Subject, LastNote>>>,
    metrics: Arc<Metrics>,
}

/// Uids of the objects that an event is about, and its reason.
type Subject = (Option<String>, Option<String>, String);

/// A recorder takes events of one object and reason for the same whatever their notes say, so that each note has a recorder of its own.
struct LastNote {
    note: String,
    recorder: Recorder,
}

impl KubernetesEvents {
    /// In the name of the operator called `instance`.
    #[must_use]
    pub fn new(client: Client, instance: &str, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter {
            controller: "podium.dev/operator".to_string(),
            instance: Some(instance.to_string()),
        };
        Self {
            client,
            reporter,
            recorders: Arc::default(),
            metrics,
        }
    }

    fn recorder_of(&self, event: &EventRecord) -> Recorder {
        let related = event.related.as_ref();
        let subject = (
            event.regarding.uid.clone(),
            related.and_then(|related| related.uid.clone()),
            event.reason.clone(),
        );
        let mut recorders = self
            .recorders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if recorders.len() >= MOST_REMEMBERED {
            recorders.clear();
        }
        match recorders.get(&subject) {
            Some(last) if last.note == event.note => last.recorder.clone(),
            _ => {
                let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
                let last = LastNote {
                    note: event.note.clone(),
                    recorder: recorder.clone(),
                };
                recorders.insert(subject, last);
                recorder
            }
        }
    }
}

impl Events for KubernetesEvents {
    async fn publish(&self, record: EventRecord) {
        self.metrics.happened(&record.reason, record.took);
        let recorder = self.recorder_of(&record);
        let event = Event {
            type_: if record.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: record.reason,
            note: Some(record.note),
            action: record.action.to_string(),
            secondary: record.related,
        };
        // The next state is worth more than the story of this one.
        let published = recorder.publish(&event, &record.regarding);
        let error = match tokio::time::timeout(PATIENCE, published).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the API server did not answer within {PATIENCE:?}"),
        };
        tracing::warn!(
            reason = event.reason,
            error,
            "an event could not be published"
        );
    }

    fn suggested(&self, algorithm: &str, took: Duration) {
        self.metrics.suggested(algorithm, took);
    }
}
