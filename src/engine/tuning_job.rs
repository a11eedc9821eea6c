//! A search: its trials are looked at, the next step is planned, carried out and reported.

use super::{Engine, Left, in_words, missing, trial};
use crate::ports::{Cluster, ModelRegistry as _, Moved, NewVersion, PortError, Ports, TrialRunner};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use podium_api::convert::{
    TrialSettings, name_of, record_of, settled_condition, to_time, trial_settings, tuning_settings,
    with_conditions,
};
use podium_api::tuning_job::{
    BestTrial, RecentTrial, RegisteredVersion, TrialCounts, TuningJobStatus,
};
use podium_api::{ModelRegistry, TUNING_JOB_LABEL, Trial, TrialSpec, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status, conditions};
use podium_core::tuning::{
    Action, NewTrial, ObservedTrial, REFIT_ORIGIN, Reason, Registered, Settings, TuningInput,
    TuningReport, plan,
};
use std::collections::BTreeMap;

const RECENT_TRIALS: usize = 5;

/// A search with everything that its plan depends on.
struct Observed {
    job: TuningJob,
    trials: Vec<Trial>,
}

impl<P: Ports> Engine<P> {
    /// Takes a search and its trials one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked; what was stored is true.
    pub async fn reconcile_tuning_job(&self, name: &str) -> Result<Left, PortError> {
        let Some(job) = self.ports.cluster().get::<TuningJob>(name).await? else {
            return Ok(Left::default());
        };
        if is_finished(&job) {
            return Ok(Left::default());
        }
        let now = self.now();
        let (search, runs) = match (tuning_settings(&job), trial_settings(&job.spec)) {
            (Ok(search), Ok(runs)) => (search, runs),
            (search, runs) => {
                let problems = [search.err(), runs.err()].into_iter().flatten().flatten();
                let message = in_words(&problems.collect::<Vec<_>>());
                self.report_invalid(job, &message, now).await?;
                return Ok(Left::default());
            }
        };
        let stepped = self.step_trials(&job, &search, &runs).await?;
        let observed = Observed {
            trials: self.trials_of(name).await?,
            job,
        };
        let planned = self
            .plan_and_carry_out(&observed, &search, &runs, now)
            .await?;
        Ok(stepped.and(planned))
    }

    /// The trials of a search, by index.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn trials_of(&self, job: &str) -> Result<Vec<Trial>, PortError> {
        let mut trials = self.ports.cluster().list::<Trial>().await?;
        trials.retain(|t| {
            t.labels()
                .get(TUNING_JOB_LABEL)
                .is_some_and(|label| label == job)
        });
        trials.sort_by_key(|t| t.spec.index);
        Ok(trials)
    }

    async fn step_trials(
        &self,
        job: &TuningJob,
        search: &Settings,
        runs: &TrialSettings,
    ) -> Result<Left, PortError> {
        let mut left = Left::default();
        for trial in self.trials_of(&job.name_any()).await? {
            left = left.and(self.reconcile_trial(job, search, runs, &trial).await?);
        }
        Ok(left)
    }

    async fn plan_and_carry_out(
        &self,
        observed: &Observed,
        search: &Settings,
        runs: &TrialSettings,
        now: Timestamp,
    ) -> Result<Left, PortError> {
        let trials: Vec<ObservedTrial> = observed.trials.iter().map(observed_trial).collect();
        let before = observed.job.status.clone().unwrap_or_default();
        let started = before
            .start_time
            .as_ref()
            .map(podium_api::convert::from_time);
        let input = TuningInput {
            settings: search,
            trials: &trials,
            started: Some(started.unwrap_or(now)),
            ended: None,
            registered: before.registered.as_ref().map(|r| Registered {
                model: r.model.clone(),
                version: r.version.clone(),
            }),
            blocked: self.refusal(&observed.job, runs).await?,
        };
        let plan = plan(&input, now);
        let mut status = status_of(observed, &before, &plan.report, now);
        self.write_job_status(&observed.job, status.clone()).await?;
        for action in &plan.actions {
            if let Some(registered) = self.carry_out(observed, runs, action).await? {
                status.registered = Some(registered);
                self.write_job_status(&observed.job, status.clone()).await?;
            }
        }
        Ok(Left {
            acted: !plan.actions.is_empty(),
            waiting: false,
            look_again_at: plan.report.look_again_at,
        })
    }

    /// Asks the world once whether it would take such a trial at all.
    async fn refusal(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
    ) -> Result<Option<String>, PortError> {
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
        Ok(refusal.map(|why| format!("spec.trial.job.template.{why}")))
    }

    async fn carry_out(
        &self,
        observed: &Observed,
        runs: &TrialSettings,
        action: &Action,
    ) -> Result<Option<RegisteredVersion>, PortError> {
        match action {
            Action::CreateTrial(new) => {
                self.ports
                    .cluster()
                    .create(&trial_object(&observed.job, new))
                    .await?;
                Ok(None)
            }
            Action::StopTrial { name, reason } => {
                if let Some(trial) = observed.trials.iter().find(|t| &t.name_any() == name) {
                    self.stop_trial(&observed.job, runs, trial, *reason).await?;
                }
                Ok(None)
            }
            Action::RegisterWinner { trial, winner } => {
                self.register(&observed.job, runs, trial, winner).await
            }
        }
    }

    async fn register(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &str,
        winner: &str,
    ) -> Result<Option<RegisteredVersion>, PortError> {
        let Some(register) = &job.spec.register else {
            return Ok(None);
        };
        let reference = &register.registry_ref.name;
        let registry = self
            .ports
            .cluster()
            .get::<ModelRegistry>(reference)
            .await?
            .ok_or_else(|| missing("ModelRegistry", reference))?;
        let registry = self.ports.registry(&registry.spec)?;
        let source = trial::output_uri(job, runs, trial).unwrap_or_default();
        let tags = [
            ("tuning-job", job.name_any()),
            ("trial", trial.to_string()),
            ("winner", winner.to_string()),
        ];
        let version = registry
            .register(NewVersion {
                model: &register.model,
                key: &format!("{}/{trial}", job.uid().unwrap_or_default()),
                source: &source,
                tags: tags
                    .map(|(key, value)| (format!("podium.dev/{key}"), value))
                    .into(),
            })
            .await?;
        if let Some(alias) = &register.alias {
            let view = registry.view(&register.model).await?.unwrap_or_default();
            let from = view.aliases.get(alias).map(String::as_str);
            let moved = registry
                .move_alias(&register.model, alias, from, &version)
                .await?;
            if let Moved::Contended { .. } = moved {
                let message = format!(
                    "the alias `{alias}` of {} was moved by somebody else at the same time",
                    register.model
                );
                return Err(PortError::Transient(message));
            }
        }
        Ok(Some(RegisteredVersion {
            model: register.model.clone(),
            version,
        }))
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
        let condition = |kind, status| Condition {
            kind,
            status,
            reason: Reason::InvalidSpec.as_str().to_string(),
            message: message.to_string(),
        };
        let said = [
            condition("Ready", Status::False),
            condition("Succeeded", Status::Unknown),
            condition("Finished", Status::False),
            condition("Suspended", Status::False),
            condition("Stalled", Status::True),
        ];
        let mut status = job.status.clone().unwrap_or_default();
        status.phase = Some("Blocked".to_string());
        status.observed_generation = job.metadata.generation;
        status.conditions =
            with_conditions(&status.conditions, &said, job.metadata.generation, now);
        self.write_job_status(&job, status).await
    }
}

