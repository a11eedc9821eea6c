//! The runs whose supervisors this process started: whether they go on is known without asking the file system.

use super::run_directory::Request;
use podium_core::time::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::{Notify, watch};

/// How long a supervisor may take to end a program, and itself, beyond the grace period of the program.
pub(super) const ENDING: Duration = Duration::from_secs(30);

/// How long the supervisor of a run may take to end once it must.
pub(super) fn ending(request: &Request) -> Duration {
    ENDING.saturating_add(request.grace())
}

/// How long the supervisor of a run may live; as long as it likes without a deadline.
pub(super) fn longest(request: &Request) -> Option<Duration> {
    let deadline = request.deadline_seconds.map(Duration::from_secs)?;
    Some(deadline.saturating_add(ending(request)))
}

/// Where a supervised run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its supervisor lives.
    GoesOn,
    /// Its supervisor has ended.
    Ended,
    /// Its supervisor did not end in time and was killed.
    Overdue,
}

/// A run whose supervisor is a child of this process.
#[derive(Clone, Debug)]
pub(super) struct Supervised {
    pub(super) since: Timestamp,
    pub(super) supervisor: Option<Pid>,
    /// How long its supervisor may take to end once it must.
    pub(super) ending: Duration,
    state: watch::Receiver<State>,
}

impl Supervised {
    pub(super) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Returns once its supervisor has ended.
    pub(super) async fn ended(&mut self) {
        // A sender that is gone has ended everything already.
        let _ = self.state.wait_for(|state| *state != State::GoesOn).await;
    }
}

/// All runs of a runner that this process started, and the names of those that ended since somebody asked.
#[derive(Clone, Debug, Default)]
pub(super) struct SupervisedRuns {
    runs: Arc<Mutex<HashMap<(String, u32), Supervised>>>,
    /// Runs of an earlier podium whose ends are waited for.
    watched: Arc<Mutex<HashSet<(String, u32)>>>,
    ended: Arc<Ended>,
}

#[derive(Debug, Default)]
struct Ended {
    names: Mutex<Vec<String>>,
    notify: Notify,
}

impl Ended {
    fn take(&self) -> Vec<String> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *names)
    }
}

impl SupervisedRuns {
    pub(super) fn of(&self, name: &str, attempt: u32) -> Option<Supervised> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(&(name.to_string(), attempt)).cloned()
    }

    /// Follows a supervisor to its end; one that lives longer than it may is killed.
    pub(super) fn follow(
        &self,
        (name, attempt): (&str, u32),
        mut child: Child,
        since: Timestamp,
        request: &Request,
    ) {
        let supervisor = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (sender, state) = watch::channel(State::GoesOn);
        let supervised = Supervised {
            since,
            supervisor,
            ending: ending(request),
            state,
        };
        let key = (name.to_string(), attempt);
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert(key, supervised);
        drop(runs);
        let (name, ended, longest) = (name.to_string(), self.clone(), longest(request));
        tokio::spawn(async move {
            let state = match within(longest, child.wait()).await {
                Some(_) => State::Ended,
                None => {
                    kill(supervisor);
                    State::Overdue
                }
            };
            sender.send_replace(state);
            ended.tell(&name);
        });
    }

    /// Whether nobody waits for the end of this found run yet; from here on somebody does.
    pub(super) fn begin_watching(&self, name: &str, attempt: u32) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert((name.to_string(), attempt))
    }

    /// A found run has ended.
    pub(super) fn found_ended(&self, name: &str, attempt: u32) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.remove(&(name.to_string(), attempt));
        drop(watched);
        self.tell(name);
    }

    /// Keeps nothing of a run any more.
    pub(super) fn forget(&self, name: &str, attempt: u32) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.remove(&(name.to_string(), attempt));
    }

    /// Says that a run of this name has ended.
    fn tell(&self, name: &str) {
        let mut names = self
            .ended
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        names.push(name.to_string());
        drop(names);
        self.ended.notify.notify_one();
    }

    /// The names of the runs that ended since the last call; waits until there is one.
    pub(super) async fn changed(&self) -> Vec<String> {
        loop {
            let taken = self.ended.take();
            if !taken.is_empty() {
                return taken;
            }
            self.ended.notify.notified().await;
        }
    }
}

/// What `ended` gives, unless it takes longer than the limit.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    ended: impl Future<Output = T>,
) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, ended).await.ok(),
        None => Some(ended.await),
    }
}

/// Kills a process; one that ended since is what is wanted.
pub(super) fn kill(process: Option<Pid>) {
    if let Some(process) = process {
        let _ = kill_process(process, Signal::KILL);
    }
}
