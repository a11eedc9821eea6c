//! The comparisons of a policy: what is asked, under which name, and what was answered.

use super::confirmation::changed_file;
use super::loaded_evaluation::{Files, LoadedEvaluation, SCORER_RUNS};
use super::predictions::{Sighted, predictions_uri};
use super::scoring::Round;
use crate::engine::evaluation::{FAILED, first_difference, judged};
use crate::engine::{Engine, without_block};
use crate::ports::{Cluster, ObjectStore, PortError, Ports, Sight};
use kube::{Resource, ResourceExt};
use podium_api::champion_policy::HoldoutSpec;
use podium_api::evaluation::{
    EvaluatedHoldout, EvaluatedVersion, EvaluationSpec, EvaluationStatus, MeasurementPair,
};
use podium_api::schema::LocalReference;
use podium_api::{ChampionPolicy, Evaluation};
use podium_core::champion::cause::digest;
use podium_core::champion::ledger::bounded;
use podium_core::comparison::Statistics;
use podium_core::looks::Sketch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Characters of an object's name before its digest.
const NAME: usize = 200;

/// What a policy asks of a pair, and of which files.
pub(super) struct Question {
    pub(super) object: Evaluation,
    files: Files,
}

impl Question {
    /// Whether only the runs of the comparison can see its files.
    pub(super) fn is_seen_by_runs_only(&self) -> bool {
        self.files.are_seen_by_runs_only()
    }

    /// The comparison that is to be created, which knows the runs of scorers that ended before.
    pub(super) fn asked_after(&self, scorer_runs: &[String]) -> Evaluation {
        let mut object = self.object.clone();
        if !scorer_runs.is_empty() {
            let runs = scorer_runs.join(" ");
            object
                .annotations_mut()
                .insert(SCORER_RUNS.to_string(), runs);
        }
        object
    }
}

/// What the scorers of champion and challenger measured, by name.
type Measured = [BTreeMap<String, f64>; 2];

impl<P: Ports> Engine<P> {
    /// The comparison that a policy asks for. Other files under the same addresses are another comparison where they can be seen; where only
    /// runs can see them, other inputs of their scorers are.
    pub(super) async fn question(
        &self,
        round: &Round<'_>,
        sighted: &[Sighted; 2],
        measurements: &[BTreeMap<String, f64>],
    ) -> Result<Question, PortError> {
        let spec = question_spec(round, measurements);
        let store = self.ports.store();
        let present = async |uri: &str| match store.look(uri).await? {
            Sight::Present(digest) => Ok(Some(digest)),
            Sight::Missing => Err(PortError::unavailable(format!(
                "{uri} is not there any more"
            ))),
            Sight::OnlyByRuns => Ok(None),
        };
        let files = Files {
            champion: present(&spec.champion.predictions).await?,
            challenger: present(&spec.challenger.predictions).await?,
            holdout: match &spec.holdout {
                Some(holdout) => match store.look(&holdout.uri).await? {
                    Sight::Present(digest) => Some(digest),
                    Sight::Missing => Some(String::new()),
                    Sight::OnlyByRuns => None,
                },
                None => None,
            },
        };
        let name = evaluation_name(round.object, &spec, &files, sighted);
        let mut evaluation = Evaluation::new(&name, spec);
        evaluation.metadata.owner_references = round
            .object
            .controller_owner_ref(&())
            .map(without_block)
            .map(|owner| vec![owner]);
        Ok(Question {
            object: evaluation,
            files,
        })
    }

