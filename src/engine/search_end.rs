//! What is left to do for a search that has ended: its end is logged, and it is deleted when its time has come.

use super::{Engine, Requeue};
use crate::ports::{Cluster, PortError, Ports};
use podium_api::convert::{conditions_match, from_time, name_of, record_of, settled_condition};
use podium_api::{Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::conditions_of;
use podium_core::tuning::expiry::{Expiry, expiry};
use podium_core::tuning::{Phase, Reason};
use std::sync::Arc;

/// A search that has expired is kept for so long after its end, as long as that is not logged.
const LOGGING_PATIENCE_SECONDS: u64 = 3600;

impl<P: Ports> Engine<P> {
    /// Goes on with a search that has ended.
    pub(super) async fn after_the_end(
        &self,
        job: &TuningJob,
        trials: &[Arc<Trial>],
        now: Timestamp,
    ) -> Result<Requeue, PortError> {
        let log_again_at = self.log_end_of_search(job, trials).await?;
        let log_again = Requeue {
            at: log_again_at,
            ..Requeue::default()
        };
        let completed = completion_of(job);
        let patience = completed.map(|at| at.plus_seconds(LOGGING_PATIENCE_SECONDS));
        if log_again_at.is_some() && patience.is_some_and(|until| now < until) {
            return Ok(log_again);
        }
        Ok(self.expire(job, now).await?.and(log_again))
    }

    /// A finished search is deleted when its time has come.
    async fn expire(&self, job: &TuningJob, now: Timestamp) -> Result<Requeue, PortError> {
        let ttl = job.spec.ttl_seconds_after_finished;
        let ttl = ttl.filter(|_| self.write_policy.delete_expired);
        let ttl = ttl.and_then(|seconds| u64::try_from(seconds).ok());
        match expiry(completion_of(job), ttl, now) {
            Expiry::Never => Ok(Requeue::default()),
            Expiry::At(at) => Ok(Requeue {
                at: Some(at),
                ..Requeue::default()
            }),
            Expiry::Now => {
                self.ports.cluster().delete(job).await?;
                Ok(Requeue::default())
            }
        }
    }
}

fn completion_of(job: &TuningJob) -> Option<Timestamp> {
    let status = job.status.as_ref()?;
    status.completion_time.as_ref().map(from_time)
}

/// A search that ended is not planned again, unless its specification changed since. An end that somebody else has written has no
/// time, or conditions that do not go together, or trials that go on.
pub(super) fn is_finished(job: &TuningJob, trials: &[Arc<Trial>]) -> bool {
    job.status.as_ref().is_some_and(|status| {
        let ready = settled_condition(&status.conditions, "Ready");
        let reason = ready.and_then(|(_, reason, _)| Reason::parse(reason));
        let says = |phase| {
            let said = reason.map(|reason| conditions_of(phase, reason, ""));
            status.phase == Some(name_of(phase))
                && said.is_some_and(|said| conditions_match(&status.conditions, &said))
        };
        status.observed_generation == job.metadata.generation
            && status.completion_time.is_some()
            && (says(Phase::Succeeded) || says(Phase::Failed))
            && trials
                .iter()
                .all(|trial| record_of(trial.status.as_ref()).phase.is_finished())
    })
}
