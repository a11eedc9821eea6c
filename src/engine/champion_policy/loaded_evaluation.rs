//! A comparison as it is stored, and what the core needs to know of it.

use super::confirmation::{last_look, last_seen};
use super::predictions::Sighted;
use super::scoring::ScorerSight;
use crate::engine::evaluation::{
    EVIDENCE_REFUSED, FAILED, JudgedStatus, PENDING, WAITING, told_lack,
};
use kube::ResourceExt;
use podium_api::Evaluation;
use podium_api::convert::{PolicySettings, World, from_time, settled_condition};
use podium_api::evaluation::{EvaluationSpec, EvaluationStatus, EvidenceStatus};
use podium_core::champion::cause::digest;
use podium_core::champion::{
    ComparedEvidence, EvaluationState, EvaluationView, Judged, JudgedLook, WaitingFor,
};
use podium_core::comparison::{Measurement, Statistics};
use podium_core::looks::Sketch;
use podium_core::time::Timestamp;

/// Characters of a holdout's fingerprint that the ledger keeps.
const FINGERPRINT: usize = 16;
/// Names the runs of scorers that had ended well when a comparison was asked for.
pub(super) const SCORER_RUNS: &str = "podium.dev/scorer-runs";

/// Digests of files, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) champion: Option<String>,
    pub(super) challenger: Option<String>,
    pub(super) holdout: Option<String>,
}

impl Files {
    pub(super) fn as_read(evidence: &EvidenceStatus) -> Self {
        Self {
            champion: Some(evidence.champion.sha256.clone()),
            challenger: Some(evidence.challenger.sha256.clone()),
            holdout: evidence.holdout.as_ref().map(|file| file.sha256.clone()),
        }
    }

    /// Whether one that is known here is not what was read.
    pub(super) fn differ_from(&self, read: &Self) -> bool {
        let differs =
            |known: &Option<String>, read: &Option<String>| known.is_some() && known != read;
        differs(&self.champion, &read.champion)
            || differs(&self.challenger, &read.challenger)
            || differs(&self.holdout, &read.holdout)
    }

    /// Whether only the runs of the comparison can see them.
    pub(super) fn are_seen_by_runs_only(&self) -> bool {
        self.champion.is_none() || self.challenger.is_none()
    }
}

/// A comparison as it is stored.
pub(super) struct LoadedEvaluation {
    pub(super) object: Evaluation,
    /// The champion and the challenger that it was asked for; what stands in its place may name others.
    pub(super) pair: [String; 2],
    /// The first field that is not what the policy asks; `None` where all are.
    pub(super) difference: Option<String>,
    pub(super) statistics: Option<Statistics>,
    pub(super) judged: Option<JudgedStatus>,
    pub(super) sketch: Option<Sketch>,
    /// Runs of scorers that have ended well by now, by the names of their Jobs.
    pub(super) scorer_runs: Vec<String>,
    /// Whether one of them may have made what is missing since.
    pub(super) made: bool,
    /// Why the predictions of the champion are not taken for its own.
    pub(super) overwritten: Option<String>,
}

impl LoadedEvaluation {
    fn status(&self) -> Option<&EvaluationStatus> {
        self.object.status.as_ref()
    }

    fn phase(&self) -> Option<&str> {
        self.status()?.phase.as_deref()
    }

    /// Whether the files could not be compared.
    pub(super) fn failed(&self) -> bool {
        self.difference.is_none() && self.phase() == Some(FAILED)
    }

    /// Whether that was the fault of the files.
    fn was_refused(&self) -> bool {
        let conditions = self.status().map(|status| &status.conditions);
        let ready = conditions.and_then(|conditions| settled_condition(conditions, "Ready"));
        self.failed() && ready.is_some_and(|(_, reason, _)| reason == EVIDENCE_REFUSED)
    }

