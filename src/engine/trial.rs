//! One trial: its run is looked at, its end is judged, its record is stored before the next run is started.

use super::{Engine, Left, story};
use crate::ports::{Cluster, Events, PortError, Ports, RunId, RunRequest, Started, TrialRunner};
use crate::trials::expansion::expand;
use kube::{Resource, ResourceExt};
use podium_api::convert::{
    TrialSettings, from_time, record_of, says, settled_condition, trial_settings, trial_status,
    trial_variables, tuning_settings,
};
use podium_api::{TRIAL_LABEL, TUNING_JOB_LABEL, Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{self, Reason, Run, TrialAction, TrialInput, TrialRecord};
use podium_core::tuning::{self, REFIT_ORIGIN, Settings};
use std::collections::BTreeMap;

/// Runs that may be lost to the machine before a trial fails.
const MAX_INFRASTRUCTURE_FAILURES: u32 = 10;
/// Labels of Kueue, which pass from a search to its Jobs.
const QUEUE_LABELS: &str = "kueue.x-k8s.io/";
/// A refused run is asked for again after this time.
const REFUSED_AGAIN_SECONDS: u64 = 15;

impl<P: Ports> Engine<P> {
    /// Takes one trial one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked; nothing is half-done.
    pub async fn reconcile_trial(&self, name: &str) -> Result<Left, PortError> {
        let Some(trial) = self.ports.cluster().get::<Trial>(name).await? else {
            return Ok(Left::default());
        };
        let record = record_of(trial.status.as_ref());
        if is_deleted(&trial) {
            return Ok(Left::default());
        }
        if record.phase.is_finished() && says(trial.status.as_ref(), &record) {
            let run = run_id(&trial, record.current_attempt());
            self.ports.runner().end_leftovers(run).await?;
            return Ok(Left::default());
        }
        let Some(job) = self.job_of(&trial).await? else {
            return Ok(Left::default());
        };
        // What is wrong with the job stands on the job.
        let (Ok(search), Ok(runs)) = (tuning_settings(&job), trial_settings(&job.spec)) else {
            return Ok(Left::default());
        };
        self.step(&job, &search, &runs, &trial).await
    }

    /// The search that a trial belongs to, unless it was deleted, or deleted and made anew.
    async fn job_of(&self, trial: &Trial) -> Result<Option<TuningJob>, PortError> {
        let Some(name) = trial.labels().get(TUNING_JOB_LABEL) else {
            return Ok(None);
        };
        let job = self.ports.cluster().get::<TuningJob>(name).await?;
        Ok(job.filter(|job| belongs_to(trial, job)))
    }

    async fn step(
        &self,
        job: &TuningJob,
        search: &Settings,
        runs: &TrialSettings,
        trial: &Trial,
    ) -> Result<Left, PortError> {
        let record = record_of(trial.status.as_ref());
        let run = run_id(trial, record.current_attempt());
        let run = self.ports.runner().observe(run).await?;
        let settle = self.conduct.settle_seconds;
        let mut plan = self.plan_trial(job, search, runs, trial, &record, &run, settle);
        if !plan.record.phase.is_finished() && is_over(job) && !is_refit(trial) {
            // The search stops it; what becomes of it until then is no news.
            return Ok(Left {
                waiting: true,
                ..Left::default()
            });
        }
        let acted = plan.record != record || plan.action.is_some();
        if let Some(TrialAction::Stop { attempt }) = plan.action {
            self.ports.runner().stop(run_id(trial, attempt)).await?;
        }
        self.store_trial(job, runs, trial, &record, &plan.record)
            .await?;
        if let Some(TrialAction::Start { attempt }) = plan.action {
            let request = request(job, runs, trial, attempt);
            match self.ports.runner().start(&request).await {
                Ok(Started::Already) => {}
                Ok(Started::Now) => {
                    let events = self.ports.events();
                    events.publish(story::run_started(trial, attempt)).await;
                }
                Ok(Started::Refused(why)) => {
                    let reason = Reason::PodRefused;
                    plan = self.hold_refused(job, search, runs, trial, &plan.record, reason, why);
                    self.store_trial(job, runs, trial, &record, &plan.record)
                        .await?;
                }
                // It is tried again, and says so if that lasts.
                Err(error @ PortError::Transient(_)) => {
                    let (reason, why) = (Reason::WaitingForApiServer, error.to_string());
                    plan = self.hold_refused(job, search, runs, trial, &plan.record, reason, why);
                    self.store_trial(job, runs, trial, &record, &plan.record)
                        .await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Left {
            acted,
            waiting: !plan.record.phase.is_finished(),
            look_again_at: plan.look_again_at,
        })
    }

    /// Where an unfinished trial is right now, recorded or not. An end counts once it is recorded.
    pub(super) async fn live_record(
        &self,
        job: &TuningJob,
        search: &Settings,
        runs: &TrialSettings,
        trial: &Trial,
    ) -> Result<TrialRecord, PortError> {
        let record = record_of(trial.status.as_ref());
        if record.phase.is_finished() {
            return Ok(record);
        }
        let run = run_id(trial, record.current_attempt());
        let run = self.ports.runner().observe(run).await?;
        let live = self
            .plan_trial(job, search, runs, trial, &record, &run, 0)
            .record;
        Ok(if live.phase.is_finished() {
            record
        } else {
            live
        })
    }

    #[allow(clippy::too_many_arguments)] // What a plan depends on.
    fn plan_trial(
        &self,
        job: &TuningJob,
        search: &Settings,
        runs: &TrialSettings,
        trial: &Trial,
        record: &TrialRecord,
        run: &Run,
        settle_seconds: u64,
    ) -> trial::TrialPlan {
        let refit = is_refit(trial);
        trial::plan(&TrialInput {
            objective: (!refit).then_some(&search.objective),
            failure_rules: &runs.failure_rules,
            active_deadline_seconds: runs.active_deadline_seconds,
            queue_deadline_seconds: runs.queue_deadline_seconds,
            max_infrastructure_failures: MAX_INFRASTRUCTURE_FAILURES,
            settle_seconds,
            hold: holds(job, refit),
            since: self.free_since(job, trial),
            record,
            run,
            now: self.now(),
        })
    }

    /// Since when a trial could have run: since it was made, or its search was resumed.
    fn free_since(&self, job: &TuningJob, trial: &Trial) -> Timestamp {
        let made = trial.creation_timestamp();
        let since = made.as_ref().map(from_time).max(resumed(job));
        since.unwrap_or_else(|| self.now())
    }

    /// A run that is refused, or not answered for, waits like one without room, and is asked for again.
    #[allow(clippy::too_many_arguments)] // What a plan depends on.
    fn hold_refused(
        &self,
        job: &TuningJob,
        search: &Settings,
        runs: &TrialSettings,
        trial: &Trial,
        record: &TrialRecord,
        reason: Reason,
        why: String,
    ) -> trial::TrialPlan {
        let lost = record.attempts.iter().filter_map(|a| a.ended).max();
        let free = self.free_since(job, trial);
        let queued = Run::Queued {
            since: lost.map_or(free, |lost| lost.max(free)),
            reason,
            why,
        };
        let settle = self.conduct.settle_seconds;
        let mut plan = self.plan_trial(job, search, runs, trial, record, &queued, settle);
        let again = self.now().plus_seconds(REFUSED_AGAIN_SECONDS);
        plan.look_again_at = Some(plan.look_again_at.map_or(again, |at| at.min(again)));
        plan
    }

    /// Ends a trial that nobody needs any more. One that ended by itself meanwhile keeps its result.
    pub(super) async fn stop_trial(
        &self,
        job: &TuningJob,
        search: &Settings,
        runs: &TrialSettings,
        trial: &Trial,
        reason: Reason,
    ) -> Result<(), PortError> {
        let record = record_of(trial.status.as_ref());
        let id = run_id(trial, record.current_attempt());
        let run = self.ports.runner().observe(id).await?;
        let plan = self.plan_trial(job, search, runs, trial, &record, &run, 0);
        if plan.record.phase.is_finished() {
            return Ok(());
        }
        self.ports.runner().stop(id).await?;
        let stopped = trial::stopped(&record, reason, self.now());
        self.store_trial(job, runs, trial, &record, &stopped).await
    }

    async fn store_trial(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Trial,
        before: &TrialRecord,
        record: &TrialRecord,
    ) -> Result<(), PortError> {
        if record == before && says(trial.status.as_ref(), record) {
            return Ok(());
        }
        // The search may have stopped it meanwhile, and nothing of a trial that ended changes any more.
        let newest = self.ports.cluster().get::<Trial>(&trial.name_any()).await?;
        let newest = newest.map(|newest| record_of(newest.status.as_ref()));
        let ended = newest.is_some_and(|newest| newest.phase.is_finished());
        if ended && !before.phase.is_finished() {
            return Ok(());
        }
        let mut updated = trial.clone();
        let output = output_uri(job, runs, &trial.name_any());
        updated.status = Some(trial_status(record, trial, output, self.now()));
        self.ports.cluster().write_status(&updated).await?;
        if let Some(happened) = story::trial_changed(job, trial, before, record) {
            self.ports.events().publish(happened).await;
        }
        Ok(())
    }
}

/// Whether nothing of this search is to be started now.
fn holds(job: &TuningJob, refit: bool) -> bool {
    job.spec.suspend || is_deleted(job) || (is_over(job) && !refit)
}

/// Since when a search is not suspended.
fn resumed(job: &TuningJob) -> Option<Timestamp> {
    let conditions = &job.status.as_ref()?.conditions;
    let suspended = conditions.iter().find(|c| c.type_ == "Suspended")?;
    (suspended.status == "False").then(|| from_time(&suspended.last_transition_time))
}

/// Whether a search is over by its own words.
fn is_over(job: &TuningJob) -> bool {
    job.status.as_ref().is_some_and(|status| {
        let reason = settled_condition(&status.conditions, "Ready")
            .and_then(|(_, reason, _)| tuning::Reason::parse(reason));
        status.observed_generation == job.metadata.generation
            && reason.is_some_and(tuning::Reason::is_ending)
    })
}

/// Whether the object is on its way out.
pub(super) fn is_deleted(object: &impl Resource) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Whether a trial was made for this very search and not for an earlier one of its name.
pub(super) fn belongs_to(trial: &Trial, job: &TuningJob) -> bool {
    trial.labels().get(TUNING_JOB_LABEL) == Some(&job.name_any())
        && trial
            .owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
}

fn run_id(trial: &Trial, attempt: u32) -> RunId<'_> {
    RunId {
        name: trial.metadata.name.as_deref().unwrap_or_default(),
        attempt,
        owner: trial.metadata.uid.as_deref(),
    }
}

fn is_refit(trial: &Trial) -> bool {
    trial.spec.origin == REFIT_ORIGIN
}

/// Where a trial leaves its files.
pub(super) fn output_uri(job: &TuningJob, runs: &TrialSettings, trial: &str) -> Option<String> {
    let variables = BTreeMap::from([
        ("PODIUM_TUNING_JOB".to_string(), job.name_any()),
        ("PODIUM_TRIAL".to_string(), trial.to_string()),
    ]);
    runs.output_uri.as_ref().map(|uri| expand(uri, &variables))
}

/// The run of one attempt, with the environment that every trial gets.
pub(super) fn request<'a>(
    job: &TuningJob,
    runs: &'a TrialSettings,
    trial: &Trial,
    attempt: u32,
) -> RunRequest<'a> {
    let name = trial.name_any();
    let mut variables = trial_variables(&trial.spec);
    let given = [
        ("PODIUM_TUNING_JOB", Some(job.name_any())),
        ("PODIUM_TRIAL", Some(name.clone())),
        ("PODIUM_OUTPUT_URI", output_uri(job, runs, &name)),
    ];
    variables.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_string(), value?))),
    );
    let labels = [
        (TUNING_JOB_LABEL, job.name_any()),
        (TRIAL_LABEL, name.clone()),
    ];
    let mut job_metadata = runs.job_metadata.clone();
    for (label, value) in job.labels() {
        // A queue is named on what people create, and works on what runs.
        if label.starts_with(QUEUE_LABELS) {
            let own = job_metadata.labels.entry(label.clone());
            own.or_insert_with(|| value.clone());
        }
    }
    RunRequest {
        name,
        attempt,
        job: &runs.job,
        template: &runs.template,
        container: runs.container.as_deref(),
        variables,
        deadline_seconds: runs.active_deadline_seconds,
        owner: trial.controller_owner_ref(&()).map(super::without_block),
        labels: labels.map(|(key, value)| (key.to_string(), value)).into(),
        job_metadata,
    }
}
