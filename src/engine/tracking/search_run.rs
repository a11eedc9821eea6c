//! The run of a search: started before the first trial's, and told that it goes on where the search does.

use super::super::Engine;
use super::super::registration::is_new;
use super::log::{SEARCH_UID_TAG, source_of, tags_of_search};
use super::{Asked, REFERENCE, Server, Waits};
use crate::ports::{NewRun, PortError, Ports, RunWrite, Tracking};
use kube::ResourceExt;
use podium_api::TuningJob;
use podium_api::convert::World;
use podium_api::tuning_job::TrackingStatus;
use podium_core::problem::SpecProblem;
use podium_core::time::Timestamp;
use podium_core::tuning::Phase;
use podium_core::tuning::tracking::RunStatus;

/// Where a search is logged, and when that is to be looked at again.
pub(in crate::engine) struct SearchTracking {
    pub(in crate::engine) status: Option<TrackingStatus>,
    pub(in crate::engine) again_at: Option<Timestamp>,
}

impl SearchTracking {
    fn of(status: TrackingStatus, again_at: Option<Timestamp>) -> Self {
        let status = Some(status).filter(|status| *status != TrackingStatus::default());
        Self { status, again_at }
    }
}

impl<P: Ports> Engine<P> {
    /// Why a search with a new specification could not be logged: that is better said of the search than of each of its trials.
    pub(in crate::engine) async fn untrackable(&self, job: &TuningJob) -> Vec<SpecProblem> {
        let asked = job.spec.tracking.as_ref().filter(|_| is_new(job));
        match asked {
            Some(asked) if self.ports.world() == World::Cluster => {
                let named = self.named_registry(&asked.registry_ref.name, REFERENCE);
                named.await.err().into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Sees to it that a search whose trials may start has a run that goes on. It never fails: what is in the way stands in the status, and the
    /// trials wait for it.
    pub(in crate::engine) async fn track_search(
        &self,
        job: &TuningJob,
        phase: Phase,
    ) -> SearchTracking {
        let status = job.status.as_ref();
        let known = status.and_then(|status| status.tracking.clone());
        let Some(asked) = &job.spec.tracking else {
            return SearchTracking {
                status: known,
                again_at: None,
            };
        };
        self.is_logged(job, asked);
        let known = known.unwrap_or_default();
        let goes_on = matches!(phase, Phase::Pending | Phase::Running);
        let is_told = known.parent_run_status.as_deref() == Some(RunStatus::Running.as_str());
        if is_told || !goes_on {
            let message = self.tracking.failure_of(&job.name_any());
            return SearchTracking::of(TrackingStatus { message, ..known }, None);
        }
        let begun = self.begin_search_run(job, asked, &known).await;
        match begun {
            Ok(begun) => SearchTracking::of(begun, None),
            Err(Waits { why, again_at }) => {
                let message = Some(why);
                SearchTracking::of(TrackingStatus { message, ..known }, Some(again_at))
            }
        }
    }

    async fn begin_search_run(
        &self,
        job: &TuningJob,
        asked: &Asked,
        known: &TrackingStatus,
    ) -> Result<TrackingStatus, Waits> {
        let server = self.tracking_server(job, asked).await?;
        let begun = begin(&server, job, asked, known, self.now()).await;
        self.heard(job, &server, begun)
    }
}

/// Tells the run of a search that it goes on, or starts it where there is none.
async fn begin<T: Tracking>(
    server: &Server<T>,
    job: &TuningJob,
    asked: &Asked,
    known: &TrackingStatus,
    now: Timestamp,
) -> Result<TrackingStatus, PortError> {
    let tracking = &server.tracking;
    if let (Some(experiment), Some(run)) = (&known.experiment_id, &known.parent_run_id)
        && go_on(tracking, run).await?
    {
        return Ok(begun(experiment.clone(), run.clone()));
    }
    let experiment = tracking.experiment(&asked.experiment).await?;
    let (name, uid) = (job.name_any(), job.uid().unwrap_or_default());
    let source = source_of(job);
    let started = tracking.start_run(NewRun {
        experiment: &experiment,
        name: &name,
        key: (SEARCH_UID_TAG, &uid),
        parent: None,
        source: &source,
        tags: tags_of_search(job, &server.location),
        start: now,
        may_exist: true,
    });
    let started = started.await?;
    if !started.is_new {
        go_on(tracking, &started.id).await?;
    }
    Ok(begun(experiment, started.id))
}

/// Says that a run goes on; false when it is gone.
async fn go_on(tracking: &impl Tracking, run: &str) -> Result<bool, PortError> {
    match tracking.set_status(run, RunStatus::Running, None).await? {
        RunWrite::Done => Ok(true),
        RunWrite::Gone => Ok(false),
        RunWrite::Refused(why) => Err(PortError::refused(why)),
    }
}

fn begun(experiment: String, run: String) -> TrackingStatus {
    TrackingStatus {
        experiment_id: Some(experiment),
        parent_run_id: Some(run),
        parent_run_status: Some(RunStatus::Running.as_str().to_string()),
        message: None,
    }
}
