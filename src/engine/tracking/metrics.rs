//! Metrics that a trial's program has logged into its run.

use super::super::Engine;
use super::super::trial_request::is_refit;
use super::{Waits, run_of};
use crate::ports::{Ports, Tracking};
use kube::ResourceExt;
use podium_api::convert::TrialSettings;
use podium_api::{Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Run, TrackedMetrics, TrialRecord, must_ask};
use std::collections::BTreeMap;

/// What a look at the run of a trial has brought, and when the next one is due.
#[derive(Debug, Default)]
pub(in crate::engine) struct MetricsLook {
    pub(in crate::engine) metrics: TrackedMetrics,
    pub(in crate::engine) again_at: Option<Timestamp>,
}

impl<P: Ports> Engine<P> {
    /// The metrics in the run of a trial, where they are needed and it is time to read them: after growing pauses, whatever else happens.
    pub(in crate::engine) async fn tracked_metrics(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Trial,
        record: &TrialRecord,
        run: &Run,
    ) -> MetricsLook {
        let (name, attempt, now) = (trial.name_any(), record.current_attempt(), self.now());
        if is_refit(trial) || !must_ask(&runs.sources, record, run) {
            return MetricsLook::default();
        }
        if let Some(again_at) = self.tracking.reads.until(&name, &attempt, now) {
            return MetricsLook {
                metrics: TrackedMetrics::NotAsked,
                again_at: Some(again_at),
            };
        }
        let away = |Waits { why, again_at }| MetricsLook {
            metrics: TrackedMetrics::Unavailable(why),
            again_at: Some(again_at),
        };
        let (Some(asked), Some(id)) = (&job.spec.tracking, run_of(trial)) else {
            // It was started before its search was tracked.
            return MetricsLook {
                metrics: TrackedMetrics::Found(BTreeMap::new()),
                again_at: None,
            };
        };
        let server = match self.tracking_server(job, asked).await {
            Ok(server) => server,
            Err(waits) => return away(waits),
        };
        let content = server.tracking.content(id).await;
        match self.heard(job, &server, content) {
            Ok(content) => {
                let since = last_loss(record);
                let found = content.map(|content| content.metrics_since(since));
                let again_at = self.tracking.reads.failed(&name, attempt, now);
                MetricsLook {
                    metrics: found.map_or(TrackedMetrics::Gone, TrackedMetrics::Found),
                    again_at: Some(again_at),
                }
            }
            Err(waits) => away(waits),
        }
    }

    /// The metrics of a trial are known, or not needed any more.
    pub(in crate::engine) fn forget_reads(&self, trial: &str) {
        self.tracking.reads.forget(trial);
    }
}

/// When the last run ended that was lost: it has logged into the same run.
fn last_loss(record: &TrialRecord) -> Timestamp {
    let lost = record
        .attempts
        .iter()
        .filter(|attempt| attempt.reason.is_some());
    let ended = lost.filter_map(|attempt| attempt.ended).max();
    ended.unwrap_or(Timestamp(0))
}
