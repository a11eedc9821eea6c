//! Pauses after failures, so that what fails at once does not make a loop: the status that tells of a failure is itself a change that its
//! object is reconciled for.

use kube::Resource;
use podium_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Seconds until something that failed once is tried again, as a rule; each further failure doubles them.
const FIRST_SECONDS: u64 = 1;
const LONGEST_SECONDS: u64 = 60;
/// Seconds for which whoever tries again alone is waited for: longer than a request takes with its wait for a turn and its repetitions.
const ALONE_SECONDS: u64 = 65;
/// Seconds after which those who wait for him look what came of it.
const LOOK_SECONDS: u64 = 5;

/// Uid and generation of an object: what people can change of it by its specification.
pub(super) type Generation = (Option<String>, Option<i64>);

/// The generation of an object.
pub(super) fn generation_of(object: &impl Resource) -> Generation {
    let metadata = object.meta();
    (metadata.uid.clone(), metadata.generation)
}

/// Failures by the name of their object. `C` is what people can change to mend them: with it a pause ends.
#[derive(Debug)]
pub(super) struct Pauses<C> {
    first_seconds: u64,
    longest_seconds: u64,
    failures: Mutex<HashMap<String, Failed<C>>>,
}

#[derive(Debug)]
struct Failed<C> {
    cause: C,
    times: u32,
    again_at: Timestamp,
    /// Until when somebody tries again alone.
    tried_until: Option<Timestamp>,
}

impl<C> Default for Pauses<C> {
    fn default() -> Self {
        Self::of_seconds(FIRST_SECONDS, LONGEST_SECONDS)
    }
}

impl<C> Pauses<C> {
    /// Pauses of so many seconds at first, and at most.
    pub(super) fn of_seconds(first_seconds: u64, longest_seconds: u64) -> Self {
        Self {
            first_seconds,
            longest_seconds,
            failures: Mutex::default(),
        }
    }
}

impl<C: PartialEq> Pauses<C> {
    /// When to try again, where that is later than `now`.
    pub(super) fn until(&self, name: &str, cause: &C, now: Timestamp) -> Option<Timestamp> {
        let failures = self.lock();
        let failed = failures.get(name).filter(|failed| failed.cause == *cause)?;
        Some(failed.again_at).filter(|at| *at > now)
    }

    /// The same for what many share: of those who may try again one does, and the others look again a little later.
    pub(super) fn turn(&self, name: &str, cause: &C, now: Timestamp) -> Option<Timestamp> {
        let mut failures = self.lock();
        let failed = failures
            .get_mut(name)
            .filter(|failed| failed.cause == *cause)?;
        if failed.again_at > now {
            return Some(failed.again_at);
        }
        if let Some(until) = failed.tried_until.filter(|until| *until > now) {
            return Some(until.min(now.plus_seconds(LOOK_SECONDS)));
        }
        failed.tried_until = Some(now.plus_seconds(ALONE_SECONDS));
        None
    }

    /// Whoever tried alone has learnt nothing about it; the next one may try.
    pub(super) fn give_back(&self, name: &str) {
        if let Some(failed) = self.lock().get_mut(name) {
            failed.tried_until = None;
        }
    }

    /// How often it has failed since it last succeeded.
    pub(super) fn times(&self, name: &str, cause: &C) -> u32 {
        let failures = self.lock();
        let failed = failures.get(name).filter(|failed| failed.cause == *cause);
        failed.map_or(0, |failed| failed.times)
    }

    /// What was begun when it had failed so many times has failed; returns when to try again. Of all that was begun then one failure counts.
    pub(super) fn failed_after(
        &self,
        times: u32,
        name: &str,
        cause: C,
        now: Timestamp,
    ) -> Timestamp {
        let counted = {
            let failures = self.lock();
            let failed = failures.get(name).filter(|failed| failed.cause == cause);
            let later = failed.filter(|failed| failed.times > times);
            later.map(|failed| failed.again_at)
        };
        counted.unwrap_or_else(|| self.failed(name, cause, now))
    }

    /// It failed; returns when to try again.
    pub(super) fn failed(&self, name: &str, cause: C, now: Timestamp) -> Timestamp {
        let mut failures = self.lock();
        let before = failures.get(name).filter(|failed| failed.cause == cause);
        let times = before.map_or(0, |failed| failed.times);
        let seconds = self
            .first_seconds
            .saturating_mul(2_u64.saturating_pow(times));
        let again_at = now.plus_seconds(seconds.min(self.longest_seconds));
        let times = times.saturating_add(1);
        let failed = Failed {
            cause,
            times,
            again_at,
            tried_until: None,
        };
        failures.insert(name.to_string(), failed);
        again_at
    }