    /// What the scorers of a pair measured when this very question was asked before. Only what was ordered was asked, and its name follows
    /// from the inputs of both scorers.
    pub(super) async fn measured_before(
        &self,
        round: &Round<'_>,
        sighted: &[Sighted; 2],
    ) -> Result<Option<Measured>, PortError> {
        let is_seen = sighted.iter().any(|it| !it.is_seen_by_runs_only());
        if !round.measures() || is_seen || !sighted.iter().any(Sighted::lacks_a_result) {
            return Ok(None);
        }
        let owner = round.object.uid().unwrap_or_default();
        let mut last: Option<(Arc<Evaluation>, Measured)> = None;
        let all = self.ports.cluster().owned::<Evaluation>(&owner).await?;
        for found in all.iter() {
            let EvaluationSpec {
                champion,
                challenger,
                ..
            } = &found.spec;
            let is_of_pair = [&champion.version, &challenger.version] == round.pair;
            let status = found.status.as_ref();
            let is_ordered = status.is_some_and(|status| status.phase.is_some());
            let is_older = last
                .as_ref()
                .is_some_and(|(last, _)| found.creation_timestamp() < last.creation_timestamp());
            if !is_of_pair || !is_ordered || is_older {
                continue;
            }
            let measured = measured(&found.spec.measurements);
            let question = self.question(round, sighted, &measured).await?;
            let is_same = question.object.name_any() == found.name_any();
            if is_same && difference(&question.object, found)?.is_none() {
                last = Some((Arc::clone(found), measured));
            }
        }
        Ok(last.map(|(_, measured)| measured))
    }

    /// The stored comparison, if there is one whose run was ordered. One that read other files than those that are there now, as this world
    /// or a look at them says, answers nothing and is removed.
    pub(super) async fn load_evaluation(
        &self,
        policy: &ChampionPolicy,
        question: &Question,
        sighted: &[Sighted; 2],
    ) -> Result<Option<LoadedEvaluation>, PortError> {
        let name = question.object.name_any();
        let cluster = self.ports.cluster();
        let Some(found) = cluster.get::<Evaluation>(&name).await? else {
            return Ok(None);
        };
        let difference = difference(&question.object, &found)?;
        let status = found.status.clone().unwrap_or_default();
        if difference.is_none() && status.phase.is_none() {
            return Ok(None);
        }
        if difference.is_none() && is_outdated(question, &status, policy) {
            cluster.delete(&found).await?;
            return Ok(None);
        }
        let statistics = status
            .statistics
            .clone()
            .map(serde_json::from_value)
            .transpose();
        let statistics: Option<Statistics> = statistics.map_err(|error| {
            PortError::refused(format!(
                "the status of the Evaluation {name} cannot be read: {error}"
            ))
        })?;
        let mut loaded = LoadedEvaluation {
            judged: statistics
                .as_ref()
                .and_then(|s| judged(&found.spec, &status, s)),
            sketch: status
                .evidence
                .as_ref()
                .and_then(|e| Sketch::parse(&e.sketch).ok()),
            statistics,
            difference,
            pair: [
                &question.object.spec.champion,
                &question.object.spec.challenger,
            ]
            .map(|version| version.version.clone()),
            object: found,
            scorer_runs: Vec::new(),
            made: false,
            overwritten: None,
        };
        loaded.with_scorers(sighted);
        if question.is_seen_by_runs_only() && loaded.is_overtaken() {
            cluster.delete(&loaded.object).await?;
            return Ok(None);
        }
        Ok(Some(loaded))
    }
}

/// Whether a stored comparison is not the answer any more: its files are known to be others, or it failed under another specification of
/// its policy, where nobody can see whether the files have changed since.
fn is_outdated(question: &Question, status: &EvaluationStatus, policy: &ChampionPolicy) -> bool {
    let read = status.evidence.as_ref().map(Files::as_read);
    let is_known = read.is_some_and(|read| question.files.differ_from(&read));
    let failed = status.phase.as_deref() == Some(FAILED);
    let may_end_otherwise = failed && status.policy_generation != policy.metadata.generation;
    is_known
        || changed_file(status).is_some()
        || (question.is_seen_by_runs_only() && may_end_otherwise)
}

