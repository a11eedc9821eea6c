//! One trial: its run is looked at, its end is judged, its record is stored before the next run is started.

use super::search_settings::SearchSettings;
use super::{Engine, Requeue, events};
use crate::ports::{
    Cluster, Events, PortError, Ports, RunId, RunRequest, StartOutcome, TrialRunner,
};
use crate::runs::expansion::expand;
use kube::{Resource, ResourceExt};
use podium_api::convert::{
    TrialSettings, from_time, matches_record, record_of, settled_condition, trial_variables,
};
use podium_api::{TRIAL_LABEL, TUNING_JOB_LABEL, Trial, TrialSpec, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{
    self, Phase, Reason, Run, TrialAction, TrialInput, TrialPlan, TrialRecord,
};
use podium_core::tuning::{self, REFIT_ORIGIN};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    pub async fn reconcile_trial(&self, name: &str) -> Result<Requeue, PortError> {
        let Some(trial) = self.ports.cluster().get::<Trial>(name).await? else {
            return Ok(Requeue::default());
        };
        let record = record_of(trial.status.as_ref());
        if is_deleted(&trial) {
            return Ok(Requeue::default());
        }
        if record.phase.is_finished() && matches_record(trial.status.as_ref(), &record) {
            let run = run_id(&trial, record.current_attempt());
            self.ports.runner().end_leftovers(run).await?;
            return self.remove_recorded_run(&trial, &record).await;
        }
        let Some(job) = self.job_of(&trial).await? else {
            return Ok(Requeue::default());
        };
        // What is wrong with the job stands on the job.
        let Ok(settings) = self.settings_of(&job).await? else {
            return Ok(Requeue::default());
        };
        self.step(&Arc::new(job), &settings, &Arc::new(trial)).await
    }

    /// A run that ended well and whose result is recorded is removed after a while, unless its template says how long it is kept.
    async fn remove_recorded_run(
        &self,
        trial: &Trial,
        record: &TrialRecord,
    ) -> Result<Requeue, PortError> {
        let kept = self.write_policy.keep_recorded_runs_seconds;
        let ended_well = matches!(
            record.phase,
            Phase::Succeeded | Phase::Infeasible | Phase::StoppedEarly
        );
        let (Some(kept), Some(ended), true) = (kept, record.completion, ended_well) else {
            return Ok(Requeue::default());
        };
        let Some(job) = self.job_of(trial).await? else {
            return Ok(Requeue::default());
        };
        let template = job.spec.trial.job.as_ref();
        if template.is_some_and(|job| job.other.contains_key("ttlSecondsAfterFinished")) {
            return Ok(Requeue::default());
        }
        let at = ended.plus_seconds(kept);
        if self.now() < at {
            return Ok(Requeue {
                at: Some(at),
                ..Requeue::default()
            });
        }
        let run = run_id(trial, record.current_attempt());
        self.ports.runner().remove(run).await?;
        Ok(Requeue::default())
    }

    /// The search that a trial belongs to, unless it was deleted, or deleted and made anew.
    async fn job_of(&self, trial: &Trial) -> Result<Option<TuningJob>, PortError> {
        // Labels are for people, who may change them.
        let kind = TuningJob::kind(&());
        let mut owners = trial.owner_references().iter();
        let Some(owner) = owners.find(|owner| owner.kind == kind) else {
            return Ok(None);
        };
        let job = self.ports.cluster().get::<TuningJob>(&owner.name).await?;
        Ok(job.filter(|job| belongs_to(trial, job)))
    }

    async fn step(
        &self,
        job: &Arc<TuningJob>,
        settings: &Arc<SearchSettings>,
        trial: &Arc<Trial>,
    ) -> Result<Requeue, PortError> {
        let runs = &settings.trials;
        let observed = self.observe_trial(trial).await?;
        let record = observed.record.clone();
        let debounce = self.write_policy.debounce_seconds;
        let mut plan = self.plan_trial(job, settings, observed, debounce).await?;
        if !plan.record.phase.is_finished() && is_over(job) && !is_refit(trial) {
            // The search stops it; what becomes of it until then is no news.
            return Ok(Requeue {
                pending: true,
                ..Requeue::default()
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
                Ok(StartOutcome::AlreadyStarted) => {}
                Ok(StartOutcome::Started) => {
                    let events = self.ports.events();
                    events.publish(events::run_started(trial, attempt)).await;
                }
                Ok(StartOutcome::Rejected(why)) => {
                    let reason = Reason::PodRefused;
                    plan = self
                        .hold_refused(job, settings, trial, &plan.record, reason, why)
                        .await?;
                    self.store_trial(job, runs, trial, &record, &plan.record)
                        .await?;
                }
                // It is tried again, and says so if that lasts.
                Err(error) if error.is_transient() => {
                    let (reason, why) = (Reason::WaitingForApiServer, error.to_string());
                    plan = self
                        .hold_refused(job, settings, trial, &plan.record, reason, why)
                        .await?;
                    self.store_trial(job, runs, trial, &record, &plan.record)
                        .await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Requeue {
            changed: acted,
            pending: !plan.record.phase.is_finished(),
            at: plan.look_again_at,
        })
    }

    /// A trial, what is recorded of it, and its run as it is now.
    pub(super) async fn observe_trial(&self, trial: &Arc<Trial>) -> Result<TrialView, PortError> {
        let record = record_of(trial.status.as_ref());
        let run = match record.phase.is_finished() {
            true => Run::Absent,
            false => {
                let run = run_id(trial, record.current_attempt());
                let run = self.ports.runner().observe(run).await?;
                run.map_message(|message| message.read())
            }
        };
        Ok(TrialView {
            trial: Arc::clone(trial),
            record,
            run,
        })
    }

    async fn plan_trial(
        &self,
        job: &Arc<TuningJob>,
        settings: &Arc<SearchSettings>,
        view: TrialView,
        debounce_seconds: u64,
    ) -> Result<TrialPlan, PortError> {
        let (job, settings, now) = (Arc::clone(job), Arc::clone(settings), self.now());
        let planned = move || view.plan(&job, &settings, debounce_seconds, now);
        self.ports.compute(planned).await
    }

    /// A run that is refused, or not answered for, waits like one without room, and is asked for again.
    async fn hold_refused(
        &self,
        job: &Arc<TuningJob>,
        settings: &Arc<SearchSettings>,
        trial: &Arc<Trial>,
        record: &TrialRecord,
        reason: Reason,
        why: String,
    ) -> Result<TrialPlan, PortError> {
        let now = self.now();
        let lost = record.attempts.iter().filter_map(|a| a.ended).max();
        let free = free_since(job, trial, now);
        let queued = Run::Queued {
            since: lost.map_or(free, |lost| lost.max(free)),
            reason,
            why,
        };
        let view = TrialView {
            trial: Arc::clone(trial),
            record: record.clone(),
            run: queued,
        };
        let debounce = self.write_policy.debounce_seconds;
        let mut plan = self.plan_trial(job, settings, view, debounce).await?;
        let again = now.plus_seconds(REFUSED_AGAIN_SECONDS);
        plan.look_again_at = Some(plan.look_again_at.map_or(again, |at| at.min(again)));
        Ok(plan)
    }

    /// Ends a trial that nobody needs any more. One that ended by itself meanwhile keeps its result.
    pub(super) async fn stop_trial(
        &self,
        job: &Arc<TuningJob>,
        settings: &Arc<SearchSettings>,
        trial: &Arc<Trial>,
        reason: Reason,
    ) -> Result<(), PortError> {
        let observed = self.observe_trial(trial).await?;
        let record = observed.record.clone();
        let plan = self.plan_trial(job, settings, observed, 0).await?;
        if plan.record.phase.is_finished() {
            return Ok(());
        }
        let id = run_id(trial, record.current_attempt());
        self.ports.runner().stop(id).await?;
        let stopped = trial::stopped(&record, reason, self.now());
        self.store_trial(job, &settings.trials, trial, &record, &stopped)
            .await
    }

    async fn store_trial(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Trial,
        before: &TrialRecord,
        record: &TrialRecord,
    ) -> Result<(), PortError> {
        if record == before && matches_record(trial.status.as_ref(), record) {
            return Ok(());
        }
        // The search may have stopped it meanwhile, and nothing of a trial that ended changes any more.
        let newest = self.ports.cluster().get::<Trial>(&trial.name_any()).await?;
        let newest = newest.map(|newest| record_of(newest.status.as_ref()));
        let ended = newest.is_some_and(|newest| newest.phase.is_finished());
        if ended && !before.phase.is_finished() {
            return Ok(());
        }
        let stored = self.write_trial_status(job, runs, trial, record).await?;
        if let Some(happened) = events::trial_changed(job, trial, before, &stored) {
            self.ports.events().publish(happened).await;
        }
        Ok(())
    }
}

/// A trial as it is now.
#[derive(Debug)]
pub(super) struct TrialView {
    pub(super) trial: Arc<Trial>,
    /// What is recorded of it.
    pub(super) record: TrialRecord,
    run: Run,
}

impl TrialView {
    /// What becomes of the trial. Pure.
    fn plan(
        &self,
        job: &TuningJob,
        settings: &SearchSettings,
        debounce_seconds: u64,
        now: Timestamp,
    ) -> TrialPlan {
        let refit = is_refit(&self.trial);
        let runs = &settings.trials;
        trial::plan(&TrialInput {
            objective: (!refit).then_some(&settings.search.objective),
            failure_rules: &runs.failure_rules,
            active_deadline_seconds: runs.active_deadline_seconds,
            queue_deadline_seconds: runs.queue_deadline_seconds,
            max_infrastructure_failures: MAX_INFRASTRUCTURE_FAILURES,
            debounce_seconds,
            hold: holds(job, refit),
            since: free_since(job, &self.trial, now),
            record: &self.record,
            run: &self.run,
            now,
        })
    }

    /// Where the trial is right now, recorded or not. An end counts once it is recorded. Pure.
    pub(super) fn live_record(
        &self,
        job: &TuningJob,
        settings: &SearchSettings,
        now: Timestamp,
    ) -> TrialRecord {
        if self.record.phase.is_finished() {
            return self.record.clone();
        }
        let live = self.plan(job, settings, 0, now).record;
        if live.phase.is_finished() {
            self.record.clone()
        } else {
            live
        }
    }
}

/// Since when a trial could have run: since it was made, or its search was resumed.
fn free_since(job: &TuningJob, trial: &Trial, now: Timestamp) -> Timestamp {
    let made = trial.creation_timestamp();
    let since = made.as_ref().map(from_time).max(resumed(job));
    since.unwrap_or(now)
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
    let mut owners = trial.owner_references().iter();
    owners.any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
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

/// The first trial of a search as it is tried whether the world would take a run of it. It is never stored.
pub(super) fn tried(search: &str) -> Trial {
    let spec = TrialSpec {
        index: 1,
        parameters: BTreeMap::new(),
        seed: 0,
        origin: String::new(),
    };
    Trial::new(&format!("{search}-1"), spec)
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
