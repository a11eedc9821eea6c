//! The scorer: it makes the predictions of a version, again when its inputs changed, and once more per run after it failed.

use crate::engine::{Engine, without_block};
use crate::ports::{
    EndedRun, ObjectStore, PortError, Ports, Run, RunId, RunRequest, StartOutcome, TrialRunner,
};
use crate::runs::expansion::expand;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{Resource, ResourceExt};
use podium_api::ChampionPolicy;
use podium_api::champion_policy::{EvidenceSpec, ScorerSpec};
use podium_api::convert::{PolicySettings, World, job_spec};
use podium_api::tuning_job::JobMetadata;
use podium_core::champion::cause::digest;
use podium_core::champion::ledger::bounded;
use podium_core::champion::{Memory, Predictions, RegistryView, words};
use podium_core::report::Distinct;
use podium_core::tuning::trial::Exit;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// Characters of a run's name: it is the name of an object or a directory, and a digest makes it unique.
const RUN_NAME: usize = 50;

/// What is known of the predictions of a version.
pub(super) struct Scored {
    pub(super) predictions: Predictions,
    /// Numbers that its scorer left.
    pub(super) measurements: BTreeMap<String, f64>,
}

impl Scored {
    fn plain(predictions: Predictions) -> Self {
        Self {
            predictions,
            measurements: BTreeMap::new(),
        }
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

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    measurements: BTreeMap<String, f64>,
}

impl<P: Ports> Engine<P> {
    /// Whether the predictions of a version are there, for the comparison of `pair`.
    pub(super) async fn scored(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        memory: &Memory,
        version: &str,
        pair: &[&str; 2],
        registry: Option<&RegistryView>,
    ) -> Result<Scored, PortError> {
        let evidence = &object.spec.evidence;
        let uri = predictions_uri(evidence, version);
        let found = match self.ports.store().digest(&uri).await {
            Ok(found) => Ok(found.is_some()),
            Err(error) if !error.is_transient() => Err(error.message),
            Err(transient) => return Err(transient),
        };
        let scorer = match (&evidence.scorer, &found) {
            // No scorer makes predictions that nobody here can read.
            (Some(_), Err(why)) if self.ports.world() == World::Cluster => {
                return Ok(Scored::plain(Predictions::Unavailable(why.clone())));
            }
            (Some(scorer), _) => scorer,
            (None, _) => return Ok(self.without_scorer(settings, version, &uri, &found)),
        };
        let source = registry.and_then(|view| view.versions.get(version));
        let source = source
            .map(|version| version.source.as_str())
            .unwrap_or_default();
        let measures = !settings.measurements.is_empty();
        let beside = if measures { pair.as_slice() } else { &[] };
        let (run, inputs) = self
            .scorer_run(object, scorer, version, source, beside)
            .await?;
        let (_, state) = self.last_attempt(object, &run).await?;
        let known = memory.scored.get(version);
        // Predictions of which nothing was recorded were made by hand, and are taken as they are. A scorer that changes its own inputs
        // does not run for ever.
        let up_to_date = known.is_none_or(|known| *known == inputs)
            || self.scored_before(object, version, beside);
        match state {
            // A scorer that changes its own inputs would otherwise run for ever.
            Run::Absent if measures && self.scored_before(object, version, beside) => {
                let name = words::version(version);
                Ok(Scored::plain(Predictions::Unavailable(format!(
                    "the scorer of {name} changes its own inputs, so its measurement cannot be told from others"
                ))))
            }
            Run::Absent if found == Ok(true) && up_to_date && !measures => {
                Ok(Scored::plain(Predictions::Present))
            }
            Run::Absent => Ok(Scored::plain(Predictions::Missing { inputs })),
            Run::Queued { .. } | Run::Running { .. } => Ok(Scored::plain(Predictions::InProgress)),
            // What lies there now was made from other inputs since.
            Run::Ended(_) if !up_to_date => Ok(Scored::plain(Predictions::Missing { inputs })),
            Run::Ended(ended) => {
                Ok(self.after_scoring(settings, version, &uri, &found, &ended, inputs))
            }
        }
    }