fn question_spec(round: &Round<'_>, measurements: &[BTreeMap<String, f64>]) -> EvaluationSpec {
    let (object, settings) = (round.object, round.settings);
    let evidence = &object.spec.evidence;
    let version = |version: &str| EvaluatedVersion {
        version: version.to_string(),
        predictions: predictions_uri(evidence, version),
        source: round
            .registry
            .and_then(|view| view.versions.get(version))
            .map(|version| version.source.clone()),
    };
    let value = |of: Option<&BTreeMap<String, f64>>, name: &str| {
        of.and_then(|of| of.get(name)).copied().unwrap_or(f64::NAN)
    };
    let [champion, challenger] = round.pair;
    EvaluationSpec {
        policy_ref: LocalReference {
            name: object.name_any(),
        },
        model: object.spec.model.clone(),
        champion: version(champion),
        challenger: version(challenger),
        holdout: evidence.holdout.as_ref().and_then(holdout_file),
        store: evidence.store.clone(),
        columns: evidence.predictions.columns.clone(),
        slices: evidence.slices.clone(),
        test: object.spec.test.clone(),
        measurements: settings
            .measurements
            .keys()
            .map(|name| MeasurementPair {
                name: name.clone(),
                champion: value(measurements.first(), name),
                challenger: value(measurements.get(1), name),
            })
            .collect(),
        rows_noun: settings.rows_noun.clone(),
    }
}

/// The numbers of champion and challenger.
fn measured(pairs: &[MeasurementPair]) -> [BTreeMap<String, f64>; 2] {
    let of = |value: fn(&MeasurementPair) -> f64| {
        let pairs = pairs.iter();
        pairs.map(|pair| (pair.name.clone(), value(pair))).collect()
    };
    [of(|pair| pair.champion), of(|pair| pair.challenger)]
}

fn holdout_file(holdout: &HoldoutSpec) -> Option<EvaluatedHoldout> {
    holdout.uri.as_ref().map(|uri| EvaluatedHoldout {
        uri: uri.clone(),
        sha256: holdout.sha256.clone(),
    })
}

fn evaluation_name(
    object: &ChampionPolicy,
    spec: &EvaluationSpec,
    files: &Files,
    sighted: &[Sighted; 2],
) -> String {
    let text = serde_json::to_string(spec).unwrap_or_default();
    let holdout = files.holdout.as_deref().unwrap_or_default();
    let made_from = |digest: &Option<String>, version: &Sighted| {
        let known = digest.as_deref().or(version.inputs());
        known.unwrap_or_default().to_string()
    };
    let [champion, challenger] = sighted;
    let unique = digest(&[
        &object.name_any(),
        &text,
        &made_from(&files.champion, champion),
        &made_from(&files.challenger, challenger),
        holdout,
    ]);
    let plain = format!(
        "{}-{}-{}",
        object.name_any(),
        spec.champion.version,
        spec.challenger.version
    );
    format!("{}-{unique}", bounded(&object_name(&plain), NAME))
}

/// A text as part of an object's name: versions and people may be called what an object may not.
pub(super) fn object_name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    text.to_lowercase()
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect()
}

/// The path of the first field in which what was asked differs from what stands there.
pub(super) fn difference(
    asked: &Evaluation,
    found: &Evaluation,
) -> Result<Option<String>, PortError> {
    let owner = |object: &Evaluation| {
        let owners = object.owner_references().iter();
        let mut controllers = owners.filter(|owner| owner.controller == Some(true));
        controllers.next().map(|owner| owner.uid.clone())
    };
    if asked.spec == found.spec {
        let is_ours = owner(asked) == owner(found);
        return Ok((!is_ours).then(|| "metadata.ownerReferences".to_string()));
    }
    let json = |spec| serde_json::to_value(spec).map_err(|e| PortError::invalid(e.to_string()));
    let found = first_difference("spec", &json(&asked.spec)?, &json(&found.spec)?);
    Ok(Some(found.map_or_else(
        || "spec".to_string(),
        |difference| difference.path,
    )))
}
