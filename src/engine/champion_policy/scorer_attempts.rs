//! How the attempts of a scorer follow each other. Pure.

use crate::ports::{EndedRun, Run};
use podium_core::evaluation::run_after_losses;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::Exit;

/// What is known of the attempts of a scorer. Those that were lost with the machine do not count, unless too many were in a row.
#[derive(Debug, PartialEq)]
pub(super) struct Attempts {
    /// The one that would be started next, or that goes on.
    pub(super) number: u32,
    /// How the last one is that counts.
    pub(super) state: Run,
    /// Until when none follows a lost one, and how that was lost.
    pub(super) pause: Option<(Timestamp, String)>,
    lost: u32,
}

impl Attempts {
    /// None was made.
    pub(super) const NONE: Self = Self {
        number: 1,
        state: Run::Absent,
        pause: None,
        lost: 0,
    };

    /// The same, when the next one has ended so.
    pub(super) fn after(self, ended: EndedRun) -> Self {
        let number = self.number.saturating_add(1);
        if !is_loss(&ended) {
            return Self {
                number,
                state: Run::Ended(ended),
                ..Self::NONE
            };
        }
        let lost = self.lost.saturating_add(1);
        let next = run_after_losses(lost, ended.ended);
        Self {
            number,
            pause: next.map(|at| (at, ended.exit.to_string())),
            // What the machine ends each time is the fault of the scorer, or one that nobody mends by trying.
            state: match next {
                Some(_) => Run::Absent,
                None => Run::Ended(ended),
            },
            lost,
        }
    }

    /// The same, when the next one goes on so.
    pub(super) fn with(self, goes_on: Run) -> Self {
        Self {
            state: goes_on,
            pause: None,
            ..self
        }
    }

    /// Whether there is nothing that a scorer left.
    pub(super) fn left_nothing(&self) -> bool {
        match &self.state {
            Run::Absent => true,
            Run::Ended(ended) => is_loss(ended),
            Run::Queued { .. } | Run::Running { .. } => false,
        }
    }
}

fn is_loss(ended: &EndedRun) -> bool {
    matches!(ended.exit, Exit::Infrastructure(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::evaluation::MOST_LOST;

    const END: Timestamp = Timestamp(1_000_000);

    fn ended(exit: Exit) -> EndedRun {
        EndedRun::without_a_trace(exit, END, END)
    }

    fn evicted() -> EndedRun {
        ended(Exit::Infrastructure("Evicted".to_string()))
    }

    #[test]
    fn what_the_machine_ends_each_time_is_not_tried_for_ever() {
        let mut attempts = Attempts::NONE;
        let mut pauses = Vec::new();
        for _ in 0..MOST_LOST {
            attempts = attempts.after(evicted());
            assert_eq!(attempts.state, Run::Absent);
            let (until, how) = attempts.pause.clone().unwrap();
            assert_eq!(how, "Evicted");
            pauses.push(until.milliseconds_since(END) / 1000);
        }
        assert_eq!(pauses, [0, 10, 20, 40, 80]);
        attempts = attempts.after(evicted());
        assert_eq!(attempts.state, Run::Ended(evicted()));
        assert_eq!((attempts.number, attempts.pause.clone()), (7, None));
        assert!(attempts.left_nothing());
    }

    #[test]
    fn an_end_of_its_own_begins_the_count_anew() {
        let failed = || ended(Exit::Code(1));
        let attempts = Attempts::NONE.after(evicted()).after(failed());
        assert_eq!(attempts.state, Run::Ended(failed()));
        assert!(!attempts.left_nothing());
        let again = attempts.after(evicted());
        assert_eq!((again.number, again.lost), (4, 1));
        let running = Run::Running {
            since: END,
            pod: None,
            overdue: None,
        };
        let goes_on = again.with(running.clone());
        assert_eq!((goes_on.number, goes_on.pause.clone()), (4, None));
        assert_eq!(goes_on.state, running);
    }
}
