//! How a run is told of an end.

use super::log::{ended_because, not_logged};
use crate::ports::{PortError, RunWrite, Tracking};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunLog, RunStatus};

/// Logs in a run what came out, and then that it has ended so. Where a server does not take a parameter or a metric, all parameters or all
/// metrics are left out, and the run says why.
pub(super) async fn tell_end(
    tracking: &impl Tracking,
    run: &str,
    log: &RunLog,
    status: RunStatus,
    end: Option<Timestamp>,
) -> Result<RunStatus, PortError> {
    match tracking.log(run, log).await? {
        RunWrite::Done => {}
        RunWrite::Gone => return Ok(RunStatus::Deleted),
        RunWrite::Refused(why) => {
            tracing::warn!(run, why, "MLflow refuses what is to be logged in a run");
            // A request is refused as a whole.
            let mut refusals = Vec::new();
            let is_empty = |part: &RunLog| part.params.is_empty() && part.metrics.is_empty();
            for part in log.apart().into_iter().filter(|part| !is_empty(part)) {
                if let RunWrite::Refused(why) = tracking.log(run, &part).await? {
                    refusals.push(why);
                }
            }
            let why = match refusals.is_empty() {
                true => why,
                false => refusals.join("; "),
            };
            tracking.log(run, &not_logged(log, &why)).await?;
        }
    }
    match tracking.set_status(run, status, end).await? {
        RunWrite::Done => Ok(status),
        RunWrite::Gone => Ok(RunStatus::Deleted),
        RunWrite::Refused(why) => Err(PortError::refused(why)),
    }
}

/// Ends a run that belongs to nobody any more.
pub(super) async fn kill(
    tracking: &impl Tracking,
    run: &str,
    why: &str,
    now: Timestamp,
) -> Result<(), PortError> {
    let log = ended_because(why);
    let told = tell_end(tracking, run, &log, RunStatus::Killed, Some(now));
    told.await.map(drop)
}