    /// What the predictions of a pair are once their comparison failed: a scorer may depend on files that its template does not name, so
    /// those that this run did not make are made again, once.
    pub(super) async fn after_failed_comparison(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        pair: &[&str; 2],
        registry: Option<&RegistryView>,
        predictions: &mut [Predictions; 2],
    ) -> Result<(), PortError> {
        let Some(scorer) = &object.spec.evidence.scorer else {
            return Ok(());
        };
        let measures = !settings.measurements.is_empty();
        let beside = if measures { pair.as_slice() } else { &[] };
        for (version, found) in pair.iter().zip(predictions) {
            if !self.scored_before(object, version, beside) {
                let source = registry.and_then(|view| view.versions.get(*version));
                let source = source
                    .map(|version| version.source.as_str())
                    .unwrap_or_default();
                let (_, inputs) = self
                    .scorer_run(object, scorer, version, source, beside)
                    .await?;
                *found = Predictions::Missing { inputs };
            }
        }
        Ok(())
    }

    /// Whether this run of Podium had the predictions of a version made already.
    fn scored_before(&self, object: &ChampionPolicy, version: &str, beside: &[&str]) -> bool {
        let scored = self.scored.lock().unwrap_or_else(PoisonError::into_inner);
        scored.contains(&scored_key(object, version, beside))
    }

    fn without_scorer(
        &self,
        settings: &PolicySettings,
        version: &str,
        uri: &str,
        found: &Result<bool, String>,
    ) -> Scored {
        let name = words::version(version);
        if let Some(measurement) = settings.measurements.keys().next() {
            return Scored::plain(Predictions::Unavailable(format!(
                "a guardrail names the measurement `{measurement}`, and there is no `evidence.scorer` to take it"
            )));
        }
        Scored::plain(match found {
            Ok(true) => Predictions::Present,
            Ok(false) => Predictions::Unavailable(format!(
                "there are no predictions of {name} at {uri}, and no `evidence.scorer` to make them"
            )),
            Err(why) => Predictions::Unavailable(why.clone()),
        })
    }

    fn after_scoring(
        &self,
        settings: &PolicySettings,
        version: &str,
        uri: &str,
        found: &Result<bool, String>,
        ended: &EndedRun,
        inputs: String,
    ) -> Scored {
        let failure = match (&ended.exit, found) {
            (Exit::Code(0), Ok(true)) => match measurements_of(settings, ended) {
                Ok(measurements) => {
                    return Scored {
                        predictions: Predictions::Present,
                        measurements,
                    };
                }
                Err(why) => why,
            },
            (Exit::Code(0), Ok(false)) => format!("left no predictions at {uri}"),
            (Exit::Code(0), Err(why)) => format!("left no predictions: {why}"),
            (exit, _) => format!("failed: {exit}; its last lines: {}", ended.log_tail.trim()),
        };
        // A failure of an earlier run of Podium is tried once more: its cause may be gone.
        if ended.ended < self.started {
            return Scored::plain(Predictions::Missing { inputs });
        }
        let name = words::version(version);
        Scored::plain(Predictions::Unavailable(format!(
            "the scorer of {name} {failure}"
        )))
    }

    /// The run that scores a version, and the digest of its inputs. `beside` names the pair in whose round it is measured.
    async fn scorer_run(
        &self,
        object: &ChampionPolicy,
        scorer: &ScorerSpec,
        version: &str,
        source: &str,
        beside: &[&str],
    ) -> Result<(ScorerRun, String), PortError> {
        let ScorerSpec {
            job,
            active_deadline_seconds,
        } = scorer;
        let template = serde_json::from_value(Value::Object(job.template.0.clone()));
        let template = template
            .map_err(|e| PortError::refused(format!("spec.evidence.scorer.job.template: {e}")))?;
        let output = predictions_uri(&object.spec.evidence, version);
        let mut run = ScorerRun {
            name: String::new(),
            job: job_spec(job),
            template,
            job_metadata: job.metadata.clone().unwrap_or_default(),
            variables: BTreeMap::from([
                ("MODEL_URI".to_string(), source.to_string()),
                ("MODEL_VERSION".to_string(), version.to_string()),
                ("OUTPUT_URI".to_string(), output),
            ]),
            deadline_seconds: active_deadline_seconds.and_then(|s| u64::try_from(s).ok()),
        };
        let inputs = self
            .ports
            .runner()
            .inputs(&self.request(object, &run, 1))
            .await?;
        let mut key = vec![object.name_any(), version.to_string(), inputs.clone()];
        key.extend(beside.iter().map(ToString::to_string));
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        let plain =
            super::comparisons::object_name(&format!("{}-score-{version}", object.name_any()));
        run.name = format!("{}-{}", bounded(&plain, RUN_NAME - 21), digest(&key));
        Ok((run, inputs))
    }

    fn request<'a>(
        &self,
        object: &ChampionPolicy,
        run: &'a ScorerRun,
        attempt: u32,
    ) -> RunRequest<'a> {
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

