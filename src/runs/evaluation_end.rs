//! What the end of a comparison's run means. Pure.

use super::evaluation_message::{MessageError, Outcome, decode};
use crate::ports::{ConfirmationState, EndedRun, EvaluationState};
use podium_api::convert::to_time;
use podium_api::evaluation::EvaluationSpec;
use podium_core::tuning::trial::{Exit, Reason};

/// The reason of a run that left nothing that can be believed.
const MESSAGE_UNREADABLE: &str = "MessageUnreadable";
/// The reason of a run that ended by itself without an answer.
const RUN_FAILED: &str = "RunFailed";

/// How a run ended, and what it said.
enum End {
    Said(Outcome),
    Lost(String),
    Failed { reason: &'static str, why: String },
}

/// What the end of a run means for its comparison; `memory` is what its container may use, where that is limited.
#[must_use]
pub fn state_of(
    ended: &EndedRun,
    question: &str,
    spec: &EvaluationSpec,
    memory: Option<&str>,
) -> EvaluationState {
    match end_of(ended, question, spec, memory) {
        End::Said(Outcome::Compared(mut result)) => {
            result.evidence.read_time = Some(to_time(ended.started));
            EvaluationState::Finished(result)
        }
        End::Said(Outcome::Missing(files)) => EvaluationState::Missing(files),
        End::Said(Outcome::Unreadable(why)) => EvaluationState::Unreadable(why),
        End::Said(Outcome::Refused(why)) => EvaluationState::Refused(why),
        // Nobody asked for that.
        End::Said(Outcome::Unchanged | Outcome::Changed(_)) => EvaluationState::Failed {
            reason: MESSAGE_UNREADABLE,
            why: MessageError::OtherQuestion.to_string(),
        },
        End::Lost(why) => EvaluationState::Lost(why),
        End::Failed { reason, why } => EvaluationState::Failed { reason, why },
    }
}

/// What the end of a look at files means.
#[must_use]
pub fn confirmation_of(
    ended: &EndedRun,
    question: &str,
    spec: &EvaluationSpec,
    memory: Option<&str>,
) -> ConfirmationState {
    match end_of(ended, question, spec, memory) {
        End::Said(Outcome::Unchanged) => ConfirmationState::Unchanged {
            seen: ended.started,
        },
        End::Said(Outcome::Changed(file)) => ConfirmationState::Changed(file),
        End::Said(Outcome::Refused(why) | Outcome::Unreadable(why)) | End::Failed { why, .. } => {
            ConfirmationState::Unknown(why)
        }
        End::Said(Outcome::Compared(_) | Outcome::Missing(_)) => {
            ConfirmationState::Unknown(MessageError::OtherQuestion.to_string())
        }
        End::Lost(why) => ConfirmationState::Unknown(format!("its run was lost: {why}")),
    }
}

fn end_of(ended: &EndedRun, question: &str, spec: &EvaluationSpec, memory: Option<&str>) -> End {
    let failed = |reason, why: String| End::Failed { reason, why };
    match &ended.exit {
        Exit::Infrastructure(why) | Exit::NeverStarted(why) => End::Lost(why.clone()),
        Exit::OutOfMemory => failed(Reason::OutOfMemory.as_str(), out_of_memory(memory)),
        Exit::Code(code) => of_code(*code, ended, decode_of(ended, question, spec)),
        other => failed(RUN_FAILED, other.to_string()),
    }
}

fn decode_of(
    ended: &EndedRun,
    question: &str,
    spec: &EvaluationSpec,
) -> Result<Outcome, MessageError> {
    decode(question, spec, ended.message.text.as_deref())
}

/// A program that fails may say why; that it has found something, it says with code 0.
fn of_code(code: i32, ended: &EndedRun, said: Result<Outcome, MessageError>) -> End {
    match (code, said) {
        (0, Ok(outcome)) | (_, Ok(outcome @ Outcome::Refused(_))) => End::Said(outcome),
        (0, Err(error)) => End::Failed {
            reason: MESSAGE_UNREADABLE,
            why: error.to_string(),
        },
        (code, _) => {
            let last = ended.log_tail.trim();
            let said = match last.is_empty() {
                true => "and said nothing".to_string(),
                false => format!("and said: {last}"),
            };
            End::Failed {
                reason: RUN_FAILED,
                why: format!("its container exited with code {code} {said}"),
            }
        }
    }
}

fn out_of_memory(limit: Option<&str>) -> String {
    let now = limit.map_or_else(
        || "none is set there, so that the namespace or the node limits it".to_string(),
        |limit| format!("now {limit}"),
    );
    format!(
        "it used more memory than it may: raise `resources.limits.memory` ({now}) of the container `evaluator` in `spec.evidence.evaluator.podTemplate` of the policy"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::evaluation_message::encode;
    use podium_core::evaluation::EvidenceFile;
    use podium_core::report::TerminationMessage;
    use podium_core::time::Timestamp;
    use serde_json::json;

    fn spec() -> EvaluationSpec {
        serde_json::from_value(json!({
            "policyRef": {"name": "fraud"}, "model": "fraud",
            "champion": {"version": "1", "predictions": "s3://b/1"},
            "challenger": {"version": "2", "predictions": "s3://b/2"},
            "columns": {"id": "id", "label": "y"}, "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
        }))
        .unwrap()
    }

    fn ended(exit: Exit, message: Option<String>) -> EndedRun {
        EndedRun {
            exit,
            started: Timestamp(1_764_000_000_000),
            ended: Timestamp(1_764_000_009_000),
            log_tail: message.clone().unwrap_or_default(),
            message: TerminationMessage {
                text: message,
                ..TerminationMessage::default()
            },
            pod: Some("fraud-1-2-1-abcde".to_string()),
        }
    }

    fn state(exit: Exit, message: Option<String>, memory: Option<&str>) -> EvaluationState {
        state_of(&ended(exit, message), "question", &spec(), memory)
    }

    fn failed(state: &EvaluationState) -> (&'static str, &str) {
        match state {
            EvaluationState::Failed { reason, why } => (reason, why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_run_says_counts_when_it_ended_well() {
        let say = |outcome: &Outcome| Some(encode("question", outcome));
        let missing = Outcome::Missing(vec![EvidenceFile::Champion]);
        let refused = Outcome::Refused("row 7".to_string());
        assert_eq!(
            state(Exit::Code(0), say(&missing), None),
            EvaluationState::Missing(vec![EvidenceFile::Champion])
        );
        for code in [0, 1] {
            assert_eq!(
                state(Exit::Code(code), say(&refused), None),
                EvaluationState::Refused("row 7".to_string())
            );
        }
        let found_and_failed = state(Exit::Code(1), say(&missing), None);
        assert_eq!(failed(&found_and_failed).0, "RunFailed");
        let other = encode("another question", &missing);
        let said = state(Exit::Code(0), Some(other), None);
        assert_eq!(failed(&said).0, "MessageUnreadable");
        let unasked = state(Exit::Code(0), say(&Outcome::Unchanged), None);
        assert_eq!(failed(&unasked).0, "MessageUnreadable");
    }

    #[test]
    fn each_end_without_a_message_is_told_apart() {
        let lost = Exit::Infrastructure("Evicted: the node was low on memory".to_string());
        assert_eq!(
            state(lost, None, None),
            EvaluationState::Lost("Evicted: the node was low on memory".to_string())
        );
        let waited = Exit::NeverStarted("ErrImagePull".to_string());
        assert_eq!(
            state(waited, None, None),
            EvaluationState::Lost("ErrImagePull".to_string())
        );
        let killed = state(Exit::OutOfMemory, None, Some("20Mi"));
        let (reason, why) = failed(&killed);
        assert_eq!(reason, "OutOfMemory");
        assert!(why.contains("resources.limits.memory` (now 20Mi)"), "{why}");
        for (exit, message, reason, said) in [
            (Exit::Code(0), None, "MessageUnreadable", "left no message"),
            (Exit::Code(2), None, "RunFailed", "code 2 and said nothing"),
            (
                Exit::Code(1),
                Some("error: no such option"),
                "RunFailed",
                "and said: error: no such option",
            ),
            (Exit::DeadlineExceeded, None, "RunFailed", "longer than"),
        ] {
            let state = state(exit, message.map(str::to_string), None);
            let (found, why) = failed(&state);
            assert_eq!(found, reason);
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn a_look_at_files_says_what_it_found_or_why_it_found_nothing() {
        let found = |exit, message| confirmation_of(&ended(exit, message), "q", &spec(), None);
        let say = |outcome: &Outcome| Some(encode("q", outcome));
        assert_eq!(
            found(Exit::Code(0), say(&Outcome::Unchanged)),
            ConfirmationState::Unchanged {
                seen: Timestamp(1_764_000_000_000)
            }
        );
        assert_eq!(
            found(
                Exit::Code(0),
                say(&Outcome::Changed(EvidenceFile::Challenger))
            ),
            ConfirmationState::Changed(EvidenceFile::Challenger)
        );
        for (exit, message) in [
            (Exit::Code(0), None),
            (
                Exit::Code(1),
                say(&Outcome::Refused("access denied".to_string())),
            ),
            (Exit::Infrastructure("its node is gone".to_string()), None),
            (
                Exit::Code(0),
                say(&Outcome::Missing(vec![EvidenceFile::Champion])),
            ),
        ] {
            let found = found(exit, message);
            assert!(matches!(found, ConfirmationState::Unknown(_)), "{found:?}");
        }
    }
}
