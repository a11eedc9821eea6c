//! One trial: its run is looked at, its end is judged, its record is stored before the next run is started.

use super::search_settings::SearchSettings;
use super::tracking::{MetricsLook, Startable, with_newest_run};
use super::trial_request::{is_refit, request, run_id};
use super::{Engine, Requeue, events};
use crate::ports::{Cluster, Events, PortError, Ports, StartOutcome, TrialRunner};
use kube::{Resource, ResourceExt};
use podium_api::convert::{TrialSettings, from_time, matches_record, record_of, settled_condition};
use podium_api::{Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning;
use podium_core::tuning::trial::{
    self, MetricsSources, Phase, Reason, Run, TrialAction, TrialInput, TrialPlan, TrialRecord,
    tell_other_cause,
};
use std::sync::Arc;

/// Runs that may be lost to the machine before a trial fails.
const MAX_INFRASTRUCTURE_FAILURES: u32 = 10;
/// A refused run is asked for again after this time.
const REFUSED_AGAIN_SECONDS: u64 = 15;

impl<P: Ports> Engine<P> {
    /// Takes one trial one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked; nothing is half-done.
    pub async fn reconcile_trial(&self, name: &str) -> Result<Requeue, PortError> {
        let Some(trial) = self.ports.cluster().get::<Trial>(name).await? else {
            self.forget_trial(name);
            return Ok(Requeue::default());
        };
        let record = record_of(trial.status.as_ref());
        if is_deleted(&trial) {
            return Ok(Requeue::default());
        }
        if record.phase.is_finished() && matches_record(trial.status.as_ref(), &record) {
            self.forget_reads(name);
            let run = run_id(&trial, record.current_attempt());
            self.ports.runner().end_leftovers(run).await?;
            let log_again = Requeue {
                at: self.log_end_of_trial(&trial, &record).await?,
                ..Requeue::default()
            };
            let removed = self.remove_recorded_run(&trial, &record).await?;
            return Ok(removed.and(log_again));
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
    pub(super) async fn job_of(&self, trial: &Trial) -> Result<Option<TuningJob>, PortError> {
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
        let observed = self.with_metrics(job, runs, observed).await;
        let record = observed.record.clone();
        let read_again_at = observed.look.again_at;
        let debounce = self.write_policy.debounce_seconds;
        let mut plan = self.plan_trial(job, settings, observed, debounce).await?;
        if plan.record.phase.is_finished() {
            self.forget_reads(&trial.name_any());
        } else {
            let looks = [plan.look_again_at, read_again_at];
            plan.look_again_at = looks.into_iter().flatten().min();
        }
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
            let Startable { trial, tracked } = match self.startable(job, runs, trial).await? {
                Ok(startable) => startable,
                Err(waits) => {
                    let reason = Reason::WaitingForTracking;
                    plan = self
                        .hold_refused(job, settings, trial, &plan.record, reason, waits.why)
                        .await?;
                    self.store_trial(job, runs, trial, &record, &plan.record)
                        .await?;
                    let looks = [plan.look_again_at, Some(waits.again_at)];
                    return Ok(Requeue {
                        changed: acted,
                        pending: !plan.record.phase.is_finished(),
                        at: looks.into_iter().flatten().min(),
                    });
                }
            };
            let trial = &trial;
            let request = request(job, runs, trial, attempt, tracked);
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
            look: MetricsLook::default(),
        })
    }

    /// The same with the metrics that stand in its run in MLflow, where they are needed.
    async fn with_metrics(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        mut view: TrialView,
    ) -> TrialView {
        let TrialView {
            trial, record, run, ..
        } = &view;
        view.look = self.tracked_metrics(job, runs, trial, record, run).await;
        view
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
            why: why.clone(),
        };
        let view = TrialView {
            trial: Arc::clone(trial),
            record: record.clone(),
            run: queued,
            look: MetricsLook::default(),
        };
        let debounce = self.write_policy.debounce_seconds;
        let mut plan = self.plan_trial(job, settings, view, debounce).await?;
        tell_other_cause(&mut plan.record, reason, &why);
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
        let observed = self.with_metrics(job, &settings.trials, observed).await;
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
        let known = newest.as_ref().and_then(|newest| newest.status.as_ref());
        if record_of(known).phase.is_finished() && !before.phase.is_finished() {
            return Ok(());
        }
        let tracked = with_newest_run(trial, newest.as_ref());
        let stored = self.write_trial_status(job, runs, &tracked, record).await?;
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
    /// What its run in MLflow says.
    look: MetricsLook,
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
            metrics: MetricsSources {
                order: &runs.sources,
                deadline_seconds: runs.metrics_deadline_seconds,
                tracked: &self.look.metrics,
            },
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
