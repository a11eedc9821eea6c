//! The comparisons of a policy: what is asked, under which name, and what was answered.

use super::confirmation::{changed_file, last_look, last_seen};
use super::scoring::predictions_uri;
use crate::engine::evaluation::{JudgedStatus, first_difference, judged};
use crate::engine::{Engine, without_block};
use crate::ports::{Cluster, ObjectStore, PortError, Ports};
use kube::{Resource, ResourceExt};
use podium_api::champion_policy::HoldoutSpec;
use podium_api::convert::{PolicySettings, World};
use podium_api::evaluation::{
    EvaluatedHoldout, EvaluatedVersion, EvaluationSpec, EvaluationStatus, EvidenceStatus,
    MeasurementPair,
};
use podium_api::schema::LocalReference;
use podium_api::{ChampionPolicy, Evaluation};
use podium_core::champion::cause::digest;
use podium_core::champion::ledger::bounded;
use podium_core::champion::{
    ComparedEvidence, EvaluationState, EvaluationView, Judged, JudgedLook, RegistryView,
};
use podium_core::comparison::{Measurement, Statistics};
use podium_core::looks::Sketch;
use podium_core::time::Timestamp;
use std::collections::BTreeMap;

/// Characters of an object's name before its digest.
const NAME: usize = 200;
/// Characters of a holdout's fingerprint that the ledger keeps.
const FINGERPRINT: usize = 16;

/// What a policy asks of a pair, and of which files.
pub(super) struct Question {
    pub(super) object: Evaluation,
    /// Digests of the files as they are now.
    files: Files,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    champion: String,
    challenger: String,
    holdout: Option<String>,
}

impl Files {
    fn as_read(evidence: &EvidenceStatus) -> Self {
        Self {
            champion: evidence.champion.sha256.clone(),
            challenger: evidence.challenger.sha256.clone(),
            holdout: evidence.holdout.as_ref().map(|file| file.sha256.clone()),
        }
    }
}

/// A comparison as it is stored.
pub(super) struct LoadedEvaluation {
    pub(super) object: Evaluation,
    /// The champion and the challenger that it was asked for; what stands in its place may name others.
    pair: [String; 2],
    /// The first field that is not what the policy asks; `None` where all are.
    difference: Option<String>,
    statistics: Option<Statistics>,
    judged: Option<JudgedStatus>,
    sketch: Option<Sketch>,
}

impl LoadedEvaluation {
    /// Whether the files could not be compared.
    pub(super) fn failed(&self) -> bool {
        let phase = self
            .object
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        self.difference.is_none() && phase == Some(crate::engine::evaluation::FAILED)
    }
}

impl<P: Ports> Engine<P> {
    /// The comparison that a policy asks for. Other files under the same addresses are another comparison.
    pub(super) async fn question(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        registry: Option<&RegistryView>,
        pair: [&str; 2],
        measurements: &[BTreeMap<String, f64>],
    ) -> Result<Question, PortError> {
        let spec = question_spec(object, settings, registry, pair, measurements);
        let store = self.ports.store();
        let gone = |uri: &str| PortError::unavailable(format!("{uri} is not there any more"));
        let present = async |uri: &str| {
            let found = store.digest(uri).await?;
            found.ok_or_else(|| gone(uri))
        };
        let files = Files {
            champion: present(&spec.champion.predictions).await?,
            challenger: present(&spec.challenger.predictions).await?,
            holdout: match &spec.holdout {
                Some(holdout) => Some(store.digest(&holdout.uri).await?.unwrap_or_default()),
                None => None,
            },
        };
        let name = evaluation_name(object, &spec, &files);
        let mut evaluation = Evaluation::new(&name, spec);
        evaluation.metadata.owner_references = object
            .controller_owner_ref(&())
            .map(without_block)
            .map(|owner| vec![owner]);
        Ok(Question {
            object: evaluation,
            files,
        })
    }