    /// Whether a run looked for this file in vain.
    pub(super) fn misses(&self, uri: &str) -> bool {
        let is_open = matches!(self.phase(), Some(PENDING | WAITING));
        let status = self
            .status()
            .filter(|_| is_open && self.difference.is_none());
        status.is_some_and(|status| status.missing.iter().any(|missing| missing == uri))
    }

    /// Whether the files were looked for again after the end of this run of a scorer.
    pub(super) fn followed(&self, run: &str) -> bool {
        let status = self.status();
        status.is_some_and(|status| status.scorer_runs.iter().any(|known| known == run))
    }

    /// The same of any run of a scorer.
    pub(super) fn followed_any(&self, scorer: &ScorerSight) -> bool {
        let status = self.status();
        status.is_some_and(|status| status.scorer_runs.iter().any(|run| scorer.has_run(run)))
    }

    /// Whether this run of a scorer had ended when the comparison was asked for.
    pub(super) fn was_asked_after(&self, run: &str) -> bool {
        let known = self.object.annotations().get(SCORER_RUNS);
        known.is_some_and(|known| known.split(' ').any(|known| known == run))
    }

    /// Takes in the runs of scorers that have ended well.
    pub(super) fn with_scorers(&mut self, sighted: &[Sighted; 2]) {
        self.scorer_runs = sighted.iter().filter_map(Sighted::ended_run).collect();
        self.made = sighted.iter().any(|version| {
            let is_new = |run: &String| !self.followed(run) && !self.was_asked_after(run);
            self.misses(&version.uri) && version.ended_run().as_ref().is_some_and(is_new)
        });
    }

    /// Whether the files were refused and a scorer has made them anew since.
    pub(super) fn is_overtaken(&self) -> bool {
        let is_new = |run: &String| !self.followed(run) && !self.was_asked_after(run);
        self.was_refused() && self.scorer_runs.iter().any(is_new)
    }
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
    if let Some(why) = &loaded.overwritten {
        return EvaluationState::Failed(why.clone());
    }
    let status = loaded.object.status.clone().unwrap_or_default();
    match loaded.phase() {
        Some(FAILED) => return EvaluationState::Failed(status.message.unwrap_or_default()),
        Some(WAITING) => return EvaluationState::Waiting(waiting_for(loaded, status)),
        Some(PENDING) if told_lack(&loaded.object).is_some() => {
            return EvaluationState::Waiting(waiting_for(loaded, status));
        }
        Some(PENDING) => return EvaluationState::Pending(status.message),
        _ => {}
    }
    let found = loaded
        .statistics
        .as_ref()
        .zip(loaded.sketch.as_ref())
        .zip(status.evidence.as_ref());
    let Some(((statistics, sketch), evidence)) = found else {
        return EvaluationState::Pending(None);
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

/// What a comparison waits for; while a run looks again, nobody asks for another look.
fn waiting_for(loaded: &LoadedEvaluation, status: EvaluationStatus) -> WaitingFor {
    let next = status.next_attempt_time.as_ref().map(from_time);
    let waits = loaded.phase() == Some(WAITING);
    WaitingFor {
        words: status.message.unwrap_or_default(),
        next: waits.then_some(next.unwrap_or(Timestamp(0))),
        made: loaded.made,
    }
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
    let settings =
        serde_json::to_string(&(&spec.test, &spec.columns, &spec.slices, &spec.measurements));
    let settings = settings.unwrap_or_default();
    let holdout = evidence.holdout.as_ref().map(|file| file.sha256.as_str());
    digest(&[
        &evidence.champion.sha256,
        &evidence.challenger.sha256,
        holdout.unwrap_or_default(),
        &settings,
    ])
}

/// The numbers of both versions, with what the guardrails of the policy allow.
fn measurements_of(spec: &EvaluationSpec, settings: &PolicySettings) -> Vec<Measurement> {
    crate::engine::evaluation::measurements_of(spec, &settings.measurements)
}
