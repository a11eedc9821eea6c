//! Looks at whether the files of a comparison are still what was read: what its status says of the last one, and how the next is asked for.
//!
//! When a look is needed is decided by [`podium_core::champion::confirmation_step`]; whoever carries out comparisons answers it in
//! `status.confirmation`.

use super::observe::Observed;
use crate::engine::Engine;
use crate::ports::{Cluster, PortError, Ports};
use kube::ResourceExt;
use podium_api::convert::{World, from_time, to_time};
use podium_api::evaluation::{ConfirmationStatus, EvaluationStatus};
use podium_core::champion::{Confirmation, ConfirmationAnswer};
use podium_core::time::Timestamp;

/// The address of a file that a look found gone, or not what was read any more.
pub(super) fn changed_file(status: &EvaluationStatus) -> Option<&str> {
    status.confirmation.as_ref()?.changed.as_deref()
}

/// When the files were last known to be what was read. On this machine their digests are compared in every look. In a cluster a look
/// follows the reading, whatever the clocks said then; files of which no time is known were never seen.
pub(super) fn last_seen(status: &EvaluationStatus, (world, now): (World, Timestamp)) -> Timestamp {
    let confirmed = status.confirmation.as_ref().and_then(confirmed_time);
    let read = || {
        let evidence = status.evidence.as_ref()?;
        evidence.read_time.as_ref().map(from_time)
    };
    match world {
        World::Local => now,
        World::Cluster => confirmed.or_else(read).unwrap_or(Timestamp(0)),
    }
}

/// The last look that was asked for.
pub(super) fn last_look(status: &EvaluationStatus) -> Option<Confirmation> {
    let look = status.confirmation.as_ref()?;
    Some(Confirmation {
        number: number_of(look),
        requested: from_time(&look.requested_time),
        answer: answer_of(look),
    })
}

fn number_of(look: &ConfirmationStatus) -> u32 {
    u32::try_from(look.number).unwrap_or(0)
}

/// What a look found; the worst of what is said counts.
fn answer_of(look: &ConfirmationStatus) -> Option<ConfirmationAnswer> {
    // Every field is named, so that a new one does not compile until it is heard.
    let ConfirmationStatus {
        number: _,         // which look it is
        requested_time: _, // when it was asked for
        confirmed_time,
        changed,
        message,
    } = look;
    match (changed, message, confirmed_time) {
        (Some(file), _, _) => Some(ConfirmationAnswer::Changed(file.clone())),
        (None, Some(why), _) => Some(ConfirmationAnswer::Failed(why.clone())),
        (None, None, Some(_)) => Some(ConfirmationAnswer::Unchanged),
        (None, None, None) => None,
    }
}

fn confirmed_time(look: &ConfirmationStatus) -> Option<Timestamp> {
    let confirmed = look.confirmed_time.as_ref().map(from_time);
    confirmed.filter(|_| answer_of(look) == Some(ConfirmationAnswer::Unchanged))
}

impl<P: Ports> Engine<P> {
    /// Asks for the look of this number at the files of a comparison, which must not have changed since the plan was made of it.
    pub(super) async fn ask_for_look(
        &self,
        observed: &Observed,
        name: &str,
        number: u32,
    ) -> Result<(), PortError> {
        let loaded = observed
            .evaluations
            .iter()
            .find(|loaded| loaded.object.name_any() == name);
        let Some(mut evaluation) = loaded.map(|loaded| loaded.object.clone()) else {
            return Ok(());
        };
        let status = evaluation.status.get_or_insert_default();
        status.confirmation = Some(ConfirmationStatus {
            number: i32::try_from(number).unwrap_or(i32::MAX),
            requested_time: to_time(self.now()),
            confirmed_time: None,
            changed: None,
            message: None,
        });
        self.ports.cluster().replace_status(&evaluation).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// 2026-01-01T12:00:00Z.
    const NOW: Timestamp = Timestamp(1_767_268_800_000);

    fn status(confirmation: Value) -> EvaluationStatus {
        let file = json!({"uri": "s3://b/a.csv", "sha256": "ab", "size": 1, "rows": 1});
        serde_json::from_value(json!({
            "evidence": {
                "readTime": "2026-01-01T11:00:00Z", "champion": file, "challenger": file, "fingerprint": "f", "sketch": "",
            },
            "confirmation": confirmation,
        }))
        .unwrap()
    }

    fn look(answer: &Value) -> Value {
        let mut look = json!({"number": 2, "requestedTime": "2026-01-01T11:50:00Z"});
        let answer = answer.as_object().unwrap().clone();
        look.as_object_mut().unwrap().extend(answer);
        look
    }

    #[test]
    fn a_status_says_when_files_were_last_seen_and_what_became_of_the_last_look() {
        let (read, confirmed) = (3600, 300);
        let confirmed_time = "2026-01-01T11:55:00Z";
        let gone = || ConfirmationAnswer::Changed("s3://b/a.csv".to_string());
        let failed = || ConfirmationAnswer::Failed("no rights".to_string());
        let cases = [
            (json!({}), None, read),
            (
                json!({"confirmedTime": confirmed_time}),
                Some(ConfirmationAnswer::Unchanged),
                confirmed,
            ),
            (json!({"changed": "s3://b/a.csv"}), Some(gone()), read),
            (json!({"message": "no rights"}), Some(failed()), read),
            (
                json!({"message": "no rights", "confirmedTime": confirmed_time}),
                Some(failed()),
                read,
            ),
            (
                json!({"changed": "s3://b/a.csv", "confirmedTime": confirmed_time}),
                Some(gone()),
                read,
            ),
        ];
        for (answer, expected, seconds) in cases {
            let status = status(look(&answer));
            let seen = last_seen(&status, (World::Cluster, NOW));
            assert_eq!(seen, Timestamp(NOW.0 - seconds * 1000), "{answer}");
            let last = last_look(&status).unwrap();
            assert_eq!((last.number, &last.answer), (2, &expected), "{answer}");
            let requested = NOW.milliseconds_since(last.requested);
            assert_eq!(requested, 600_000);
            assert_eq!(changed_file(&status).is_some(), expected == Some(gone()));
        }
    }

    #[test]
    fn without_a_look_the_reading_counts_and_without_a_time_nothing_was_seen() {
        let cluster = (World::Cluster, NOW);
        let unconfirmed = status(Value::Null);
        assert_eq!(last_look(&unconfirmed), None);
        assert_eq!(
            last_seen(&unconfirmed, cluster),
            Timestamp(NOW.0 - 3_600_000)
        );
        let nothing = EvaluationStatus::default();
        assert_eq!(last_seen(&nothing, cluster), Timestamp(0));
        assert_eq!(last_seen(&nothing, (World::Local, NOW)), NOW);
    }
}
