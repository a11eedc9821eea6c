//! What of a local run is to be looked at: the objects that something concerns, and not all of them every time.

use crate::engine::Requeue;
use crate::ports::PortError;
use podium_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A kind that is reconciled. They are looked at in this order, so that the ends of trials are known before their search is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// See [`Trial`](podium_api::Trial).
    Trial,
    /// See [`TuningJob`](podium_api::TuningJob).
    TuningJob,
    /// See [`Evaluation`](podium_api::Evaluation).
    Evaluation,
    /// See [`ChampionPolicy`](podium_api::ChampionPolicy).
    ChampionPolicy,
}

/// An object that is reconciled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The object of this kind and name.
    #[must_use]
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_string(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} \"{}\"", self.kind, self.name)
    }
}

/// What is out of reach for the moment is asked for again after a second, then twice as late each time, this often.
const RETRIES: u32 = 4;
/// Where a run stays, everything that failed is tried again and again, after at most this many seconds.
const LONGEST_PAUSE_SECONDS: u64 = 60;

/// Which objects to look at now, which later, and which could not be carried out.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    due: BTreeSet<Key>,
    later: BTreeMap<Key, Timestamp>,
    waiting: BTreeSet<Key>,
    failures: BTreeMap<Key, Failed>,
    /// Whether the run stays when nothing is left to do.
    stays: bool,
}

#[derive(Clone, Debug)]
struct Failed {
    why: String,
    times: u32,
}

impl Agenda {
    /// The agenda of a run, which may stay when nothing is left to do.
    pub(super) fn of_run(stays: bool) -> Self {
        Self {
            stays,
            ..Self::default()
        }
    }

    /// Something concerns this object.
    pub(super) fn add(&mut self, key: Key) {
        self.due.insert(key);
    }

    /// What is to be looked at now, in order.
    pub(super) fn take_due(&mut self, now: Timestamp) -> BTreeSet<Key> {
        let mut due = std::mem::take(&mut self.due);
        self.later.retain(|key, at| {
            let later = *at > now;
            if !later {
                due.insert(key.clone());
            }
            later
        });
        due
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// An object was looked at.
    pub(super) fn done(&mut self, key: &Key, requeue: Requeue) {
        self.failures.remove(key);
        self.set(key, requeue.pending, requeue.at);
        if requeue.changed {
            self.due.insert(key.clone());
        }
    }

    /// An object could not be carried out; returns what is news of that.
    pub(super) fn failed(
        &mut self,
        key: &Key,
        error: &PortError,
        now: Timestamp,
    ) -> Option<String> {
        let why = error.to_string();
        let before = self.failures.get(key);
        let is_news = before.is_none_or(|before| before.why != why);
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        let again = self.stays || (error.is_transient() && times <= RETRIES);
        let pause = match error.is_transient() {
            true => 1 << times.saturating_sub(1).min(RETRIES),
            false => LONGEST_PAUSE_SECONDS,
        };
        self.set(key, again, again.then(|| now.plus_seconds(pause)));
        let news = is_news.then(|| why.clone());
        self.failures.insert(key.clone(), Failed { why, times });
        news
    }

    fn set(&mut self, key: &Key, waiting: bool, look_again_at: Option<Timestamp>) {
        if waiting {
            self.waiting.insert(key.clone());
        } else {
            self.waiting.remove(key);
        }
        match look_again_at {
            Some(at) => drop(self.later.insert(key.clone(), at)),
            None => drop(self.later.remove(key)),
        }
    }

    /// Whether the end of something must be waited for.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When to look again even without an event.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        self.later.values().min().copied()
    }

    /// The objects that could not be carried out, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&Key, &str)> {
        self.failures
            .iter()
            .map(|(key, failed)| (key, failed.why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn trial(name: &str) -> Key {
        Key::new(Kind::Trial, name)
    }

    #[test]
    fn trials_come_before_their_search_and_each_once() {
        let mut agenda = Agenda::default();
        for key in [Key::new(Kind::TuningJob, "a"), trial("a-2"), trial("a-2")] {
            agenda.add(key);
        }
        let due: Vec<Key> = agenda.take_due(NOW).into_iter().collect();
        assert_eq!(due, [trial("a-2"), Key::new(Kind::TuningJob, "a")]);
        assert!(!agenda.is_due());
    }

    #[test]
    fn what_acted_is_looked_at_again_and_what_waits_at_its_time() {
        let mut agenda = Agenda::default();
        let acted = Requeue {
            changed: true,
            ..Requeue::default()
        };
        agenda.done(&trial("a-1"), acted);
        let waits = Requeue {
            pending: true,
            at: Some(NOW.plus_seconds(5)),
            ..Requeue::default()
        };
        agenda.done(&trial("a-2"), waits);
        assert_eq!(agenda.take_due(NOW), BTreeSet::from([trial("a-1")]));
        assert_eq!(agenda.next_look(), Some(NOW.plus_seconds(5)));
        assert!(agenda.is_waiting());
        let due = agenda.take_due(NOW.plus_seconds(5));
        assert_eq!(due, BTreeSet::from([trial("a-2")]));
        agenda.done(&trial("a-2"), Requeue::default());
        assert!(!agenda.is_waiting());
        assert_eq!(agenda.next_look(), None);
    }

    #[test]
    fn a_failure_is_news_once_is_tried_again_a_few_times_and_is_forgotten_when_it_is_over() {
        let mut agenda = Agenda::default();
        let key = trial("a-1");
        let permanent = PortError::refused("no".to_string());
        assert_eq!(agenda.failed(&key, &permanent, NOW), Some("no".to_string()));
        assert_eq!(agenda.failed(&key, &permanent, NOW), None);
        assert!(!agenda.is_waiting());
        agenda.done(&key, Requeue::default());
        assert_eq!(agenda.failures().count(), 0);
        let transient = PortError::unavailable("busy".to_string());
        let mut pauses = Vec::new();
        for _ in 0..=RETRIES {
            drop(agenda.failed(&key, &transient, NOW));
            pauses.push(
                agenda
                    .next_look()
                    .map(|at| at.milliseconds_since(NOW) / 1000),
            );
        }
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(8), None]);
        assert!(!agenda.is_waiting());
        assert_eq!(
            agenda.failures().map(|(_, why)| why).collect::<Vec<_>>(),
            ["busy"]
        );
    }

    #[test]
    fn who_stays_tries_everything_again() {
        let mut agenda = Agenda::of_run(true);
        let key = trial("a-1");
        for _ in 0..=RETRIES + 1 {
            drop(agenda.failed(&key, &PortError::unavailable("busy"), NOW));
            assert!(agenda.next_look() > Some(NOW));
        }
        drop(agenda.failed(&key, &PortError::refused("no"), NOW));
        assert_eq!(agenda.next_look(), Some(NOW.plus_seconds(60)));
    }
}
