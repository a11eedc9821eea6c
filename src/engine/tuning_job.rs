//! A search: its trials are looked at, the next step is planned, carried out and reported.

use super::search_view::SearchView;
use super::trial::is_deleted;
use super::tuning_status::{Change, RECENT_TRIALS, change, status_of};
use super::{Engine, Left, in_words, story, trial, without_block};
use crate::ports::{Cluster, Events, PortError, Ports, TrialRunner};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, ResourceExt};
use podium_api::convert::{
    TrialSettings, from_time, name_of, record_of, settled_condition, shows, trial_settings,
    tuning_settings, with_conditions,
};
use podium_api::tuning_job::{RegisteredVersion, TuningJobStatus};
use podium_api::{TUNING_JOB_LABEL, Trial, TrialSpec, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::conditions_of;
use podium_core::tuning::expiry::{Expiry, expiry};
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
    pub(super) job: TuningJob,
    pub(super) view: SearchView,
    /// The trials that are not added up in the view.
    pub(super) trials: Vec<Arc<Trial>>,
}

impl<P: Ports> Engine<P> {
    /// Takes a search one step further; its trials are reconciled on their own.
    ///
    /// # Errors
    /// A port could not do what it was asked; what was stored is true.
    pub async fn reconcile_tuning_job(&self, name: &str) -> Result<Left, PortError> {
        let Some(job) = self.ports.cluster().get::<TuningJob>(name).await? else {
            self.forget(name);
            return Ok(Left::default());
        };
        let now = self.now();
        let uid = job.uid().unwrap_or_default();
        let trials = self.ports.cluster().owned::<Trial>(&uid).await?;
        let unsupported = self.ports.unsupported(&job.spec);
        let (search, runs) = match (tuning_settings(&job), trial_settings(&job.spec)) {
            (Ok(search), Ok(runs)) if unsupported.is_empty() => (search, runs),
            _ if !is_deleted(&job) && is_finished(&job, &trials) => {
                return self.expire(&job, now).await;
            }
            (search, runs) => {
                let problems = [search.err(), runs.err(), Some(unsupported)];
                let problems = problems.into_iter().flatten().flatten();
                let message = in_words(&problems.collect::<Vec<_>>());
                self.report_invalid(job, &message, now).await?;
                return Ok(Left::default());
            }
        };
        let mut view = self.take_view(name);
        view.take_in(&job, &search, &trials, RECENT_TRIALS);
        // What is written from here on replaces trials in a list that nobody else holds.
        drop(trials);
        let trials = view.open();
        if !is_deleted(&job) && is_finished(&job, &trials) {
            return self.expire(&job, now).await;
        }
        let observed = Observed { job, view, trials };
        let left = self
            .plan_and_carry_out(&observed, &search, &runs, now)
            .await?;
        self.keep_view(name, observed.view);
        Ok(left)
    }

    /// A finished search is deleted when its time has come.
    async fn expire(&self, job: &TuningJob, now: Timestamp) -> Result<Left, PortError> {
        let completed = job.status.as_ref().and_then(|s| s.completion_time.as_ref());
        let ttl = job.spec.ttl_seconds_after_finished;
        let ttl = ttl.filter(|_| self.conduct.delete_expired);
        let ttl = ttl.and_then(|seconds| u64::try_from(seconds).ok());
        match expiry(completed.map(from_time), ttl, now) {
            Expiry::Never => Ok(Left::default()),
            Expiry::At(at) => Ok(Left {
                look_again_at: Some(at),
                ..Left::default()
            }),
            Expiry::Now => {
                self.ports.cluster().delete(job).await?;
                Ok(Left::default())
            }
        }
    }

    async fn plan_and_carry_out(
        &self,
        observed: &Observed,
        search: &Settings,
        runs: &TrialSettings,
        now: Timestamp,
    ) -> Result<Left, PortError> {
        let mut trials = Vec::with_capacity(observed.trials.len());
        for trial in &observed.trials {
            let record = self.live_record(&observed.job, search, runs, trial);
            trials.push(observed_trial(trial, search, record.await?));
        }
        let before = observed.job.status.clone().unwrap_or_default();
        let started = before.start_time.as_ref().map_or(now, end_of_second);
        let mut input = TuningInput {
            settings: search,
            finished: observed.view.finished(),
            trials: &trials,
            started: Some(started),
            ended: None,
            registered: before.registered.as_ref().map(registered_version),
            blocked: self.refusal(observed, runs).await?,
            deleting: is_deleted(&observed.job),
        };
        // A search that had ended is judged as of then: what changed since is its specification and not how long it took.
        let completed = before.completion_time.as_ref().map(end_of_second);
        let began = Instant::now();
        let mut plan = tuning::plan(&input, completed.unwrap_or(now));
        if completed.is_some() && plan.report.ended.is_none() && !input.deleting {
            // It goes on, and its deadline counts from here.
            input.started = Some(now);
            plan = tuning::plan(&input, now);
        }
        let suggested = plan.actions.iter().find_map(|action| match action {
            Action::CreateTrial(new) => Some(new.origin.as_str()),
            _ => None,
        });
        if let Some(origin) = suggested {
            self.ports.events().suggested(origin, began.elapsed());
        }
        // Before the report, which says what stands in the way of a trial.
        let created = self.create_trials(&observed.job, &plan.actions).await;
        if let Err(PortError::Permanent(why)) = &created {
            input.blocked = Some(why.clone());
            plan = tuning::plan(&input, now);
        }
        let started = input.started.unwrap_or(now);
        let mut status = status_of(observed, &before, &plan.report, started, now);
        let put_off = self.report(&observed.job, &before, &status, now).await?;
        if let Err(error @ PortError::Transient(_)) = created {
            return Err(error);
        }
        for action in &plan.actions {
            if let Some(registered) = self.carry_out(observed, search, runs, action).await? {
                status.registered = Some(registered);
                self.write_job_status(&observed.job, status.clone()).await?;
            }
        }
        let blocked = input
            .blocked
            .is_some()
            .then(|| now.plus_seconds(REFUSED_AGAIN_SECONDS));
        let look_again_at = [plan.report.look_again_at, put_off, blocked];
        Ok(Left {
            acted: !plan.actions.is_empty(),
            waiting: put_off.is_some(),
            look_again_at: look_again_at.into_iter().flatten().min(),
        })
    }

