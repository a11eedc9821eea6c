//! What happened, as Kubernetes events and as counts.

use crate::metrics::Metrics;
use crate::ports::{Events, Happened};
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::sync::Arc;
use std::time::Duration;

/// An event that the API server does not take in this time is given up.
const PATIENCE: Duration = Duration::from_secs(4);

/// Publishes events; equal ones within minutes become one with a count.
#[derive(Clone)]
pub struct KubernetesEvents {
    recorder: Recorder,
    metrics: Arc<Metrics>,
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
            recorder: Recorder::new(client, reporter),
            metrics,
        }
    }
}

impl Events for KubernetesEvents {
    async fn publish(&self, happened: Happened) {
        self.metrics.happened(&happened.reason, happened.took);
        let event = Event {
            type_: if happened.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: happened.reason,
            note: Some(happened.note),
            action: happened.action.to_string(),
            secondary: happened.related,
        };
        // The next state is worth more than the story of this one.
        let published = self.recorder.publish(&event, &happened.regarding);
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
