//! The scorer: it makes the predictions of a version, again when its inputs changed, and once more per run after it failed.

use super::comparisons::object_name;
use super::predictions::predictions_uri;
use super::scorer_attempts::Attempts;
use crate::engine::{Engine, without_block};
use crate::ports::{PortError, Ports, Run, RunId, RunRequest, StartOutcome, TrialRunner};
use crate::runs::job_manifest::job_name;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{Resource, ResourceExt};
use podium_api::champion_policy::ScorerSpec;
use podium_api::convert::{PolicySettings, job_spec};
use podium_api::tuning_job::JobMetadata;
use podium_api::{ChampionPolicy, ModelRegistry};
use podium_core::champion::cause::digest;
use podium_core::champion::ledger::bounded;
use podium_core::champion::{Predictions, RegistryView};
use podium_core::tuning::trial::Exit;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// Characters of a run's name: it is the name of an object or a directory, and a digest makes it unique.
const RUN_NAME: usize = 50;
/// Where a scorer finds the files of a model that MLflow keeps.
const TRACKING: &str = "MLFLOW_TRACKING_URI";

/// What is made and asked for one pair of versions.
pub(super) struct Round<'a> {
    pub(super) object: &'a ChampionPolicy,
    pub(super) settings: &'a PolicySettings,
    /// The registry of the policy.
    pub(super) named: &'a ModelRegistry,
    /// What stands in it.
    pub(super) registry: Option<&'a RegistryView>,
    /// Champion and challenger.
    pub(super) pair: [&'a str; 2],
}

impl Round<'_> {
    /// Whether scorers measure something, which is compared within the round.
    pub(super) fn measures(&self) -> bool {
        !self.settings.measurements.is_empty()
    }

    /// The versions beside which a scorer measures.
    fn beside(&self) -> &[&str] {
        if self.measures() {
            self.pair.as_slice()
        } else {
            &[]
        }
    }

    /// The files of a version, as the registry names them.
    fn source(&self, version: &str) -> &str {
        let version = self.registry.and_then(|view| view.versions.get(version));
        version.map_or("", |version| version.source.as_str())
    }
}

/// A scorer that is to run for a version.
pub(super) struct ScorerRun {
    name: String,
    job: Map<String, Value>,
    template: PodTemplateSpec,
    job_metadata: JobMetadata,
    variables: BTreeMap<String, String>,
    deadline_seconds: Option<u64>,
}

/// A scorer of a version as it is now.
pub(super) struct ScorerSight {
    run: ScorerRun,
    /// Digest of what it makes predictions from.
    pub(super) inputs: String,
    pub(super) attempts: Attempts,
}

impl ScorerSight {
    /// The run that ended well, by the name of its Job.
    pub(super) fn ended_run(&self) -> Option<String> {
        let Attempts { number, state, .. } = &self.attempts;
        let ended_well = matches!(state, Run::Ended(ended) if ended.exit == Exit::Code(0));
        ended_well.then(|| job_name(&self.run.name, number.saturating_sub(1)))
    }

    /// Whether this is the name of one of its Jobs.
    pub(super) fn has_run(&self, job: &str) -> bool {
        let parts = job.rsplit_once('-');
        parts.is_some_and(|(name, _)| name == self.run.name)
    }
}

impl<P: Ports> Engine<P> {
    /// The scorer of a version, and how far it is.
    pub(super) async fn scorer_sight(
        &self,
        round: &Round<'_>,
        scorer: &ScorerSpec,
        version: &str,
    ) -> Result<ScorerSight, PortError> {
        let (run, inputs) = self.scorer_run(round, scorer, version).await?;
        let attempts = self.attempts_of(round.object, &run).await?;
        Ok(ScorerSight {
            run,
            inputs,
            attempts,
        })
    }

    /// What the predictions of a pair are once their comparison failed: a scorer may depend on files that its template does not name, so
    /// those that this run did not make are made again, once.
    pub(super) async fn after_failed_comparison(
        &self,
        round: &Round<'_>,
        predictions: &mut [Predictions; 2],
    ) -> Result<(), PortError> {
        let Some(scorer) = &round.object.spec.evidence.scorer else {
            return Ok(());
        };
        for (version, found) in round.pair.iter().zip(predictions) {
            if !self.scored_before(round, version) {
                let (_, inputs) = self.scorer_run(round, scorer, version).await?;
                *found = Predictions::Missing { inputs };
            }
        }
        Ok(())
    }

