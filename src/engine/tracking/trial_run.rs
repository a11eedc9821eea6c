//! The run of a trial: started before its Job, which names it, and told how the trial ended.

use super::super::Engine;
use super::super::trial_request::{TrackedRun, run_id};
use super::log::{TRIAL_UID_TAG, end_of_trial, source_of, tags_of_trial};
use super::tell::tell_end;
use super::{Asked, REFERENCE, Waits, is_told, lock, run_of};
use crate::ports::{Cluster, NewRun, PortError, Ports, Run, Tracking, TrackingAccess, TrialRunner};
use kube::ResourceExt;
use podium_api::convert::{MlflowSettings, RegistryPlace, TrialSettings, record_of};
use podium_api::{Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunContent, RunStatus};
use podium_core::tuning::trial::TrialRecord;
use std::borrow::Cow;
use std::sync::Arc;

/// Seconds until a trial looks again for what is to be mended elsewhere; most often it hears of that before.
const AGAIN_SECONDS: u64 = 15;
/// What goes on of a trial that was stopped may say in its run that it goes on. It is waited for, for so many seconds at most.
const STOPPING_SECONDS: u64 = 120;
/// Seconds between two looks at it.
const STOPPING_AGAIN_SECONDS: u64 = 5;

/// A trial that may be started.
pub(in crate::engine) struct Startable {
    /// With its run, if it has one.
    pub(in crate::engine) trial: Arc<Trial>,
    /// What its containers are told of the run.
    pub(in crate::engine) tracked: Option<TrackedRun>,
}

impl<P: Ports> Engine<P> {
    /// Sees to it that a trial has a run, where its search is tracked, and that its status names it: nothing of a trial is started before.
    ///
    /// # Errors
    /// The status could not be written. What keeps MLflow from starting a run is no error, but something that the trial waits for.
    pub(in crate::engine) async fn startable(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Arc<Trial>,
    ) -> Result<Result<Startable, Waits>, PortError> {
        let Some(asked) = &job.spec.tracking else {
            return Ok(Ok(Startable {
                trial: Arc::clone(trial),
                tracked: None,
            }));
        };
        let settings = match self.reach(asked).await {
            Ok(settings) => settings,
            Err(waits) => return Ok(Err(waits)),
        };
        let (trial, run) = match run_of(trial) {
            Some(run) => (Arc::clone(trial), run.to_string()),
            None => {
                let run = match self.start_trial_run(job, asked, trial).await {
                    Ok(run) => run,
                    Err(waits) => return Ok(Err(waits)),
                };
                match self.store_run(job, runs, trial, &run).await? {
                    Ok(tracked) => (Arc::new(tracked), run),
                    Err(waits) => return Ok(Err(waits)),
                }
            }
        };
        let status = job.status.as_ref();
        let tracking = status.and_then(|status| status.tracking.as_ref());
        let experiment = tracking.and_then(|tracking| tracking.experiment_id.clone());
        let tracked = Some(TrackedRun {
            url: settings.url,
            experiment,
            run,
            access: TrackingAccess {
                credentials_secret: settings.trial_credentials_secret,
                ca_bundle_config_map: settings.ca_bundle_config_map,
            },
        });
        Ok(Ok(Startable { trial, tracked }))
    }

    /// Writes the run of a trial into its status. The search may have ended the trial while its run was started, which is then to be told of
    /// that like any other.
    async fn store_run(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Trial,
        run: &str,
    ) -> Result<Result<Trial, Waits>, PortError> {
        let newest = self.ports.cluster().get::<Trial>(&trial.name_any()).await?;
        let newest = newest.filter(|newest| newest.uid() == trial.uid());
        let newest = newest.as_ref().unwrap_or(trial);
        let tracked = with_run(newest, run, RunStatus::Running);
        let mut record = record_of(newest.status.as_ref());
        if record.phase.is_finished() {
            self.ports.cluster().write_status(&tracked).await?;
        } else {
            let stored = self
                .write_trial_status(job, runs, &tracked, &record)
                .await?;
            record = stored;
        }
        if !record.phase.is_finished() {
            return Ok(Ok(tracked));
        }
        let (why, again_at) = (record.message, self.now());
        Ok(Err(Waits { why, again_at }))
    }

    /// How the containers of a trial reach the server.
    async fn reach(&self, asked: &Asked) -> Result<MlflowSettings, Waits> {
        let named = self.named_registry(&asked.registry_ref.name, REFERENCE);
        let why = match named.await {
            Ok((_, settings)) => match settings.place {
                RegistryPlace::Mlflow(settings) => return Ok(settings),
                RegistryPlace::Directory(_) => format!("{REFERENCE}: must name an MLflow server"),
            },
            Err(problem) => problem.to_string(),
        };
        let again_at = self.now().plus_seconds(AGAIN_SECONDS);
        Err(Waits { why, again_at })
    }

