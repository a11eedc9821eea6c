//! How the runs of one comparison follow each other, where only its runs can read its files.
//!
//! | where it is | what its last run says | what follows |
//! |---|---|---|
//! | a run counts | it goes on | it is looked at again |
//! | | compared | the statistics are there |
//! | | files are missing, and have been for less than the deadline | it waits for whoever asks to have it looked again |
//! | | files are missing, and have been for as long as the deadline | given up |
//! | | lost, up to [`MOST_LOST`] times in a row | it pauses |
//! | | lost more often | failed |
//! | | failed | failed |
//! | it pauses | | the next run counts once its time has come |
//! | it waits | | the next run counts once whoever asks says so |
//!
//! The number of the run that counts is stored before that run begins, so a process that dies begins no run twice.

#[cfg(test)]
mod tests;

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Runs in a row that may be lost to the machine before the comparison fails.
pub const MOST_LOST: u32 = 5;
/// Pause after the first lost run; each further pause is twice as long.
const FIRST_PAUSE_SECONDS: u64 = 10;
/// Files are looked for again after this pause, then after twice as long each time.
const FIRST_LOOK_SECONDS: u64 = 15;
const LONGEST_PAUSE_SECONDS: u64 = 600;
/// By so much the clocks of operators may differ that follow one another.
const CLOCKS_DIFFER_SECONDS: u64 = 60;

/// Whether a pause is over that was to end at this time. One that ends later than all pauses of this clock was begun before the clock went back,
/// and nothing waits until the clock is there again.
#[must_use]
pub fn is_over(pause_ends: Timestamp, now: Timestamp) -> bool {
    let latest = now.plus_seconds(LONGEST_PAUSE_SECONDS + CLOCKS_DIFFER_SECONDS);
    pause_ends <= now || pause_ends > latest
}

/// When the run may begin that follows so many lost ones in a row, of which the last ended then: at once after the first one, and after a
/// growing pause after each further one. `None` where they were too many.
#[must_use]
pub fn run_after_losses(lost: u32, ended: Timestamp) -> Option<Timestamp> {
    if lost > MOST_LOST {
        return None;
    }
    let pause = match lost.checked_sub(2) {
        None => 0,
        Some(doublings) => FIRST_PAUSE_SECONDS.saturating_mul(2_u64.saturating_pow(doublings)),
    };
    Some(ended.plus_seconds(pause.min(LONGEST_PAUSE_SECONDS)))
}

/// A file that a comparison reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EvidenceFile {
    /// The predictions of the model in production.
    Champion,
    /// The predictions of the model that wants to be.
    Challenger,
    /// The file with the labels.
    Holdout,
}

impl EvidenceFile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Champion, Self::Challenger, Self::Holdout];
}

/// What is known of the runs of a comparison that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Runs {
    /// How many were begun; the last one may not have been started yet.
    pub begun: u32,
    /// How many of the last ones were lost, in a row.
    pub lost: u32,
    /// Files that were not there when a run last looked for them.
    pub missing: Vec<EvidenceFile>,
    /// Since when files are missing.
    pub missing_since: Option<Timestamp>,
    /// When the next run is to count; `None` while the last one does.
    pub next: Option<Timestamp>,
}

/// Where a comparison is that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The last run counts: it goes on, is to be started, or has ended and was not judged yet.
    Counts,
    /// The last run was lost; the next one counts from this time on.
    Pauses(Timestamp),
    /// Files are missing; from this time on they should be looked for again.
    Waits(Timestamp),
}

/// What the run that counts says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    /// It has not ended.
    GoesOn,
    /// It has the statistics.
    Compared,
    /// Files cannot be had: these are not there, or, where none is named, they cannot be read for now.
    Missing(Vec<EvidenceFile>),
    /// The machine under it went away; how.
    Lost(String),
    /// It ended without statistics, and would so again.
    Failed,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Follows {
    /// Nothing yet.
    Stays,
    /// This is to be stored.
    Again(Runs),
    /// The comparison has its statistics.
    Compared,
    /// Files were missing for too long: since this time.
    GivenUp(Timestamp),
    /// Its runs were lost too often; how the last one was.
    LostTooOften(String),
    /// It failed by itself.
    Failed,
}

impl Runs {
    /// Where the comparison is.
    #[must_use]
    pub fn place(&self) -> Place {
        match (self.next, self.lost) {
            (None, _) => Place::Counts,
            (Some(at), 0) => Place::Waits(at),
            (Some(at), _) => Place::Pauses(at),
        }
    }

    /// The same once the next run counts.
    #[must_use]
    pub fn with_next_run(&self) -> Self {
        Self {
            begun: self.begun.saturating_add(1),
            next: None,
            ..self.clone()
        }
    }

    /// The same, when somebody may have made what was missing.
    #[must_use]
    pub fn with_new_files(&self) -> Self {
        Self {
            missing: Vec::new(),
            ..self.with_next_run()
        }
    }

    /// What follows from what the run says that counts. Files that are missing for `deadline_seconds` are given up. Pure and total.
    #[must_use]
    pub fn follow(&self, said: &Said, deadline_seconds: u64, now: Timestamp) -> Follows {
        match (self.place(), said) {
            (Place::Pauses(_) | Place::Waits(_), _) | (Place::Counts, Said::GoesOn) => {
                Follows::Stays
            }
            (Place::Counts, Said::Compared) => Follows::Compared,
            (Place::Counts, Said::Missing(files)) => self.without(files, deadline_seconds, now),
            (Place::Counts, Said::Lost(why)) => self.after_loss(why, now),
            (Place::Counts, Said::Failed) => Follows::Failed,
        }
    }

    fn without(&self, files: &[EvidenceFile], deadline_seconds: u64, now: Timestamp) -> Follows {
        // A time ahead of the clock is none of this clock.
        let since = self.missing_since.map_or(now, |since| since.min(now));
        let deadline = since.plus_seconds(deadline_seconds);
        if now >= deadline {
            return Follows::GivenUp(since);
        }
        // As long again as files have been missing by now: each pause is about twice the one before it.
        let waited = u64::try_from(now.milliseconds_since(since) / 1000).unwrap_or(0);
        let pause = waited
            .saturating_add(FIRST_LOOK_SECONDS)
            .min(LONGEST_PAUSE_SECONDS);
        Follows::Again(Self {
            begun: self.begun,
            lost: 0,
            missing: files.to_vec(),
            missing_since: Some(since),
            // Before they are given up they are looked for a last time.
            next: Some(now.plus_seconds(pause).min(deadline)),
        })
    }

    fn after_loss(&self, why: &str, now: Timestamp) -> Follows {
        if self.lost >= MOST_LOST {
            return Follows::LostTooOften(why.to_string());
        }
        let pause = FIRST_PAUSE_SECONDS.saturating_mul(2_u64.saturating_pow(self.lost));
        Follows::Again(Self {
            lost: self.lost.saturating_add(1),
            next: Some(now.plus_seconds(pause.min(LONGEST_PAUSE_SECONDS))),
            ..self.clone()
        })
    }
}
