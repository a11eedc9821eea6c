//! What the plan of a retraining loop is made of.

use crate::time::Timestamp;

/// What happens when a search is due while another one of the policy goes on; as in a CronJob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// Both run.
    Allow,
    /// The new one waits until the other has ended.
    Forbid,
    /// The other one is deleted.
    Replace,
}

/// What a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retraining {
    /// Whether the policy as a whole is suspended.
    pub policy_suspended: bool,
    /// Whether the schedule alone is suspended.
    pub schedule_suspended: bool,
    /// Pattern and time zone, by which one schedule is told from another.
    pub schedule: String,
    /// See [`Concurrency`].
    pub concurrency: Concurrency,
    /// Seconds after a time of the schedule in which a search may still be started for it; always without it.
    pub starting_deadline_seconds: Option<u64>,
    /// Successful searches kept.
    pub successful_history_limit: u32,
    /// Failed searches kept.
    pub failed_history_limit: u32,
}

/// What a search is started for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// A time of the schedule.
    Schedule(Timestamp),
    /// Somebody asked for it, by a value that was not given before.
    RunNow(String),
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SearchState {
    /// It has not ended.
    Active,
    /// It ended well, at this time.
    Succeeded(Timestamp),
    /// It ended otherwise.
    Failed,
}

/// A search that belongs to the policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Search {
    /// Its name.
    pub name: String,
    /// What it says that it was started for.
    pub occasion: Option<Occasion>,
    /// See [`SearchState`].
    pub state: SearchState,
    /// When it was created.
    pub created: Timestamp,
    /// Whether somebody deletes it already.
    pub deleting: bool,
}

/// A schedule, and since when it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenSchedule {
    /// See [`Retraining::schedule`].
    pub schedule: String,
    /// When it was first seen. Nothing is started for an earlier time.
    pub since: Timestamp,
}

/// What must outlive the searches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The schedule as it was last seen.
    pub schedule: Option<SeenSchedule>,
    /// The last time of the schedule for which a search was started.
    pub last_schedule: Option<Timestamp>,
    /// The last time of the schedule that was given up.
    pub last_missed: Option<Timestamp>,
    /// The last values by which somebody asked for a search and got one, the newest first.
    pub answered: Vec<String>,
    /// When a search last ended well.
    pub last_successful: Option<Timestamp>,
}

/// When a schedule is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The last time at or before now.
    pub last: Option<Timestamp>,
    /// The first time after now.
    pub next: Option<Timestamp>,
}

/// Who refuses a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no specification of a search that could be carried out.
    Invalid,
    /// The world would not take the search, or a run of it, as things are.
    Refused,
}

/// Why no search can be made of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// See [`Fault`].
    pub fault: Fault,
    /// What must hold, and where.
    pub message: String,
}

/// What a plan is made of.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Name of the policy, from which those of its searches follow.
    pub policy: &'a str,
    /// When the policy was created.
    pub created: Timestamp,
    /// Whether nobody has changed its specification since.
    pub is_as_created: bool,
    /// What it asks for.
    pub retraining: &'a Retraining,
    /// When its schedule is due.
    pub due: Due,
    /// The value by which somebody asks for a search at once.
    pub run_now: Option<&'a str>,
    /// Why no search can be made of the template; `None` when one can.
    pub unusable: Option<&'a Unusable>,
    /// The searches that belong to the policy.
    pub searches: &'a [Search],
    /// What was stored.
    pub memory: &'a Memory,
}
