//! A look at whether the files of a comparison are still what was read, which its policy asks for before an alias moves.

use super::evaluation::uri_of;
use super::evaluation_run::{later, may_begin, pod_template};
use super::{Engine, Requeue};
use crate::ports::{ConfirmationState, EvaluationRun, Evaluator, PortError, Ports};
use podium_api::convert::{from_time, to_time};
use podium_api::evaluation::{ConfirmationStatus, EvaluationSpec, EvaluationStatus};
use podium_api::{ChampionPolicy, Evaluation};

/// A look that goes on is looked at again after this time.
const LOOK_AGAIN_SECONDS: u64 = 15;
/// Characters of a message.
const MESSAGE: usize = 4096;

impl<P: Ports> Engine<P> {
    /// Has the files of a comparison looked at, where that was asked for and is not answered.
    pub(super) async fn confirm_files(
        &self,
        evaluation: Evaluation,
        policy: &ChampionPolicy,
    ) -> Result<Requeue, PortError> {
        let status = evaluation.status.clone().unwrap_or_default();
        let asked = status.confirmation.clone();
        let Some(asked) = asked.filter(|asked| !is_answered(asked)) else {
            return Ok(Requeue::default());
        };
        let run = EvaluationRun {
            evaluation: &evaluation,
            number: u32::try_from(asked.number).unwrap_or(1),
            pod_template: pod_template(&policy.spec),
            // Nothing is compared, so that there is nothing to report.
            reports: None,
            may_begin: may_begin(policy),
        };
        let found = match self.ports.evaluator().confirm(&run).await {
            Err(error) if !error.is_transient() => ConfirmationState::Unknown(error.message),
            found => found?,
        };
        let Some(answered) = answered(asked, &evaluation.spec, found) else {
            let at = self.now().plus_seconds(LOOK_AGAIN_SECONDS);
            return Ok(Requeue {
                pending: true,
                ..later(at)
            });
        };
        let status = EvaluationStatus {
            confirmation: Some(answered),
            ..status
        };
        self.store_evaluation(&evaluation, status).await
    }
}

fn is_answered(asked: &ConfirmationStatus) -> bool {
    asked.confirmed_time.is_some() || asked.changed.is_some() || asked.message.is_some()
}

/// The look with its answer; `None` while there is none.
fn answered(
    asked: ConfirmationStatus,
    spec: &EvaluationSpec,
    found: ConfirmationState,
) -> Option<ConfirmationStatus> {
    Some(match found {
        ConfirmationState::Pending => return None,
        ConfirmationState::Unchanged { seen } => ConfirmationStatus {
            // No Job looks before it is asked to, whatever the clock of its node says.
            confirmed_time: Some(to_time(seen.max(from_time(&asked.requested_time)))),
            ..asked
        },
        ConfirmationState::Changed(file) => ConfirmationStatus {
            changed: Some(uri_of(spec, file).unwrap_or_default().to_string()),
            ..asked
        },
        ConfirmationState::Unknown(why) => ConfirmationStatus {
            message: Some(why.chars().take(MESSAGE).collect()),
            ..asked
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::time::Timestamp;
    use serde_json::json;

    #[test]
    fn the_clock_of_a_node_that_is_behind_makes_no_look_an_old_one() {
        let spec: EvaluationSpec = serde_json::from_value(json!({
            "policyRef": {"name": "fraud"}, "model": "fraud",
            "champion": {"version": "1", "predictions": "s3://b/1"},
            "challenger": {"version": "2", "predictions": "s3://b/2"},
            "columns": {"id": "id", "label": "y"}, "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
        }))
        .unwrap();
        let requested = Timestamp(1_764_000_000_000);
        let an_hour_before = Timestamp(requested.0 - 3_600_000);
        let a_minute_later = requested.plus_seconds(60);
        for (seen, expected) in [
            (an_hour_before, requested),
            (a_minute_later, a_minute_later),
        ] {
            let asked = ConfirmationStatus {
                number: 1,
                requested_time: to_time(requested),
                confirmed_time: None,
                changed: None,
                message: None,
            };
            let found = ConfirmationState::Unchanged { seen };
            let answered = answered(asked, &spec, found).unwrap();
            assert_eq!(answered.confirmed_time, Some(to_time(expected)));
        }
    }
}
