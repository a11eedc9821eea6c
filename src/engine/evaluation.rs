//! One comparison: asked for once, and stored as it was found.

use super::{Engine, Left};
use crate::ports::{Cluster, Compared, Evaluator, PortError, Ports};
use kube::ResourceExt;
use podium_api::Evaluation;
use podium_api::convert::{to_time, with_conditions};
use podium_api::evaluation::EvaluationStatus;
use podium_core::champion::{EvaluationState, EvaluationView, Outcome};
use podium_core::comparison::{Comparison, Naming, Verdict, sentence};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};

/// The phases of an `Evaluation` that end it.
const FINISHED: &str = "Finished";
const FAILED: &str = "Failed";

impl<P: Ports> Engine<P> {
    /// Takes a comparison one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn reconcile_evaluation(&self, name: &str) -> Result<Left, PortError> {
        let Some(mut evaluation) = self.ports.cluster().get::<Evaluation>(name).await? else {
            return Ok(Left::default());
        };
        let phase = evaluation.status.as_ref().and_then(|s| s.phase.as_deref());
        if matches!(phase, Some(FINISHED | FAILED)) {
            return Ok(Left::default());
        }
        let found = self
            .ports
            .evaluator()
            .evaluate(name, &evaluation.spec)
            .await?;
        let status = match found {
            Compared::Pending => {
                return Ok(Left {
                    waiting: true,
                    ..Left::default()
                });
            }
            Compared::Finished(comparison) => finished(&evaluation, &comparison)?,
            Compared::Refused(why) => EvaluationStatus {
                phase: Some(FAILED.to_string()),
                message: Some(why.chars().take(4096).collect()),
                ..EvaluationStatus::default()
            },
        };
        evaluation.status = Some(ended(&evaluation, status, self.now()));
        self.ports.cluster().write_status(&evaluation).await?;
        Ok(Left {
            acted: true,
            ..Left::default()
        })
    }
}

fn finished(
    evaluation: &Evaluation,
    comparison: &Comparison,
) -> Result<EvaluationStatus, PortError> {
    let champion = format!("v{}", evaluation.spec.champion.version);
    let challenger = format!("v{}", evaluation.spec.challenger.version);
    let naming = Naming {
        champion: &champion,
        challenger: &challenger,
        rows: &evaluation.spec.rows_noun,
    };
    finished_status(comparison, &naming)
}

/// The part of a status that says what a comparison found.
///
/// # Errors
/// The comparison cannot be written as JSON.
pub fn finished_status(
    comparison: &Comparison,
    naming: &Naming<'_>,
) -> Result<EvaluationStatus, PortError> {
    let whole =
        serde_json::to_value(comparison).map_err(|e| PortError::Permanent(e.to_string()))?;
    Ok(EvaluationStatus {
        phase: Some(FINISHED.to_string()),
        verdict: Some(verdict_name(&comparison.verdict).to_string()),
        sentence: Some(sentence(comparison, naming)),
        comparison: Some(whole),
        ..EvaluationStatus::default()
    })
}

/// The verdict in one word.
pub(super) fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Superior => "Superior",
        Verdict::Inferior => "Inferior",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::NotComparable { .. } => "NotComparable",
    }
}

fn ended(
    evaluation: &Evaluation,
    mut status: EvaluationStatus,
    now: Timestamp,
) -> EvaluationStatus {
    let refused = status.phase.as_deref() == Some(FAILED);
    let message = status
        .sentence
        .clone()
        .or_else(|| status.message.clone())
        .unwrap_or_default();
    let condition = |kind, holds: bool| Condition {
        kind,
        status: if holds { Status::True } else { Status::False },
        reason: if refused {
            "EvidenceRefused"
        } else {
            "Compared"
        }
        .to_string(),
        message: message.clone(),
    };
    let said = [condition("Ready", !refused), condition("Finished", true)];
    let generation = evaluation.metadata.generation;
    status.conditions = with_conditions(&Vec::new(), &said, generation, now);
    status.observed_generation = generation;
    status.completion_time = Some(to_time(now));
    status
}

/// What a policy needs to know of a comparison.
pub(super) fn view_of(evaluation: &Evaluation) -> EvaluationView {
    let status = evaluation.status.clone().unwrap_or_default();
    let outcome = match status.verdict.as_deref() {
        Some("Superior") => Outcome::Superior,
        Some("Inferior") => Outcome::Inferior,
        Some("Inconclusive") => Outcome::Inconclusive,
        _ => Outcome::NotComparable,
    };
    EvaluationView {
        name: evaluation.name_any(),
        evidence: format!(
            "{} {}",
            evaluation.spec.champion.digest, evaluation.spec.challenger.digest
        ),
        state: match status.phase.as_deref() {
            Some(FINISHED) => EvaluationState::Finished {
                outcome,
                sentence: status.sentence.unwrap_or_default(),
            },
            Some(FAILED) => EvaluationState::Failed(status.message.unwrap_or_default()),
            _ => EvaluationState::Pending,
        },
    }
}