    async fn create_trials(&self, job: &TuningJob, actions: &[Action]) -> Result<(), PortError> {
        for action in actions {
            if let Action::CreateTrial(new) = action {
                let trial = trial_object(job, new);
                self.ports.cluster().create(&trial).await?;
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
        if let Some(happened) = story::job_changed(job, before, after) {
            self.ports.events().publish(happened).await;
        }
        Ok(None)
    }

    /// Asks the world, before the first trial, whether it would take such a trial at all.
    async fn refusal(
        &self,
        observed: &Observed,
        runs: &TrialSettings,
    ) -> Result<Option<String>, PortError> {
        let job = &observed.job;
        // A world that took a trial takes the next one, and deleting needs no trials.
        if observed.view.has_trials() || job.spec.suspend || is_deleted(job) {
            return Ok(None);
        }
        let spec = TrialSpec {
            index: 1,
            parameters: BTreeMap::new(),
            seed: 0,
            origin: String::new(),
        };
        let probe = Trial::new(&format!("{}-1", job.name_any()), spec);
        let refusal = self
            .ports
            .runner()
            .refusal(&trial::request(job, runs, &probe, 1))
            .await?;
        Ok(refusal.map(|why| format!("spec.trial.job: {why}")))
    }

    async fn carry_out(
        &self,
        observed: &Observed,
        search: &Settings,
        runs: &TrialSettings,
        action: &Action,
    ) -> Result<Option<RegisteredVersion>, PortError> {
        match action {
            // Done before the report.
            Action::CreateTrial(_) => Ok(None),
            Action::StopTrial { name, reason } => {
                if let Some(trial) = observed.trials.iter().find(|t| &t.name_any() == name) {
                    self.stop_trial(&observed.job, search, runs, trial, *reason)
                        .await?;
                }
                Ok(None)
            }
            Action::RegisterWinner { trial, winner } => {
                self.register(observed, runs, trial, winner).await
            }
        }
    }

    async fn write_job_status(
        &self,
        job: &TuningJob,
        status: TuningJobStatus,
    ) -> Result<(), PortError> {
        let mut updated = job.clone();
        updated.status = Some(status);
        self.ports.cluster().write_status(&updated).await
    }

    /// What the schema could not refuse is said on the object, and nothing is done.
    async fn report_invalid(
        &self,
        job: TuningJob,
        message: &str,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let (phase, reason, message) = if is_deleted(&job) {
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
        self.report(&job, &before, &status, now).await.map(drop)
    }
}

/// A search that ended is not planned again, unless its specification changed since. An end that somebody else has written has no
/// time, or conditions that do not go together, or trials that go on.
fn is_finished(job: &TuningJob, trials: &[Arc<Trial>]) -> bool {
    job.status.as_ref().is_some_and(|status| {
        let ready = settled_condition(&status.conditions, "Ready");
        let reason = ready.and_then(|(_, reason, _)| Reason::parse(reason));
        let says = |phase| {
            let said = reason.map(|reason| conditions_of(phase, reason, ""));
            status.phase == Some(name_of(phase))
                && said.is_some_and(|said| shows(&status.conditions, &said))
        };
        status.observed_generation == job.metadata.generation
            && status.completion_time.is_some()
            && (says(Phase::Succeeded) || says(Phase::Failed))
            && trials
                .iter()
                .all(|trial| record_of(trial.status.as_ref()).phase.is_finished())
    })
}

/// The last moment of the second that a status names: no deadline comes early for what the status leaves out.
fn end_of_second(time: &Time) -> Timestamp {
    Timestamp(from_time(time).0.saturating_add(999))
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

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::convert::to_time;

    #[test]
    fn a_stored_start_is_never_before_the_moment_it_stands_for() {
        for moment in [0, 1, 499, 500, 999, 1_000, 1_764_191_723_456].map(Timestamp) {
            let known = end_of_second(&to_time(moment));
            assert!(known >= moment && known.milliseconds_since(moment) < 1_000);
            assert_eq!(
                to_time(known),
                to_time(moment),
                "what is written stays the same"
            );
        }
    }
}
