//! A reconcile that fails says so on its object.

use super::{Engine, is_deleted};
use crate::ports::{Cluster, PortError, PortErrorKind, Ports};
use kube::ResourceExt;
use podium_api::TuningJob;
use podium_api::convert::{name_of, with_conditions};
use podium_api::tuning_job::TuningJobStatus;
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::conditions_of;
use podium_core::tuning::{Phase, Reason};
use std::sync::PoisonError;

/// A failure that heals by itself is reported when it has lasted for this long. A conflict with another writer never is.
const REPORTED_AFTER_SECONDS: u64 = 10;

impl<P: Ports> Engine<P> {
    /// The last reconcile of a search did not fail.
    pub(super) fn succeeded(&self, name: &str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.remove(name);
    }

    /// Whether the last reconcile of a search failed.
    pub(super) fn is_failing(&self, name: &str) -> bool {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.contains_key(name)
    }

    /// Since when the reconciles of a search have failed.
    fn failing_since(&self, name: &str, now: Timestamp) -> Timestamp {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing.entry(name.to_string()).or_insert(now)
    }

    /// Writes on a search why it could not be reconciled. What cannot be written now is written after the next failure.
    pub(super) async fn report_failure(&self, job: &TuningJob, error: &PortError) {
        let (name, now) = (job.name_any(), self.now());
        let since = self.failing_since(&name, now);
        let lasts = now >= since.plus_seconds(REPORTED_AFTER_SECONDS);
        if is_deleted(job)
            || error.kind == PortErrorKind::Conflict
            || (error.is_transient() && !lasts)
        {
            return;
        }
        // Whatever else was written since this reconcile began stays.
        let current = self.ports.cluster().get::<TuningJob>(&name).await;
        let Ok(Some(mut current)) = current else {
            return;
        };
        let before = current.status.take().unwrap_or_default();
        // Nothing that fails after the end of a search changes how it ended.
        if before.completion_time.is_some() {
            return;
        }
        let status = failed_status(&before, current.metadata.generation, error, now);
        if status == before {
            return;
        }
        current.status = Some(status);
        // The controller logs the failure itself.
        let _ = self.ports.cluster().write_status(&current).await;
    }
}

/// The same status with what failed. A search whose failure heals by itself is where it was.
fn failed_status(
    before: &TuningJobStatus,
    generation: Option<i64>,
    error: &PortError,
    now: Timestamp,
) -> TuningJobStatus {
    let phase = match before.phase.as_deref() {
        _ if !error.is_transient() => Phase::Blocked,
        Some("Running") => Phase::Running,
        Some("Suspended") => Phase::Suspended,
        _ => Phase::Pending,
    };
    let reason = match error.kind {
        PortErrorKind::Unavailable | PortErrorKind::Conflict => Reason::Unavailable,
        PortErrorKind::Forbidden => Reason::Forbidden,
        PortErrorKind::Refused | PortErrorKind::Invalid | PortErrorKind::Missing => {
            Reason::CannotCarryOut
        }
    };
    let desired = conditions_of(phase, reason, &error.message);
    TuningJobStatus {
        phase: Some(name_of(phase)),
        observed_generation: generation,
        conditions: with_conditions(&before.conditions, &desired, generation, now),
        ..before.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_heals_leaves_the_search_where_it_was() {
        let running = TuningJobStatus {
            phase: Some("Running".to_string()),
            ..TuningJobStatus::default()
        };
        let failed = |error: PortError| {
            let status = failed_status(&running, Some(2), &error, Timestamp(0));
            let ready = status.conditions[0].clone();
            (
                status.phase.unwrap(),
                ready.status,
                ready.reason,
                ready.message,
            )
        };
        let expected = |phase: &str, status: &str, reason: &str| {
            (
                phase.to_string(),
                status.to_string(),
                reason.to_string(),
                "why".to_string(),
            )
        };
        assert_eq!(
            failed(PortError::unavailable("why")),
            expected("Running", "True", "Unavailable")
        );
        assert_eq!(
            failed(PortError::new(PortErrorKind::Forbidden, "why")),
            expected("Blocked", "False", "Forbidden")
        );
        assert_eq!(
            failed(PortError::refused("why")),
            expected("Blocked", "False", "CannotCarryOut")
        );
    }
}