    /// It succeeded, or is gone.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Failed<C>>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns that an object takes at once, one after the other, although no write of its own calls for the next.
const TURNS_AT_ONCE: u32 = 8;

/// Turns of objects that had something done elsewhere and have more to do, by name. Nothing tells them of what was done there, and what is
/// done in vain must not make a loop.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, u32>>);

impl Turns {
    /// One more turn follows; returns when.
    pub(super) fn next(&self, name: &str, now: Timestamp) -> Timestamp {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = turns.entry(name.to_string()).or_insert(0);
        *taken = taken.saturating_add(1);
        match taken.checked_sub(TURNS_AT_ONCE) {
            None | Some(0) => now,
            Some(beyond) => {
                let seconds = 2_u64.saturating_pow(beyond - 1);
                now.plus_seconds(seconds.min(LONGEST_SECONDS))
            }
        }
    }

    /// A write calls for the next turn, or none is needed.
    pub(super) fn forget(&self, name: &str) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000);

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let pauses = Pauses::default();
        let mut now = START;
        let mut seconds = Vec::new();
        for _ in 0..9 {
            assert_eq!(pauses.until("fraud", &1, now), None);
            let again_at = pauses.failed("fraud", 1, now);
            assert_eq!(pauses.until("fraud", &1, now), Some(again_at));
            seconds.push(again_at.milliseconds_since(now) / 1000);
            now = again_at;
        }
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn what_was_under_way_together_fails_once_and_one_tries_again() {
        let pauses = Pauses::default();
        let at = |seconds| START.plus_seconds(seconds);
        assert_eq!(pauses.turn("mlflow", &1, START), None);
        let times = pauses.times("mlflow", &1);
        for _ in 0..8 {
            let again_at = pauses.failed_after(times, "mlflow", 1, START);
            assert_eq!(again_at, at(1), "a round of failures is one");
        }
        assert_eq!(pauses.turn("mlflow", &1, START), Some(at(1)));

        assert_eq!(pauses.turn("mlflow", &1, at(1)), None);
        let again = pauses.times("mlflow", &1);
        assert_eq!(pauses.turn("mlflow", &1, at(1)), Some(at(6)));
        // One that was under way all the time says nothing of this round.
        pauses.failed_after(times, "mlflow", 1, at(2));
        assert_eq!(pauses.turn("mlflow", &1, at(64)), Some(at(66)));
        assert_eq!(pauses.turn("mlflow", &2, at(2)), None);
        assert_eq!(pauses.failed_after(again, "mlflow", 1, at(31)), at(33));
        assert_eq!(pauses.turn("mlflow", &1, at(33)), None);
        // He has come to no end, or has learnt nothing of it.
        assert_eq!(pauses.turn("mlflow", &1, at(98)), None);
        pauses.give_back("mlflow");
        assert_eq!(pauses.turn("mlflow", &1, at(98)), None);
        pauses.forget("mlflow");
        for _ in 0..2 {
            assert_eq!(pauses.turn("mlflow", &1, at(99)), None);
        }
    }

    #[test]
    fn turns_follow_at_once_and_then_make_no_loop() {
        let turns = Turns::default();
        let mut seconds = Vec::new();
        for _ in 0..16 {
            let next = turns.next("fraud", START);
            seconds.push(next.milliseconds_since(START) / 1000);
        }
        assert_eq!(
            seconds,
            [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
        );
        assert_eq!(turns.next("churn", START), START);
        turns.forget("fraud");
        assert_eq!(turns.next("fraud", START), START);
    }

    #[test]
    fn a_pause_ends_with_a_success_and_with_what_may_have_mended_it() {
        let pauses = Pauses::default();
        pauses.failed("fraud", 1, START);
        let again_at = pauses.failed("fraud", 1, START);
        assert_eq!(pauses.until("churn", &1, START), None);
        assert_eq!(pauses.until("fraud", &2, START), None);
        assert_eq!(pauses.until("fraud", &1, START), Some(again_at));
        assert_eq!(
            pauses.failed("fraud", 2, START),
            START.plus_seconds(FIRST_SECONDS)
        );
        pauses.forget("fraud");
        assert_eq!(pauses.until("fraud", &2, START), None);
    }
}