    /// The stored comparison, if there is one. One that read other files than those that are there now, as this world or a look at them
    /// says, answers nothing and is removed.
    pub(super) async fn load_evaluation(
        &self,
        question: Question,
    ) -> Result<Option<LoadedEvaluation>, PortError> {
        let name = question.object.name_any();
        let cluster = self.ports.cluster();
        let Some(found) = cluster.get::<Evaluation>(&name).await? else {
            return Ok(None);
        };
        let difference = difference(&question.object.spec, &found.spec)?;
        let status = found.status.clone().unwrap_or_default();
        let read = status.evidence.as_ref().map(Files::as_read);
        let read_others = read.is_some_and(|read| read != question.files);
        if difference.is_none() && (read_others || changed_file(&status).is_some()) {
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
        Ok(Some(LoadedEvaluation {
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
        }))
    }
}

fn question_spec(
    object: &ChampionPolicy,
    settings: &PolicySettings,
    registry: Option<&RegistryView>,
    [champion, challenger]: [&str; 2],
    measurements: &[BTreeMap<String, f64>],
) -> EvaluationSpec {
    let evidence = &object.spec.evidence;
    let version = |version: &str| EvaluatedVersion {
        version: version.to_string(),
        predictions: predictions_uri(evidence, version),
        source: registry
            .and_then(|view| view.versions.get(version))
            .map(|version| version.source.clone()),
    };
    let value = |of: Option<&BTreeMap<String, f64>>, name: &str| {
        of.and_then(|of| of.get(name)).copied().unwrap_or(f64::NAN)
    };
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

fn holdout_file(holdout: &HoldoutSpec) -> Option<EvaluatedHoldout> {
    holdout.uri.as_ref().map(|uri| EvaluatedHoldout {
        uri: uri.clone(),
        sha256: holdout.sha256.clone(),
    })
}

fn evaluation_name(object: &ChampionPolicy, spec: &EvaluationSpec, files: &Files) -> String {
    let text = serde_json::to_string(spec).unwrap_or_default();
    let holdout = files.holdout.as_deref().unwrap_or_default();
    let unique = digest(&[
        &object.name_any(),
        &text,
        &files.champion,
        &files.challenger,
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
fn difference(asked: &EvaluationSpec, found: &EvaluationSpec) -> Result<Option<String>, PortError> {
    if asked == found {
        return Ok(None);
    }
    let json = |spec| serde_json::to_value(spec).map_err(|e| PortError::invalid(e.to_string()));
    let found = first_difference("spec", &json(asked)?, &json(found)?);
    Ok(Some(found.map_or_else(
        || "spec".to_string(),
        |difference| difference.path,
    )))
}

/// What the core needs to know of the stored comparisons.
pub(super) fn views<'a>(
    loaded: &'a [LoadedEvaluation],
    settings: &PolicySettings,
    clock: (World, Timestamp),
) -> Vec<EvaluationView<'a>> {
    loaded
        .iter()
        .map(|evaluation| EvaluationView {
            name: evaluation.object.name_any(),
            champion: evaluation.pair[0].clone(),
            challenger: evaluation.pair[1].clone(),
            state: state_of(evaluation, settings, clock),
        })
        .collect()
}

fn state_of<'a>(
    loaded: &'a LoadedEvaluation,
    settings: &PolicySettings,
    clock: (World, Timestamp),
) -> EvaluationState<'a> {
    if let Some(field) = &loaded.difference {
        return EvaluationState::Foreign(field.clone());
    }
    let status = loaded.object.status.clone().unwrap_or_default();
    if loaded.failed() {
        return EvaluationState::Failed(status.message.unwrap_or_default());
    }
    let found = loaded
        .statistics
        .as_ref()
        .zip(loaded.sketch.as_ref())
        .zip(status.evidence.as_ref());
    let Some(((statistics, sketch), evidence)) = found else {
        return EvaluationState::Pending;
    };
    EvaluationState::Compared(Box::new(ComparedEvidence {
        digest: evidence_digest(&loaded.object.spec, evidence),
        holdout: evidence.fingerprint.chars().take(FINGERPRINT).collect(),
        sketch: sketch.clone(),
        statistics,
        measurements: measurements_of(&loaded.object.spec, settings),
        seen: last_seen(&status, clock),
        confirmation: last_look(&status),
        judged: loaded
            .judged
            .as_ref()
            .map(|judged| judged_view(judged, &status)),
    }))
}

fn judged_view(judged: &JudgedStatus, status: &EvaluationStatus) -> Judged {
    Judged {
        verdict: judged.comparison.verdict.clone(),
        look: judged.look.as_ref().map(|look| JudgedLook {
            number: u64::try_from(look.number).unwrap_or(0),
            allowed_error: look.allowed_error,
        }),
        lower_bound: judged.comparison.least_improvement(),
        sentence: status.sentence.clone().unwrap_or_default(),
    }
}

/// Digest of what was read and of how it was compared; consent names it.
fn evidence_digest(spec: &EvaluationSpec, evidence: &EvidenceStatus) -> String {
    let files = Files::as_read(evidence);
    let settings =
        serde_json::to_string(&(&spec.test, &spec.columns, &spec.slices, &spec.measurements));
    let settings = settings.unwrap_or_default();
    let holdout = files.holdout.as_deref().unwrap_or_default();
    digest(&[&files.champion, &files.challenger, holdout, &settings])
}

/// The numbers of both versions, with what the guardrails of the policy allow.
fn measurements_of(spec: &EvaluationSpec, settings: &PolicySettings) -> Vec<Measurement> {
    crate::engine::evaluation::measurements_of(spec, &settings.measurements)
}
