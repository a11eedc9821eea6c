//! The retraining loop: which searches are started on schedule, and which old ones are removed.
//!
//! Calendar arithmetic stays outside: the caller says when the schedule was last due.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What happens when a search is due while the last one still runs; as in a CronJob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConcurrencyPolicy {
    /// Both run.
    Allow,
    /// The new one is left out.
    Forbid,
    /// The running one is deleted.
    Replace,
}

/// What `spec.retrain` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retrain {
    /// Name of the policy; names of searches are derived from it.
    pub policy: String,
    /// See [`ConcurrencyPolicy`].
    pub concurrency: ConcurrencyPolicy,
    /// Successful searches kept.
    pub successful_history_limit: u32,
    /// Failed searches kept.
    pub failed_history_limit: u32,
    /// Whether anything is started at all.
    pub suspend: bool,
}

/// A search that the schedule started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledSearch {
    /// Its name.
    pub name: String,
    /// For which time it was due.
    pub due: Timestamp,
    /// `None` while it runs, else whether it succeeded.
    pub succeeded: Option<bool>,
}

/// One thing to do; idempotent under the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create a search from the template.
    Create {
        /// Derived from the due time, so that creating twice creates once.
        name: String,
        /// For which time.
        due: Timestamp,
    },
    /// Delete a search.
    Delete {
        /// Its name.
        name: String,
    },
}

/// Plans the retraining loop: at most one search for the most recent due time, then the history limits.
///
/// `last_due` is the most recent time at or before now at which the schedule was due, not earlier than
/// the policy's creation; missed times before it are skipped.
#[must_use]
pub fn plan(
    retrain: &Retrain,
    searches: &[ScheduledSearch],
    last_due: Option<Timestamp>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let running: Vec<&ScheduledSearch> =
        searches.iter().filter(|s| s.succeeded.is_none()).collect();
    let newest = searches.iter().map(|s| s.due).max();
    let due = last_due.filter(|due| !retrain.suspend && newest.is_none_or(|newest| *due > newest));
    if let Some(due) = due {
        let blocked = retrain.concurrency == ConcurrencyPolicy::Forbid && !running.is_empty();
        if retrain.concurrency == ConcurrencyPolicy::Replace {
            actions.extend(running.iter().map(|s| Action::Delete {
                name: s.name.clone(),
            }));
        }
        if !blocked {
            let name = format!("{}-{}", retrain.policy, due.0.div_euclid(60_000));
            actions.push(Action::Create { name, due });
        }
    }
    actions.extend(beyond(searches, true, retrain.successful_history_limit));
    actions.extend(beyond(searches, false, retrain.failed_history_limit));
    actions
}

/// Finished searches beyond the newest `limit`, oldest last.
fn beyond(searches: &[ScheduledSearch], succeeded: bool, limit: u32) -> Vec<Action> {
    let mut finished: Vec<&ScheduledSearch> = searches
        .iter()
        .filter(|s| s.succeeded == Some(succeeded))
        .collect();
    finished.sort_by(|a, b| b.due.cmp(&a.due).then_with(|| a.name.cmp(&b.name)));
    finished
        .into_iter()
        .skip(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|s| Action::Delete {
            name: s.name.clone(),
        })
        .collect()
}
