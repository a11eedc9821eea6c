//! One trial: its run is looked at, its end is judged, its record is stored before anything is started.

use super::{Engine, Left};
use crate::ports::{Cluster, PortError, Ports, RunRequest, TrialRunner};
use crate::trials::expansion::expand;
use kube::ResourceExt;
use podium_api::convert::{TrialSettings, record_of, trial_status};
use podium_api::{Trial, TuningJob};
use podium_core::tuning::trial::{self, Phase, Run, TrialAction, TrialInput, TrialRecord};
use podium_core::tuning::{REFIT_ORIGIN, Settings};
use std::collections::BTreeMap;

/// Runs that may be lost to the machine before a trial fails.
const MAX_INFRASTRUCTURE_FAILURES: u32 = 10;

impl<P: Ports> Engine<P> {
    /// Takes one trial one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked; nothing is half-done.
    pub async fn reconcile_trial(
        &self,
        job: &TuningJob,
        search: &Settings,
        runs: &TrialSettings,
        trial: &Trial,
    ) -> Result<Left, PortError> {
        let record = record_of(trial.status.as_ref());
        if record.phase.is_finished() {
            return Ok(Left::default());
        }
        let name = trial.name_any();
        let run = match current_attempt(&record) {
            Some(attempt) => self.ports.runner().observe(&name, attempt).await?,
            None => Run::Absent,
        };
        let refit = trial.spec.origin == REFIT_ORIGIN;
        let plan = trial::plan(&TrialInput {
            objective: (!refit).then_some(&search.objective),
            failure_rules: &runs.failure_rules,
            active_deadline_seconds: runs.active_deadline_seconds,
            max_infrastructure_failures: MAX_INFRASTRUCTURE_FAILURES,
            record: &record,
            run: &run,
        });
        let acted = plan.record != record || plan.action.is_some();
        let waiting = !plan.record.phase.is_finished();
        self.store_trial(job, runs, trial, &plan.record).await?;
        if let Some(TrialAction::Start { attempt }) = plan.action {
            self.ports
                .runner()
                .start(&request(job, runs, trial, attempt))
                .await?;
        }
        Ok(Left {
            acted,
            waiting,
            look_again_at: None,
        })
    }

    /// Ends a trial that nobody needs any more.
    pub(super) async fn stop_trial(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Trial,
        reason: trial::Reason,
    ) -> Result<(), PortError> {
        let record = record_of(trial.status.as_ref());
        if let Some(attempt) = current_attempt(&record) {
            self.ports.runner().stop(&trial.name_any(), attempt).await?;
        }
        let stopped = trial::stopped(&record, reason, self.now());
        self.store_trial(job, runs, trial, &stopped).await
    }

    async fn store_trial(
        &self,
        job: &TuningJob,
        runs: &TrialSettings,
        trial: &Trial,
        record: &TrialRecord,
    ) -> Result<(), PortError> {
        let mut updated = trial.clone();
        let output = output_uri(job, runs, &trial.name_any());
        updated.status = Some(trial_status(
            record,
            &trial.spec.parameters,
            output,
            trial.metadata.generation,
        ));
        self.ports.cluster().write_status(&updated).await
    }
}

fn current_attempt(record: &TrialRecord) -> Option<u32> {
    match record.phase {
        Phase::Pending | Phase::Queued | Phase::Running => record.attempts.last().map(|a| a.number),
        _ => None,
    }
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
    let parameters = &trial.spec.parameters;
    let mut variables: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    let given = [
        ("PODIUM_TUNING_JOB", Some(job.name_any())),
        ("PODIUM_TRIAL", Some(name.clone())),
        ("PODIUM_TRIAL_INDEX", Some(trial.spec.index.to_string())),
        ("PODIUM_SEED", Some(trial.spec.seed.to_string())),
        ("PODIUM_OUTPUT_URI", output_uri(job, runs, &name)),
        ("PODIUM_PARAMETERS", serde_json::to_string(parameters).ok()),
        (
            "PODIUM_REFIT",
            (trial.spec.origin == REFIT_ORIGIN).then(|| "true".to_string()),
        ),
    ];
    variables.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_string(), value?))),
    );
    RunRequest {
        name,
        attempt,
        template: &runs.template,
        container: runs.container.as_deref(),
        variables,
        deadline_seconds: runs.active_deadline_seconds,
    }
}
