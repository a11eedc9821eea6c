//! Whether the files of evidence are still what was read, before an alias moves on it.
//!
//! Whoever decides may not read files: in a cluster, Jobs do. What a Job saw of them counts for [`MAX_EVIDENCE_AGE_SECONDS`]; after that
//! a Job has to look at them once more. A look costs a Job, so it is asked for when nothing else holds the move, and one at a time:
//!
//! | the last look | the files were seen within ten minutes | they were seen longer ago |
//! |---|---|---|
//! | none | proceed | ask for the first look |
//! | asked for, without an answer | proceed | await the answer |
//! | found nothing changed | proceed | ask for the next look |
//! | could not be carried out | proceed | pause, then ask for the next look |
//! | found a file changed or gone | give the evidence up | give the evidence up |
//!
//! The pauses grow with the numbers of the looks, so that they follow from what is stored.

use super::gates::{Awaits, Shut};
use super::input::{ComparedEvidence, EvaluationView};
use super::plan::Action;
use super::reason::Reason;
use crate::time::Timestamp;

/// Seconds for which files count as what they were when they were last seen.
pub const MAX_EVIDENCE_AGE_SECONDS: u64 = 600;

/// Seconds from the request of the first look to that of the second, if the first could not be carried out; each further look doubles
/// them.
const FIRST_PAUSE_SECONDS: u64 = 30;
const LONGEST_PAUSE_SECONDS: u64 = 600;

/// A look at whether the files of a comparison are still what was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Confirmation {
    /// Which look it is, from 1.
    pub number: u32,
    /// When it was asked for.
    pub requested: Timestamp,
    /// What became of it; `None` while it is not answered.
    pub answer: Option<ConfirmationAnswer>,
}

/// What became of a look at files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConfirmationAnswer {
    /// The files are what was read.
    Unchanged,
    /// The address of a file that is gone, or not what was read any more.
    Changed(String),
    /// The files could not be looked at; why.
    Failed(String),
}

/// What has to be done before an alias moves on a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfirmationStep<'a> {
    /// Nothing: the files were seen recently.
    Proceed,
    /// Ask for a look.
    Ask {
        /// Its number.
        number: u32,
        /// Why the look before could not be carried out, if that is so.
        failed: Option<&'a str>,
    },
    /// Wait for the answer to the look that was asked for.
    Await,
    /// Wait before the next look, since the last one could not be carried out.
    Pause {
        /// Why.
        failed: &'a str,
        /// How long.
        until: Timestamp,
    },
    /// Nothing helps: the comparison is one of other files.
    GiveUp {
        /// The address of a file that is gone, or not what was read any more.
        file: &'a str,
    },
}

impl Confirmation {
    /// When the next look may be asked for after this one could not be carried out, if that is later than `now`. A time ahead of the
    /// clock is none of this clock, and nothing waits for it.
    fn pauses_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.requested.plus_seconds(pause_seconds(self.number));
        (self.requested..until).contains(&now).then_some(until)
    }

    fn next_number(&self) -> u32 {
        self.number.saturating_add(1)
    }
}

fn pause_seconds(number: u32) -> u64 {
    let doublings = number.saturating_sub(1);
    FIRST_PAUSE_SECONDS
        .saturating_mul(2_u64.saturating_pow(doublings))
        .min(LONGEST_PAUSE_SECONDS)
}

/// Whether files that were last seen at this time count as what they were. A time that is as far ahead of the clock is none of this
/// clock, and says nothing.
fn is_recent(seen: Timestamp, now: Timestamp) -> bool {
    now.milliseconds_since(seen).unsigned_abs() <= MAX_EVIDENCE_AGE_SECONDS.saturating_mul(1000)
}

/// The table of this module: what the age of the evidence and the last look at its files ask for.
#[must_use]
pub fn confirmation_step(
    seen: Timestamp,
    last: Option<&Confirmation>,
    now: Timestamp,
) -> ConfirmationStep<'_> {
    use ConfirmationAnswer::{Changed, Failed, Unchanged};
    let looked = last.map(|look| (look, look.answer.as_ref()));
    match (looked, is_recent(seen, now)) {
        (Some((_, Some(Changed(file)))), _) => ConfirmationStep::GiveUp { file },
        (_, true) => ConfirmationStep::Proceed,
        (None, false) => ConfirmationStep::Ask {
            number: 1,
            failed: None,
        },
        (Some((_, None)), false) => ConfirmationStep::Await,
        (Some((look, Some(Unchanged))), false) => ConfirmationStep::Ask {
            number: look.next_number(),
            failed: None,
        },
        (Some((look, Some(Failed(failed)))), false) => match look.pauses_until(now) {
            Some(until) => ConfirmationStep::Pause { failed, until },
            None => ConfirmationStep::Ask {
                number: look.next_number(),
                failed: Some(failed),
            },
        },
    }
}