/// A search that ended is not planned again, unless its specification changed since.
fn is_finished(job: &TuningJob) -> bool {
    job.status.as_ref().is_some_and(|status| {
        let finished = settled_condition(&status.conditions, "Finished");
        finished.is_some_and(|(value, ..)| value == "True")
            && status.observed_generation == job.metadata.generation
    })
}

fn observed_trial(trial: &Trial) -> ObservedTrial {
    ObservedTrial {
        name: trial.name_any(),
        index: u32::try_from(trial.spec.index).unwrap_or(0),
        configuration: trial.spec.parameters.clone(),
        refit: trial.spec.origin == REFIT_ORIGIN,
        record: record_of(trial.status.as_ref()),
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
        owner_references: job.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    trial
}

fn status_of(
    observed: &Observed,
    before: &TuningJobStatus,
    report: &TuningReport,
    now: Timestamp,
) -> TuningJobStatus {
    let generation = observed.job.metadata.generation;
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let counts = report.counts;
    TuningJobStatus {
        observed_generation: generation,
        phase: Some(name_of(report.phase)),
        conditions: with_conditions(&before.conditions, &conditions(report), generation, now),
        start_time: before.start_time.clone().or_else(|| Some(to_time(now))),
        completion_time: before
            .completion_time
            .clone()
            .or_else(|| report.finished.then(|| to_time(now))),
        trials: Some(TrialCounts {
            total: number(counts.total),
            pending: number(counts.pending),
            queued: number(counts.queued),
            running: number(counts.running),
            succeeded: number(counts.succeeded),
            stopped_early: number(counts.stopped_early),
            infeasible: number(counts.infeasible),
            failed: number(counts.failed),
            retried: number(counts.retried),
        }),
        progress: Some(report.progress.clone()),
        best: report.best.as_ref().map(|best| BestTrial {
            trial: best.trial.clone(),
            objective: best.objective,
            metrics: best.metrics.clone(),
            parameters: best.parameters.clone(),
            interval: None,
            indistinguishable: Vec::new(),
        }),
        importance: Vec::new(),
        recent_trials: recent(&observed.trials),
        estimated_completion_time: report.estimated_completion.map(to_time),
        tracking: None,
        registered: before.registered.clone(),
    }
}

fn recent(trials: &[Trial]) -> Vec<RecentTrial> {
    let mut ended: Vec<&Trial> = trials
        .iter()
        .filter(|t| {
            t.status
                .as_ref()
                .is_some_and(|s| s.completion_time.is_some())
        })
        .collect();
    ended.sort_by_key(|t| {
        let time = t.status.as_ref().and_then(|s| s.completion_time.as_ref());
        std::cmp::Reverse((time.map(podium_api::convert::from_time), t.spec.index))
    });
    ended
        .into_iter()
        .take(RECENT_TRIALS)
        .map(|t| RecentTrial {
            name: t.name_any(),
            phase: t
                .status
                .as_ref()
                .and_then(|s| s.phase.clone())
                .unwrap_or_default(),
            objective: t.status.as_ref().and_then(|s| s.objective),
        })
        .collect()
}
