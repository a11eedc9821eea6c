//! The ledger of a registered model, as parameters of a run: MLflow lets each be written once.
//!
//! Which run is the ledger must be agreed on by everybody who starts one. A run is created in the experiment `promotion-ledger`, and then the
//! experiment `promotion-ledger/MODEL` with the tag `podium.dev/ledger-run` that names it: names of experiments are unique, and the tags are
//! written in the same transaction, so one creator wins. The others delete their run and take the winner's. The run never ends.

use super::answer::{RequestError, RequestErrorKind};
use super::experiments::{self, is_deleted};
use super::runs;
use super::server::Server;
use crate::ports::{PortError, RegisterWrite};
use podium_core::champion::ledger::Register;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The experiment that holds the runs of all ledgers.
pub(super) const EXPERIMENT: &str = "promotion-ledger";
const RUN_TAG: &str = "podium.dev/ledger-run";
const NOTE_TAG: &str = "mlflow.note.content";
const NOTE: &str = "Podium's ledger of promotions: which policy owns an alias, what was decided, which looks at a holdout were paid for. It must outlive the cluster; do not delete it.";

/// The ledgers of a server.
#[derive(Debug)]
pub(super) struct LedgerRuns {
    server: Arc<Server>,
    /// Ids of the runs, by model. A ledger never moves to another run.
    runs: Mutex<HashMap<String, String>>,
}

impl LedgerRuns {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            runs: Mutex::default(),
        }
    }

    /// All registers of a model; none where it has no ledger yet.
    pub(super) async fn read(&self, model: &str) -> Result<BTreeMap<String, String>, RequestError> {
        match self.run_of(model).await? {
            Some(run) => self.registers(model, &run).await,
            None => Ok(BTreeMap::new()),
        }
    }

    /// Writes a register unless it was written before.
    pub(super) async fn write(
        &self,
        model: &str,
        register: &Register,
    ) -> Result<RegisterWrite, PortError> {
        register.check().map_err(PortError::refused)?;
        let run = match self.run_of(model).await? {
            Some(run) => run,
            None => self.start(model).await?,
        };
        let body = json!({"run_id": run, "key": register.key, "value": register.text});
        let Err(error) = self.server.post("runs/log-parameter", &body).await else {
            return Ok(RegisterWrite::Holds);
        };
        // A lost race, a deleted run and a bad name are answered alike, so only what stands there tells.
        let registers = self.registers(model, &run).await?;
        match registers.get(&register.key) {
            Some(text) if *text == register.text => Ok(RegisterWrite::Holds),
            Some(_) => Ok(RegisterWrite::Taken),
            None => Err(error.into()),
        }
    }

    async fn registers(
        &self,
        model: &str,
        run: &str,
    ) -> Result<BTreeMap<String, String>, RequestError> {
        let found = runs::find(&self.server, run).await?;
        let gone = |what: &str, mend: String| {
            let message = format!(
                "the run {run} that holds the ledger of `{model}` {what}; nothing is decided without it: {mend}"
            );
            RequestError::new(RequestErrorKind::Refused, message)
        };
        let Some(found) = found else {
            // An older copy of the database may name another one.
            self.known().remove(model);
            let mend = "restore the database of MLflow, or delete the experiment that names it and start anew";
            return Err(gone("does not exist any more", mend.to_string()));
        };
        if is_deleted(&found.info.lifecycle_stage) {
            let mend = format!("mlflow runs restore --run-id {run}");
            return Err(gone("was deleted", mend));
        }
        let params = found.data.params.into_iter();
        Ok(params.map(|param| (param.key, param.value)).collect())
    }

    /// The run of a model's ledger; `None` where there is none yet.
    async fn run_of(&self, model: &str) -> Result<Option<String>, RequestError> {
        if let Some(run) = self.known().get(model) {
            return Ok(Some(run.clone()));
        }
        let name = experiment_of(model);
        let Some(experiment) = experiments::find(&self.server, &name).await? else {
            return Ok(None);
        };
        if is_deleted(&experiment.lifecycle_stage) {
            let message = format!(
                "the experiment `{name}` that names the ledger of `{model}` was deleted; nothing is decided without it: mlflow experiments restore --experiment-id {}",
                experiment.experiment_id
            );
            return Err(RequestError::new(RequestErrorKind::Refused, message));
        }
        let named = experiment.tags.into_iter().find(|tag| tag.key == RUN_TAG);
        let Some(named) = named else {
            let message = format!(
                "the experiment `{name}` lacks the tag {RUN_TAG} that names the ledger of `{model}`: somebody else created it, or removed the tag"
            );
            return Err(RequestError::new(RequestErrorKind::Refused, message));
        };
        self.known().insert(model.to_string(), named.value.clone());
        Ok(Some(named.value))
    }

    /// Starts a ledger, or finds the one that somebody else started meanwhile.
    async fn start(&self, model: &str) -> Result<String, RequestError> {
        let shared = self.shared_experiment().await?;
        let run = self.create_run(model, &shared).await?;
        let tags = [(RUN_TAG, run.as_str()), (NOTE_TAG, NOTE)];
        // Once: after an answer that was lost, the experiment tells whether it was ours.
        let created = experiments::create(&self.server, &experiment_of(model), &tags).await;
        let agreed = match created {
            Ok(_) => run.clone(),
            Err(error) => self.run_of(model).await?.ok_or(error)?,
        };
        if agreed != run {
            self.delete_superfluous(&run).await;
        }
        self.known().insert(model.to_string(), agreed.clone());
        Ok(agreed)
    }

    /// Whoever lost needs no run of his own; one that stays harms nobody.
    async fn delete_superfluous(&self, run: &str) {
        let body = json!({"run_id": run});
        if let Err(error) = self.server.post("runs/delete", &body).await {
            tracing::warn!(run, error = error.message, "a superfluous ledger stays");
        }
    }

    async fn create_run(&self, model: &str, experiment: &str) -> Result<String, RequestError> {
        let name = format!("ledger of {model}");
        let body = json!({
            "experiment_id": experiment,
            "run_name": name,
            "start_time": jiff::Timestamp::now().as_millisecond(),
            "tags": [{"key": NOTE_TAG, "value": NOTE}],
        });
        runs::create(&self.server, &body).await
    }

    /// The id of the experiment that holds the runs of all ledgers; it is created where it does not exist.
    pub(super) async fn shared_experiment(&self) -> Result<String, RequestError> {
        let tags = [(NOTE_TAG, NOTE)];
        let found = experiments::find_or_create(&self.server, EXPERIMENT, &tags).await?;
        Ok(found.experiment_id)
    }

    /// Finds out whether this account may write to the experiment of all ledgers, by a tag that it has anyway.
    pub(super) async fn may_be_kept(&self) -> Result<(), RequestError> {
        let experiment = self.shared_experiment().await?;
        let body = json!({"experiment_id": experiment, "key": NOTE_TAG, "value": NOTE});
        let path = "experiments/set-experiment-tag";
        self.server.post(path, &body).await
    }

    /// Nobody asks for this model any more.
    pub(super) fn forget(&self, model: &str) {
        self.known().remove(model);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn experiment_of(model: &str) -> String {
    format!("{EXPERIMENT}/{model}")
}