    /// The attempt that counts, and its run: attempts that were lost with the machine do not count.
    async fn last_attempt(
        &self,
        object: &ChampionPolicy,
        run: &ScorerRun,
    ) -> Result<(u32, Run), PortError> {
        let mut last = (1, Run::Absent);
        for attempt in 1.. {
            let found = self.ports.runner().observe(RunId {
                name: &run.name,
                attempt,
                owner: object.metadata.uid.as_deref(),
            });
            match found.await? {
                Run::Absent => break,
                Run::Ended(ended) if matches!(ended.exit, Exit::Infrastructure(_)) => {
                    last = (attempt + 1, Run::Absent);
                }
                Run::Ended(ended) => last = (attempt + 1, Run::Ended(ended)),
                going_on => return Ok((attempt, going_on)),
            }
        }
        Ok(last)
    }

    /// Starts the scorer of a version for the comparison of `pair`.
    pub(super) async fn score(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        version: &str,
        pair: &[&str; 2],
        source: &str,
    ) -> Result<(), PortError> {
        let Some(scorer) = &object.spec.evidence.scorer else {
            return Ok(());
        };
        let measures = !settings.measurements.is_empty();
        let beside = if measures { pair.as_slice() } else { &[] };
        let (run, _) = self
            .scorer_run(object, scorer, version, source, beside)
            .await?;
        let (attempt, _) = self.last_attempt(object, &run).await?;
        let request = self.request(object, &run, attempt);
        if let Some(why) = self.ports.runner().dry_run(&request).await? {
            return Err(PortError::refused(format!(
                "spec.evidence.scorer.job: {why}"
            )));
        }
        match self.ports.runner().start(&request).await? {
            StartOutcome::Started | StartOutcome::AlreadyStarted => {
                let mut scored = self.scored.lock().unwrap_or_else(PoisonError::into_inner);
                scored.insert(scored_key(object, version, beside));
                Ok(())
            }
            StartOutcome::Rejected(why) => Err(PortError::unavailable(why)),
        }
    }
}

fn scored_key(object: &ChampionPolicy, version: &str, beside: &[&str]) -> String {
    let uid = object.uid().unwrap_or_default();
    let mut key = vec![uid.as_str(), version];
    key.extend(beside);
    digest(&key)
}

/// The numbers of a scorer's termination message; those that guardrails name must be there.
fn measurements_of(
    settings: &PolicySettings,
    ended: &EndedRun,
) -> Result<BTreeMap<String, f64>, String> {
    if settings.measurements.is_empty() {
        return Ok(BTreeMap::new());
    }
    let message = ended.message.text.as_deref().unwrap_or_default();
    let unreadable = |error: serde_json::Error| {
        format!(
            "must leave {{\"measurements\": {{\"NAME\": NUMBER}}}} in its termination message, since a guardrail names one: {error}"
        )
    };
    let read: Distinct = serde_json::from_str(message).map_err(unreadable)?;
    if let Some(place) = read.repeated.first() {
        return Err(format!(
            "must name each thing once in its termination message; `{}` stands in it twice",
            place.join(".")
        ));
    }
    let found: Message = serde_json::from_value(read.value).map_err(unreadable)?;
    let lacking = settings
        .measurements
        .keys()
        .find(|name| !found.measurements.contains_key(*name));
    match lacking {
        None => Ok(found.measurements),
        Some(name) => Err(format!(
            "left no measurement `{name}` in its termination message, which a guardrail names"
        )),
    }
}

/// Where the predictions of a version lie.
pub(super) fn predictions_uri(evidence: &EvidenceSpec, version: &str) -> String {
    let uri = &evidence.predictions.uri;
    let is_file_uri = uri
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
    let version = if is_file_uri {
        escaped(version)
    } else {
        version.to_string()
    };
    expand(uri, &BTreeMap::from([("version".to_string(), version)]))
}

/// A name with escapes for what has a meaning in a URI.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '%' | '?' | '#' => escaped.push_str(&format!("%{:02X}", u32::from(character))),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_name_in_a_uri() {
        let lies_at = |uri: &str, version: &str| {
            let evidence = serde_json::json!({"predictions": {"uri": uri, "columns": {"id": "id", "label": "y"}}});
            predictions_uri(&serde_json::from_value(evidence).unwrap(), version)
        };
        assert_eq!(
            lies_at("file://p/$(version)", "50%#1?"),
            "file://p/50%25%231%3F"
        );
        assert_eq!(lies_at("p/$(version).csv", "50%#1"), "p/50%#1.csv");
        assert_eq!(lies_at("s3://b/$(version)", "a b"), "s3://b/a b");
    }
}
