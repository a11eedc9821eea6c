//! Which watches do not work, since when and why. An operator that does not see its objects is not ready.

use super::reflector::Scope;
use kube::runtime::watcher;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A watch that has failed for this long is reported. Interruptions shorter than this are ordinary: an API server that restarts.
const REPORTED_AFTER: Duration = Duration::from_secs(20);
/// A watch that fails is tried again within 30 seconds; one that was silent for longer than two of these pauses works.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(75);

/// The watches of an operator that failed last.
#[derive(Debug, Default)]
pub(super) struct WatchHealth {
    failures: Mutex<BTreeMap<(String, String), Failure>>,
}

#[derive(Clone, Debug)]
struct Failure {
    since: Instant,
    last: Instant,
    why: String,
}

impl WatchHealth {
    /// A watch failed.
    pub(super) fn failed(&self, scope: &Scope, kind: &str, error: &watcher::Error) {
        self.failed_at(scope, kind, why(error), Instant::now());
    }

    fn failed_at(&self, scope: &Scope, kind: &str, why: String, now: Instant) {
        let mut failures = self.failures();
        let key = (scope.to_string(), kind.to_string());
        let before = failures.get(&key).filter(|before| before.is_current(now));
        let since = before.map_or(now, |before| before.since);
        let last = now;
        failures.insert(key, Failure { since, last, why });
    }

    /// A watch delivered something.
    pub(super) fn works(&self, scope: &Scope, kind: &str) {
        let mut failures = self.failures();
        if !failures.is_empty() {
            failures.remove(&(scope.to_string(), kind.to_string()));
        }
    }

    /// The watches that have failed for a while, one sentence each; nothing where all work.
    pub(super) fn report(&self) -> Vec<String> {
        self.report_at(Instant::now())
    }

    fn report_at(&self, now: Instant) -> Vec<String> {
        let failures = self.failures();
        let reported = failures.iter().filter(|(_, failure)| {
            failure.is_current(now) && now.duration_since(failure.since) >= REPORTED_AFTER
        });
        let sentence = |((scope, kind), failure): (&(String, String), &Failure)| {
            let seconds = now.duration_since(failure.since).as_secs();
            let why = &failure.why;
            format!("the watch of {kind} in {scope} has failed for {seconds} s: {why}")
        };
        reported.map(sentence).collect()
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<(String, String), Failure>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    fn is_current(&self, now: Instant) -> bool {
        now.duration_since(self.last) < FORGOTTEN_AFTER
    }
}

/// The innermost cause, which is what the API server said.
fn why(error: &watcher::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_reported_while_it_fails_for_a_while() {
        let health = WatchHealth::default();
        let begin = Instant::now();
        let after = |seconds: u64| begin + Duration::from_secs(seconds);
        let fail = |seconds| {
            health.failed_at(
                &Scope::Cluster,
                "trials",
                "no right".to_string(),
                after(seconds),
            );
        };
        fail(0);
        fail(10);
        assert_eq!(health.report_at(after(11)), [""; 0]);
        fail(30);
        let expected = "the watch of trials in all namespaces has failed for 40 s: no right";
        assert_eq!(health.report_at(after(40)), [expected]);
        assert_eq!(health.report_at(after(200)), [""; 0], "it fails no longer");
        fail(200);
        assert_eq!(health.report_at(after(201)), [""; 0], "another outage");
        fail(230);
        health.works(&Scope::Cluster, "trials");
        assert_eq!(health.report_at(after(231)), [""; 0]);
    }
}