/// Shut until the files of a comparison were seen recently.
pub(super) fn check(
    evaluation: &EvaluationView<'_>,
    evidence: &ComparedEvidence<'_>,
    now: Timestamp,
) -> Result<(), Shut> {
    let shut = match confirmation_step(evidence.seen, evidence.confirmation.as_ref(), now) {
        ConfirmationStep::Proceed => return Ok(()),
        ConfirmationStep::Ask { number, failed } => {
            let action = Action::Confirm {
                evaluation: evaluation.name.clone(),
                number,
            };
            let shut = failed.map_or_else(unconfirmed, could_not_be_confirmed);
            shut.awaiting(Awaits::Confirmation(Some(Box::new(action))))
        }
        ConfirmationStep::Await => unconfirmed().awaiting(Awaits::Confirmation(None)),
        ConfirmationStep::Pause { failed, until } => could_not_be_confirmed(failed)
            .until(Some(until))
            .awaiting(Awaits::Confirmation(None)),
        ConfirmationStep::GiveUp { file } => {
            let why = format!("Held: {file} is gone, or is not what was judged any more.");
            Shut::new(Reason::EvidenceChanged, why)
        }
    };
    Err(shut)
}

fn unconfirmed() -> Shut {
    let why = format!(
        "It becomes champion once the files of the comparison are found unchanged; they were last seen more than {} minutes ago.",
        MAX_EVIDENCE_AGE_SECONDS / 60
    );
    Shut::new(Reason::ConfirmingEvidence, why)
}

fn could_not_be_confirmed(failed: &str) -> Shut {
    let why = format!(
        "Held: whether the files of the comparison changed since they were read could not be found out, and is tried again: {}.",
        failed.trim_end_matches('.')
    );
    Shut::new(Reason::EvidenceUnconfirmed, why)
}

#[cfg(test)]
mod tests {
    use super::ConfirmationAnswer::{Changed, Failed, Unchanged};
    use super::ConfirmationStep::{Ask, Await, GiveUp, Pause, Proceed};
    use super::*;

    const NOW: Timestamp = Timestamp(1_764_177_600_000);

    fn ago(seconds: i64) -> Timestamp {
        Timestamp(NOW.0 - seconds * 1000)
    }

    fn look(number: u32, requested: Timestamp, answer: Option<ConfirmationAnswer>) -> Confirmation {
        Confirmation {
            number,
            requested,
            answer,
        }
    }

    #[test]
    fn the_age_of_the_evidence_and_the_last_look_decide() {
        let why = || Some(Failed("access denied".to_string()));
        let changed = || Some(Changed("s3://b/new.csv".to_string()));
        let ask = |number, failed| Ask { number, failed };
        let give_up = || GiveUp {
            file: "s3://b/new.csv",
        };
        let pause = Pause {
            failed: "access denied",
            until: NOW.plus_seconds(1),
        };
        let cases = [
            (None, Proceed, ask(1, None)),
            (Some(look(1, ago(5), None)), Proceed, Await),
            (Some(look(1, ago(86_400), None)), Proceed, Await),
            (
                Some(look(1, ago(5), Some(Unchanged))),
                Proceed,
                ask(2, None),
            ),
            (
                Some(look(7, ago(700), Some(Unchanged))),
                Proceed,
                ask(8, None),
            ),
            (Some(look(1, ago(29), why())), Proceed, pause),
            (
                Some(look(1, ago(30), why())),
                Proceed,
                ask(2, Some("access denied")),
            ),
            (Some(look(1, ago(5), changed())), give_up(), give_up()),
        ];
        for (last, when_new, when_old) in &cases {
            for (seen, expected) in [
                (0, when_new),
                (600, when_new),
                (601, when_old),
                (86_400, when_old),
            ] {
                let found = confirmation_step(ago(seen), last.as_ref(), NOW);
                assert_eq!(found, *expected, "{last:?}, seen {seen} s ago");
            }
        }
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let seconds = [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(pause_seconds);
        assert_eq!(seconds, [30, 60, 120, 240, 480, 600, 600, 600]);
    }

    /// The clock may have been wrong and was put right.
    #[test]
    fn times_ahead_of_the_clock_neither_prove_anything_nor_hold_anything() {
        let ahead = NOW.plus_seconds(86_400);
        let first = Ask {
            number: 1,
            failed: None,
        };
        assert_eq!(confirmation_step(ahead, None, NOW), first);
        assert_eq!(confirmation_step(NOW.plus_seconds(2), None, NOW), Proceed);
        let failed = look(3, ahead, Some(Failed("no".to_string())));
        let next = Ask {
            number: 4,
            failed: Some("no"),
        };
        assert_eq!(confirmation_step(ago(3600), Some(&failed), NOW), next);
    }
}
