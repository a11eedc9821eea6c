//! The end of a search is logged once the ends of all its trials are.

use super::super::Engine;
use super::log::{end_of_search, owner_of};
use super::tell::{kill, tell_end};
use super::{Asked, Waits, is_told, run_of};
use crate::ports::{OpenRun, OpenRuns, PortError, Ports, Tracking};
use kube::ResourceExt;
use podium_api::convert::{from_time, record_of};
use podium_api::tuning_job::{TrackingStatus, TuningJobStatus};
use podium_api::{Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::Phase;
use podium_core::tuning::tracking::RunStatus;
use podium_core::tuning::trial::are_alike;
use std::sync::Arc;

/// Seconds until a search looks again whether the ends of its trials are logged; most often it hears of that before.
const AGAIN_SECONDS: u64 = 15;

/// The run of a search that is to be told of its end.
struct Ending<'a> {
    status: &'a TuningJobStatus,
    known: &'a TrackingStatus,
    experiment: &'a str,
    run: &'a str,
    wanted: RunStatus,
}

impl<'a> Ending<'a> {
    /// `None` where there is nothing to tell.
    fn of(status: &'a TuningJobStatus) -> Option<Self> {
        let wanted = match status.phase.as_deref()? {
            "Succeeded" => RunStatus::of_search(Phase::Succeeded),
            "Failed" => RunStatus::of_search(Phase::Failed),
            _ => return None,
        };
        let known = status.tracking.as_ref()?;
        let told = known.parent_run_status.as_deref();
        let told = told.and_then(RunStatus::parse);
        if told == Some(wanted) || told == Some(RunStatus::Deleted) {
            return None;
        }
        Some(Self {
            status,
            known,
            experiment: known.experiment_id.as_deref()?,
            run: known.parent_run_id.as_deref()?,
            wanted,
        })
    }
}

impl<P: Ports> Engine<P> {
    /// Tells the run of a search that has ended how it did; when to look again, if that is not done.
    ///
    /// # Errors
    /// The status could not be written. What keeps MLflow from taking it is no error.
    pub(in crate::engine) async fn log_end_of_search(
        &self,
        job: &TuningJob,
        trials: &[Arc<Trial>],
    ) -> Result<Option<Timestamp>, PortError> {
        let ending = job.status.as_ref().and_then(Ending::of);
        let (Some(asked), Some(ending)) = (&job.spec.tracking, ending) else {
            return Ok(None);
        };
        let untold = trials.iter().filter(|trial| !is_told(trial)).count();
        if untold > 0 {
            let why = self.tracking.failure_of(&job.name_any());
            let why = why.map(|why| format!("the ends of {untold} trials are not logged: {why}"));
            self.say(job, &ending, why).await?;
            return Ok(Some(self.now().plus_seconds(AGAIN_SECONDS)));
        }
        match self.end_search_run(job, asked, &ending, trials).await {
            Ok(told) => {
                let told = TrackingStatus {
                    parent_run_status: Some(told.as_str().to_string()),
                    message: None,
                    ..ending.known.clone()
                };
                self.write_tracking(job, &ending, told).await?;
                self.is_logged_to_its_end(job, asked);
                Ok(None)
            }
            Err(Waits { why, again_at }) => {
                let why = format!("the end of the search is not logged: {why}");
                self.say(job, &ending, Some(why)).await?;
                Ok(Some(again_at))
            }
        }
    }

    async fn end_search_run(
        &self,
        job: &TuningJob,
        asked: &Asked,
        ending: &Ending<'_>,
        trials: &[Arc<Trial>],
    ) -> Result<RunStatus, Waits> {
        let server = self.tracking_server(job, asked).await?;
        let below = OpenRuns::Below {
            experiment: ending.experiment,
            parent: ending.run,
        };
        let open = server.tracking.open_runs(below).await;
        let open = open.map_err(|error| {
            let (name, admission) = (job.name_any(), &server.admission);
            self.tracking_failed(&name, admission, &error)
        })?;
        let told = tell(&server.tracking, ending, &open, trials, self.now()).await;
        // It has answered right before: nobody else has to wait for what it does not take here.
        let told = told.map_err(|error| PortError::refused(error.message));
        self.heard(job, &server, told)
    }

    /// Says what is not logged yet, unless that is said already.
    async fn say(
        &self,
        job: &TuningJob,
        ending: &Ending<'_>,
        message: Option<String>,
    ) -> Result<(), PortError> {
        let is_said = match (&ending.known.message, &message) {
            (Some(said), Some(message)) => are_alike(said, message),
            (None, None) => true,
            _ => false,
        };
        if is_said {
            return Ok(());
        }
        let known = ending.known.clone();
        let said = TrackingStatus { message, ..known };
        self.write_tracking(job, ending, said).await
    }

    async fn write_tracking(
        &self,
        job: &TuningJob,
        ending: &Ending<'_>,
        tracking: TrackingStatus,
    ) -> Result<(), PortError> {
        let status = TuningJobStatus {
            tracking: Some(tracking),
            ..ending.status.clone()
        };
        self.write_job_status(job, status).await
    }
}

/// Ends what goes on below the run of a search, then the run itself.
async fn tell(
    tracking: &impl Tracking,
    ending: &Ending<'_>,
    open: &[OpenRun],
    trials: &[Arc<Trial>],
    now: Timestamp,
) -> Result<RunStatus, PortError> {
    let Ending {
        status,
        run: parent,
        wanted,
        ..
    } = *ending;
    for open in open {
        if owner_of(&open.tags).is_none() {
            continue;
        }
        let mut trials = trials.iter();
        match trials.find(|trial| run_of(trial) == Some(open.id.as_str())) {
            // Its program went on for a moment after its end, and said so.
            Some(trial) => {
                let phase = record_of(trial.status.as_ref()).phase;
                let ended = RunStatus::of_trial(phase);
                tracking.set_status(&open.id, ended, Some(now)).await?;
            }
            None => kill(tracking, &open.id, "no trial has this run any more", now).await?,
        }
    }
    let end = status.completion_time.as_ref().map_or(now, from_time);
    let log = end_of_search(status, end);
    tell_end(tracking, parent, &log, wanted, Some(end)).await
}