    /// Whether this run of Podium had the predictions of a version made already.
    pub(super) fn scored_before(&self, round: &Round<'_>, version: &str) -> bool {
        let scored = self.scored.lock().unwrap_or_else(PoisonError::into_inner);
        scored.contains(&scored_key(round, version))
    }

    /// The run that scores a version, and the digest of its inputs.
    async fn scorer_run(
        &self,
        round: &Round<'_>,
        scorer: &ScorerSpec,
        version: &str,
    ) -> Result<(ScorerRun, String), PortError> {
        let ScorerSpec {
            job,
            active_deadline_seconds,
        } = scorer;
        let object = round.object;
        let template = serde_json::from_value(Value::Object(job.template.0.clone()));
        let template = template
            .map_err(|e| PortError::refused(format!("spec.evidence.scorer.job.template: {e}")))?;
        let mut run = ScorerRun {
            name: String::new(),
            job: job_spec(job),
            template,
            job_metadata: job.metadata.clone().unwrap_or_default(),
            variables: variables(round, version),
            deadline_seconds: active_deadline_seconds.and_then(|s| u64::try_from(s).ok()),
        };
        let inputs = self
            .ports
            .runner()
            .inputs(&request(object, &run, 1))
            .await?;
        let mut key = vec![object.name_any(), version.to_string(), inputs.clone()];
        key.extend(round.beside().iter().map(ToString::to_string));
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        let plain = object_name(&format!("{}-score-{version}", object.name_any()));
        run.name = format!("{}-{}", bounded(&plain, RUN_NAME - 21), digest(&key));
        Ok((run, inputs))
    }

    async fn attempts_of(
        &self,
        object: &ChampionPolicy,
        run: &ScorerRun,
    ) -> Result<Attempts, PortError> {
        let mut attempts = Attempts::NONE;
        loop {
            let found = self.ports.runner().observe(RunId {
                name: &run.name,
                attempt: attempts.number,
                owner: object.metadata.uid.as_deref(),
            });
            match found.await? {
                Run::Absent => return Ok(attempts),
                Run::Ended(ended) => attempts = attempts.after(ended),
                goes_on => return Ok(attempts.with(goes_on)),
            }
        }
    }

    /// Starts the scorer of a version.
    pub(super) async fn score(&self, round: &Round<'_>, version: &str) -> Result<(), PortError> {
        let Some(scorer) = &round.object.spec.evidence.scorer else {
            return Ok(());
        };
        let sight = self.scorer_sight(round, scorer, version).await?;
        let request = request(round.object, &sight.run, sight.attempts.number);
        if let Some(why) = self.ports.runner().dry_run(&request).await? {
            return Err(PortError::refused(format!(
                "spec.evidence.scorer.job: {why}"
            )));
        }
        match self.ports.runner().start(&request).await? {
            StartOutcome::Started | StartOutcome::AlreadyStarted => {
                let mut scored = self.scored.lock().unwrap_or_else(PoisonError::into_inner);
                scored.insert(scored_key(round, version));
                Ok(())
            }
            StartOutcome::Rejected(why) => Err(PortError::unavailable(why)),
        }
    }
}

/// What a scorer is told. The files of a model may be artifacts of MLflow, which only its address resolves.
fn variables(round: &Round<'_>, version: &str) -> BTreeMap<String, String> {
    let output = predictions_uri(&round.object.spec.evidence, version);
    let tracking = round.named.spec.mlflow.as_ref();
    let tracking = tracking.map(|mlflow| (TRACKING.to_string(), mlflow.url.clone()));
    let given = [
        ("MODEL_URI", round.source(version).to_string()),
        ("MODEL_VERSION", version.to_string()),
        ("OUTPUT_URI", output),
    ];
    let given = given.map(|(name, value)| (name.to_string(), value));
    given.into_iter().chain(tracking).collect()
}

fn request<'a>(object: &ChampionPolicy, run: &'a ScorerRun, attempt: u32) -> RunRequest<'a> {
    RunRequest {
        name: run.name.clone(),
        attempt,
        job: &run.job,
        template: &run.template,
        container: None,
        variables: run.variables.clone(),
        tracking: None,
        deadline_seconds: run.deadline_seconds,
        owner: object.controller_owner_ref(&()).map(without_block),
        labels: BTreeMap::new(),
        job_metadata: run.job_metadata.clone(),
    }
}

fn scored_key(round: &Round<'_>, version: &str) -> String {
    let uid = round.object.uid().unwrap_or_default();
    let mut key = vec![uid.as_str(), version];
    key.extend(round.beside());
    digest(&key)
}
