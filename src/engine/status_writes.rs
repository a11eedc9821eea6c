//! Writes of a status. One that the cluster refuses is written again in its smallest form with the cluster's words, so that no refusal keeps
//! an object where it is.

use super::Engine;
use super::trial_request::output_uri;
use crate::ports::{Cluster, PortError, PortErrorKind, Ports};
use kube::ResourceExt;
use podium_api::convert::{TrialSettings, trial_status};
use podium_api::tuning_job::TuningJobStatus;
use podium_api::{Trial, TuningJob};
use podium_core::tuning::trial::{TrialRecord, refusal_words, refused};

/// Whether the cluster does not take what was written, whoever writes it.
pub(super) fn is_refusal(error: &PortError) -> bool {
    matches!(error.kind, PortErrorKind::Invalid | PortErrorKind::Refused)
}

impl<P: Ports> Engine<P> {
    /// Writes the status of a search.
    pub(super) async fn write_job_status(
        &self,
        job: &TuningJob,
        status: TuningJobStatus,
    ) -> Result<(), PortError> {
        let mut updated = job.clone();
        updated.status = Some(status.clone());
        match self.ports.cluster().write_status(&updated).await {
            Err(error) if is_refusal(&error) => {
                updated.status = Some(smallest_status(&status, &error.message));
                self.ports.cluster().write_status(&updated).await
            }
            written => written,
        }
    }

    /// Writes the status of a trial; returns the record as it was stored.
    pub(super) async fn write_trial_status(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Trial,
        record: &TrialRecord,
    ) -> Result<TrialRecord, PortError> {
        let now = self.now();
        let mut updated = trial.clone();
        let output = output_uri(job, runs, &trial.name_any());
        updated.status = Some(trial_status(record, trial, output, now));
        match self.ports.cluster().write_status(&updated).await {
            Err(error) if is_refusal(&error) => {
                let smallest = refused(record, &error.message, now);
                updated.status = Some(trial_status(&smallest, trial, None, now));
                self.ports.cluster().write_status(&updated).await?;
                Ok(smallest)
            }
            written => written.map(|()| record.clone()),
        }
    }
}

/// Where the search is, and why nothing else of it is told.
fn smallest_status(status: &TuningJobStatus, why: &str) -> TuningJobStatus {
    let words = refusal_words(why);
    let mut conditions = status.conditions.clone();
    for condition in &mut conditions {
        let message = &condition.message;
        condition.message = format!("{message}; the rest of the status was refused: {words}");
    }
    TuningJobStatus {
        observed_generation: status.observed_generation,
        phase: status.phase.clone(),
        conditions,
        start_time: status.start_time.clone(),
        completion_time: status.completion_time.clone(),
        suspended_seconds: status.suspended_seconds,
        tracking: status.tracking.clone(),
        registered: status.registered.clone(),
        ..TuningJobStatus::default()
    }
}