    async fn start_trial_run(
        &self,
        job: &TuningJob,
        asked: &Asked,
        trial: &Trial,
    ) -> Result<String, Waits> {
        let status = job.status.as_ref();
        let tracking = status.and_then(|status| status.tracking.as_ref());
        let ids = tracking.and_then(|tracking| {
            let experiment = tracking.experiment_id.as_deref()?;
            Some((experiment, tracking.parent_run_id.as_deref()?))
        });
        let Some((experiment, parent)) = ids else {
            let why = tracking.and_then(|tracking| tracking.message.as_deref());
            let why = why.unwrap_or("the run of its search in MLflow is about to be started");
            return Err(Waits {
                why: why.to_string(),
                again_at: self.now().plus_seconds(AGAIN_SECONDS),
            });
        };
        let server = self.tracking_server(job, asked).await?;
        let (name, uid) = (trial.name_any(), trial.uid().unwrap_or_default());
        let is_new = lock(&self.tracking.new_trials).remove(&name);
        let source = source_of(job);
        let started = server.tracking.start_run(NewRun {
            experiment,
            name: &name,
            key: (TRIAL_UID_TAG, &uid),
            parent: Some(parent),
            source: &source,
            tags: tags_of_trial(job, trial, &server.location),
            start: self.now(),
            may_exist: !is_new,
        });
        let started = started.await;
        self.heard(job, &server, started).map(|run| run.id)
    }

    /// Tells the run of a trial that has ended how it did, once nothing of it goes on; when to look again, if that is not done.
    ///
    /// # Errors
    /// The status could not be written. What keeps MLflow from taking it is no error.
    pub(in crate::engine) async fn log_end_of_trial(
        &self,
        trial: &Trial,
        record: &TrialRecord,
    ) -> Result<Option<Timestamp>, PortError> {
        let Some(run) = run_of(trial).filter(|_| !is_told(trial)) else {
            return Ok(None);
        };
        // Without its search the run belongs to nobody, and is found by its tags.
        let Some(job) = self.job_of(trial).await? else {
            return Ok(None);
        };
        let Some(asked) = &job.spec.tracking else {
            return Ok(None);
        };
        if let Some(again_at) = self.is_stopping(trial, record).await? {
            return Ok(Some(again_at));
        }
        let (name, uid) = (trial.name_any(), trial.uid());
        if let Some(again_at) = self.tracking.ends.until(&name, &uid, self.now()) {
            return Ok(Some(again_at));
        }
        let told = match self
            .tell_end_of_trial(&job, asked, run, trial, record)
            .await
        {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => {
                self.tracking.note_failure(&job.name_any(), &error);
                let again_at = self.tracking.ends.failed(&name, uid, self.now());
                return Ok(Some(again_at));
            }
            Err(waits) => return Ok(Some(waits.again_at)),
        };
        self.tracking.ends.forget(&name);
        let updated = with_run(trial, run, told);
        self.ports.cluster().write_status(&updated).await?;
        Ok(None)
    }

    /// Tells a run how its trial ended, or what the server does not take of that. It has answered right before, so that nobody else has to
    /// wait for it.
    async fn tell_end_of_trial(
        &self,
        job: &TuningJob,
        asked: &Asked,
        run: &str,
        trial: &Trial,
        record: &TrialRecord,
    ) -> Result<Result<RunStatus, PortError>, Waits> {
        let server = self.tracking_server(job, asked).await?;
        let (tracking, admission) = (&server.tracking, &server.admission);
        let there = tracking.content(run).await;
        let there =
            there.map_err(|error| self.tracking_failed(&job.name_any(), admission, &error))?;
        let told = match there {
            Some(there) => tell(tracking, run, &there, trial, record).await,
            None => Ok(RunStatus::Deleted),
        };
        match told {
            Ok(told) => self.heard(job, &server, Ok(told)).map(Ok),
            Err(error) => {
                self.tracking.servers.give_back(&admission.registry);
                Ok(Err(error))
            }
        }
    }

    /// Until when something of a trial that has ended may go on.
    async fn is_stopping(
        &self,
        trial: &Trial,
        record: &TrialRecord,
    ) -> Result<Option<Timestamp>, PortError> {
        let now = self.now();
        let ended = record.completion.unwrap_or(now);
        if now >= ended.plus_seconds(STOPPING_SECONDS) {
            return Ok(None);
        }
        let run = run_id(trial, record.current_attempt());
        let goes_on = matches!(
            self.ports.runner().observe(run).await?,
            Run::Running { .. } | Run::Queued { .. }
        );
        Ok(goes_on.then(|| now.plus_seconds(STOPPING_AGAIN_SECONDS)))
    }
}

/// Logs the end of a trial beside what its program has logged.
async fn tell(
    tracking: &impl Tracking,
    run: &str,
    there: &RunContent,
    trial: &Trial,
    record: &TrialRecord,
) -> Result<RunStatus, PortError> {
    let log = end_of_trial(trial, record).beside(there);
    let status = RunStatus::of_trial(record.phase);
    tell_end(tracking, run, &log, status, record.completion).await
}

/// The trial with this run.
fn with_run(trial: &Trial, run: &str, told: RunStatus) -> Trial {
    let mut trial = trial.clone();
    let status = trial.status.get_or_insert_default();
    status.mlflow_run_id = Some(run.to_string());
    status.mlflow_run_status = Some(told.as_str().to_string());
    trial
}

/// The trial as it was read, with the run that it has got since.
pub(in crate::engine) fn with_newest_run<'a>(
    trial: &'a Trial,
    newest: Option<&Trial>,
) -> Cow<'a, Trial> {
    let newest = newest.filter(|newest| newest.uid() == trial.uid());
    let status = newest.and_then(|newest| newest.status.as_ref());
    let Some(status) = status.filter(|status| status.mlflow_run_id.is_some()) else {
        return Cow::Borrowed(trial);
    };
    let mut tracked = trial.clone();
    let known = tracked.status.get_or_insert_default();
    known.mlflow_run_id.clone_from(&status.mlflow_run_id);
    known
        .mlflow_run_status
        .clone_from(&status.mlflow_run_status);
    Cow::Owned(tracked)
}
