//! A search: its trials are looked at, the next step is planned, carried out and reported.

use super::search_end::is_finished;
use super::search_settings::SearchSettings;
use super::search_view::SearchView;
use super::trial::{TrialView, is_deleted};
use super::trial_request::{request, tried};
use super::tuning_status::{Change, RECENT_TRIALS, SearchClock, change, end_of_second, status_of};
use super::{Engine, Requeue, events, without_block};
use crate::ports::{Cluster, Created, Events, PortError, Ports, TrialRunner};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use podium_api::convert::{name_of, with_conditions};
use podium_api::tuning_job::{RegisteredVersion, TuningJobStatus};
use podium_api::{TUNING_JOB_LABEL, Trial, TrialSpec, TuningJob};
use podium_core::problem::{SpecProblem, in_one_line};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::conditions_of;
use podium_core::tuning::trial::TrialRecord;
use podium_core::tuning::{
    self, Action, DELETING, NewTrial, ObservedTrial, Phase, REFIT_ORIGIN, Reason, Registered,
    Settings, TuningInput,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// A refused template is asked about again after this time: what refuses it may have changed.
const REFUSED_AGAIN_SECONDS: u64 = 60;

/// A search with everything that its plan depends on.
pub(super) struct Observed {
    pub(super) job: Arc<TuningJob>,
    pub(super) settings: Arc<SearchSettings>,
    pub(super) view: SearchView,
    /// The trials that are not added up in the view.
    pub(super) trials: Vec<Arc<Trial>>,
}

impl<P: Ports> Engine<P> {
    /// Takes a search one step further; its trials are reconciled on their own.
    ///
    /// # Errors
    /// A port could not do what it was asked; what was stored is true.
    pub async fn reconcile_tuning_job(&self, name: &str) -> Result<Requeue, PortError> {
        let Some(job) = self.ports.cluster().get::<TuningJob>(name).await? else {
            self.forget(name);
            return Ok(Requeue::default());
        };
        let job = Arc::new(job);
        if let Some(at) = self.registration_waits_until(&job).await {
            // Its status says why, and this is no success that would take that back.
            return Ok(Requeue {
                at: Some(at),
                ..Requeue::default()
            });
        }
        let reconciled = self.reconcile_search(&job).await;
        match &reconciled {
            Ok(_) => self.succeeded(name),
            Err(error) => self.report_failure(&job, error).await,
        }
        reconciled
    }

    async fn reconcile_search(&self, job: &Arc<TuningJob>) -> Result<Requeue, PortError> {
        let now = self.now();
        let uid = job.uid().unwrap_or_default();
        let trials = self.ports.cluster().owned::<Trial>(&uid).await?;
        if !is_deleted(job.as_ref()) && is_finished(job, &trials) {
            return self.after_the_end(job, &trials, now).await;
        }
        let mut unsupported = self.ports.unsupported(&job.spec);
        unsupported.extend(self.unregistrable(job).await);
        unsupported.extend(self.untrackable(job).await);
        let settings = match self.settings_of(job).await? {
            Ok(settings) if unsupported.is_empty() => settings,
            converted => {
                let problems = converted.err().unwrap_or_default();
                let problems: Vec<SpecProblem> =
                    problems.iter().cloned().chain(unsupported).collect();
                return self.report_invalid(job, &in_one_line(&problems), now).await;
            }
        };
        let mut view = self.take_view(&job.name_any());
        let (searched, converted) = (Arc::clone(job), Arc::clone(&settings));
        let take_in = move || {
            view.take_in(&searched, &converted.search, &trials, RECENT_TRIALS);
            view
        };
        // What is written from here on replaces trials in a list that nobody else holds.
        let view = self.ports.compute(take_in).await?;
        let trials = view.open();
        let observed = Observed {
            job: Arc::clone(job),
            settings,
            view,
            trials,
        };
        let (observed, requeue) = self.plan_and_carry_out(observed, now).await?;
        self.keep_view(&job.name_any(), observed.view);
        Ok(requeue)
    }

    async fn plan_and_carry_out(
        &self,
        observed: Observed,
        now: Timestamp,
    ) -> Result<(Observed, Requeue), PortError> {
        let mut trials = Vec::with_capacity(observed.trials.len());
        for trial in &observed.trials {
            trials.push(self.observe_trial(trial).await?);
        }
        let before = observed.job.status.clone().unwrap_or_default();
        let situation = Situation {
            trials,
            blocked: self.dry_run(&observed).await?,
            before: before.clone(),
            now,
        };
        let planned = self.plan_search(observed, situation).await?;
        let (mut observed, mut situation, mut plan) = planned;
        // Before the report, which says what stands in the way of a trial.
        let created = self.create_trials(&observed.job, &plan.plan.actions).await;
        if let Err(error) = created.as_ref()
            && !error.is_transient()
        {
            situation.blocked = Some(error.message.clone());
            (observed, situation, plan) = self.plan_search(observed, situation).await?;
        }
        let Planned { plan, clock } = plan;
        let logged = self.track_search(&observed.job, plan.report.phase).await;
        let mut status = status_of(&observed, &before, &plan.report, &clock, now);
        status.tracking = logged.status;
        // While its reconciles fail, the search says so until one of them has come to its end.
        let is_failing = self.is_failing(&observed.job.name_any());
        let mut put_off = match is_failing {
            true => None,
            false => self.report(&observed.job, &before, &status, now).await?,
        };
        if let Err(error) = created
            && error.is_transient()
        {
            return Err(error);
        }
        for action in &plan.actions {
            if let Some(registered) = self.carry_out(&observed, action).await? {
                status.registered = Some(registered);
                self.write_job_status(&observed.job, status.clone()).await?;
            }
        }
        if is_failing {
            put_off = self.report(&observed.job, &before, &status, now).await?;
        }
        let blocked = situation.blocked.is_some();
        let blocked = blocked.then(|| now.plus_seconds(REFUSED_AGAIN_SECONDS));
        let more = (plan.actions.len() >= tuning::MOST_CREATIONS).then_some(now);
        let looks = [plan.report.look_again_at, put_off, blocked, more];
        let at = looks.into_iter().chain([logged.again_at]);
        let requeue = Requeue {
            changed: !plan.actions.is_empty(),
            pending: put_off.is_some(),
            at: at.flatten().min(),
        };
        Ok((observed, requeue))
    }

    async fn plan_search(
        &self,
        observed: Observed,
        situation: Situation,
    ) -> Result<(Observed, Situation, Planned), PortError> {
        let began = Instant::now();
        let planning = move || {
            let planned = situation.plan(&observed);
            (observed, situation, planned)
        };
        let (observed, situation, planned) = self.ports.compute(planning).await?;
        let suggested = planned.plan.actions.iter().find_map(|action| match action {
            Action::CreateTrial(new) => Some(new.origin.as_str()),
            _ => None,
        });
        if let Some(origin) = suggested {
            self.ports.events().suggested(origin, began.elapsed());
        }
        Ok((observed, situation, planned))
    }

    async fn create_trials(&self, job: &TuningJob, actions: &[Action]) -> Result<(), PortError> {
        for action in actions {
            if let Action::CreateTrial(new) = action {
                let trial = trial_object(job, new);
                let created = self.ports.cluster().create(&trial).await?;
                if created == Created::New && job.spec.tracking.is_some() {
                    self.tracking.made_trial(&new.name);
                }
            }
        }
        Ok(())
    }

    /// Writes a status that says something new. Mere counts wait until the last write is some seconds old, and until what
    /// follows from a change, such as the next trial, has happened too; returns until when.
    async fn report(
        &self,
        job: &TuningJob,
        before: &TuningJobStatus,
        after: &TuningJobStatus,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        let due = match change(before, after) {
            Change::None => return Ok(None),
            Change::Counts => self.counts_due(job, now),
            Change::State => now,
        };
        if now < due {
            return Ok(Some(due));
        }
        self.write_job_status(job, after.clone()).await?;
        if after.completion_time.is_some() {
            self.forget(&job.name_any());
        } else {
            self.reported(job, now);
        }
        if let Some(happened) = events::job_changed(job, before, after) {
            self.ports.events().publish(happened).await;
        }
        Ok(None)
    }

    /// Asks the world, before the first trial, whether it would take such a trial at all.
    async fn dry_run(&self, observed: &Observed) -> Result<Option<String>, PortError> {
        let (job, runs) = (&observed.job, &observed.settings.trials);
        // A world that took a trial takes the next one, and deleting needs no trials.
        if observed.view.has_trials() || job.spec.suspend || is_deleted(job.as_ref()) {
            return Ok(None);
        }
        let probe = tried(&job.name_any());
        let refusal = self
            .ports
            .runner()
            .dry_run(&request(job, runs, &probe, 1, None))
            .await?;
        Ok(refusal.map(|why| format!("spec.trial.job: {why}")))
    }

    async fn carry_out(
        &self,
        observed: &Observed,
        action: &Action,
    ) -> Result<Option<RegisteredVersion>, PortError> {
        match action {
            // Done before the report.
            Action::CreateTrial(_) => Ok(None),
            Action::StopTrial { name, reason } => {
                if let Some(trial) = observed.trials.iter().find(|t| &t.name_any() == name) {
                    let Observed { job, settings, .. } = observed;
                    self.stop_trial(job, settings, trial, *reason).await?;
                }
                Ok(None)
            }
            Action::RegisterWinner { trial, winner } => {
                self.register(observed, trial, winner).await
            }
        }
    }

    /// What the schema could not refuse is said on the object, and nothing is done.
    async fn report_invalid(
        &self,
        job: &TuningJob,
        message: &str,
        now: Timestamp,
    ) -> Result<Requeue, PortError> {
        let (phase, reason, message) = if is_deleted(job) {
            (Phase::Terminating, Reason::Deleted, DELETING)
        } else {
            (Phase::Blocked, Reason::InvalidSpec, message)
        };
        let said = conditions_of(phase, reason, message);
        let before = job.status.clone().unwrap_or_default();
        let generation = job.metadata.generation;
        let status = TuningJobStatus {
            phase: Some(name_of(phase)),
            observed_generation: generation,
            conditions: with_conditions(&before.conditions, &said, generation, now),
            ..before.clone()
        };
        // Other words for what is wrong are written a little later.
        let put_off = self.report(job, &before, &status, now).await?;
        Ok(Requeue {
            changed: false,
            pending: put_off.is_some(),
            at: put_off,
        })
    }
}

/// What a plan of a search depends on besides the search itself.
struct Situation {
    /// The trials that are not added up, in the order of [`Observed::trials`].
    trials: Vec<TrialView>,
    /// Why the world refuses trials at all.
    blocked: Option<String>,
    before: TuningJobStatus,
    now: Timestamp,
}

/// A plan, and the clock of its search.
struct Planned {
    plan: tuning::Plan,
    clock: SearchClock,
}

impl Situation {
    /// What is to be done. Pure.
    fn plan(&self, observed: &Observed) -> Planned {
        let Observed { job, settings, .. } = observed;
        let observed_trial = |view: &TrialView| {
            let record = view.live_record(job, settings, self.now);
            observed_trial(&view.trial, &settings.search, record)
        };
        let trials: Vec<ObservedTrial> = self.trials.iter().map(observed_trial).collect();
        let mut clock = SearchClock::of(&self.before, self.now);
        let mut input = TuningInput {
            settings: &settings.search,
            finished: observed.view.finished(),
            trials: &trials,
            started: Some(clock.started),
            suspended_milliseconds: clock.suspended_until(self.now),
            ended: None,
            registered: self.before.registered.as_ref().map(registered_version),
            blocked: self.blocked.clone(),
            deleting: is_deleted(job.as_ref()),
        };
        // A search that had ended is judged as of then: what changed since is its specification and not how long it took.
        let completed = self.before.completion_time.as_ref().map(end_of_second);
        let mut plan = tuning::plan(&input, completed.unwrap_or(self.now));
        if completed.is_some() && plan.report.ended.is_none() && !input.deleting {
            // It goes on, and its deadline counts from here.
            clock = SearchClock::begin(self.now);
            input.started = Some(clock.started);
            input.suspended_milliseconds = 0;
            plan = tuning::plan(&input, self.now);
        }
        Planned { plan, clock }
    }
}

fn registered_version(status: &RegisteredVersion) -> Registered {
    let RegisteredVersion {
        model,
        version,
        trial,
        alias,
        alias_left,
    } = status.clone();
    Registered {
        model,
        version,
        winner: trial,
        alias,
        alias_left,
    }
}

pub(super) fn observed_trial(
    trial: &Trial,
    search: &Settings,
    record: TrialRecord,
) -> ObservedTrial {
    let parameters = &trial.spec.parameters;
    // JSON has one kind of number: `1` may stand for the real 1.0.
    let admitted = search.space.admit_partial(parameters).ok();
    ObservedTrial {
        name: trial.name_any(),
        index: u32::try_from(trial.spec.index).unwrap_or(0),
        configuration: admitted.unwrap_or_else(|| parameters.clone()),
        refit: trial.spec.origin == REFIT_ORIGIN,
        record,
    }
}

fn trial_object(job: &TuningJob, new: &NewTrial) -> Trial {
    let mut trial = Trial::new(
        &new.name,
        TrialSpec {
            index: i32::try_from(new.index).unwrap_or(i32::MAX),
            parameters: new.configuration.clone(),
            seed: i64::try_from(new.seed).unwrap_or(i64::MAX),
            origin: new.origin.clone(),
        },
    );
    trial.metadata = ObjectMeta {
        name: Some(new.name.clone()),
        namespace: job.namespace(),
        labels: Some(BTreeMap::from([(
            TUNING_JOB_LABEL.to_string(),
            job.name_any(),
        )])),
        owner_references: job
            .controller_owner_ref(&())
            .map(|owner| vec![without_block(owner)]),
        ..ObjectMeta::default()
    };
    trial
}
