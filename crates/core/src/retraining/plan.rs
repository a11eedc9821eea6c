//! Plans the next step of a retraining loop.

use super::gates::{Fate, Gate, Seen, closed_for};
use super::input::{Concurrency, Input, Memory, Occasion, Search, SearchState, SeenSchedule};
use super::name::search_name;
use super::standing::Standing;
use crate::time::Timestamp;
use std::cmp::Reverse;

/// Values of requests that are remembered, so that one which comes again, as a tool that applies a manifest may have it, starts nothing.
const MOST_ANSWERED: usize = 21;
/// Searches that are asked for their values, the newest ones. Far fewer than are remembered, so that they never push each other out.
const ASKED_FOR_VALUES: usize = 5;

/// A search to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its name.
    pub name: String,
    /// What it is started for.
    pub occasion: Occasion,
}

/// Why a search is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Another one is started in its place.
    Replaced,
    /// It has ended, and more of its kind than are kept ended after it.
    History,
}

/// A search to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its name.
    pub name: String,
    /// See [`Cause`].
    pub cause: Cause,
}

/// What is to be remembered, done and said, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is known by now. It is stored before anything is done; what follows from a start is known when the search is there.
    pub memory: Memory,
    /// First what is deleted.
    pub delete: Vec<Deletion>,
    /// Then what is created.
    pub start: Vec<Start>,
    /// Where the loop stands.
    pub standing: Standing,
    /// The names of the searches that go on.
    pub active: Vec<String>,
    /// When a search is due next; `None` while none is started on schedule.
    pub next_schedule: Option<Timestamp>,
    /// The time that is given up by this plan.
    pub missed: Option<Timestamp>,
    /// When to plan again even without an event.
    pub look_again_at: Option<Timestamp>,
}

impl Plan {
    /// Whether there is anything to do.
    #[must_use]
    pub fn acts(&self) -> bool {
        !self.delete.is_empty() || !self.start.is_empty()
    }
}

/// Plans the next step. Pure and total.
#[must_use]
pub fn plan(input: &Input<'_>, now: Timestamp) -> Plan {
    let memory = known(input, now);
    let active: Vec<&Search> = input.searches.iter().filter(|s| goes_on(s)).collect();
    let decided = decide(input, &memory, !active.is_empty(), now);
    let replaces =
        input.retraining.concurrency == Concurrency::Replace && !decided.start.is_empty();
    let replaced = active.iter().filter(|s| replaces && !s.deleting);
    let replaced = replaced.map(|search| Deletion {
        name: search.name.clone(),
        cause: Cause::Replaced,
    });
    let mut delete: Vec<Deletion> = replaced.collect();
    delete.extend(beyond_history(input));
    let mut names: Vec<String> = active.iter().map(|search| search.name.clone()).collect();
    names.sort();
    let is_suspended = input.retraining.policy_suspended || input.retraining.schedule_suspended;
    let next_schedule = input.due.next.filter(|_| !is_suspended);
    let at_once = decided.puts_off || !decided.start.is_empty();
    let looks = [next_schedule, decided.given_up_at, at_once.then_some(now)];
    Plan {
        memory: Memory {
            last_missed: decided.missed.or(memory.last_missed),
            ..memory
        },
        delete,
        standing: standing(input, decided.waits, names.clone()),
        start: decided.start,
        active: names,
        next_schedule,
        missed: decided.missed,
        look_again_at: looks.into_iter().flatten().min(),
    }
}

/// What is remembered, and what the searches tell.
fn known(input: &Input<'_>, now: Timestamp) -> Memory {
    let memory = input.memory;
    let schedule = memory
        .schedule
        .clone()
        .filter(|seen| seen.schedule == input.retraining.schedule);
    let schedule = schedule.unwrap_or_else(|| SeenSchedule {
        schedule: input.retraining.schedule.clone(),
        // One that was edited holds from when that is seen: its times before are not missed.
        since: match input.is_as_created && memory.schedule.is_none() {
            true => input.created,
            false => now,
        },
    });
    let scheduled = input.searches.iter().filter_map(|s| started_for(input, s));
    let scheduled = scheduled.filter_map(|occasion| match occasion {
        // Nobody starts a search before its time.
        Occasion::Schedule(time) if *time <= now => Some(*time),
        _ => None,
    });
    // A name is enough: what a search was started for may have been taken off it.
    let due = input.due.last;
    let due = due.filter(|time| is_there(input, &Occasion::Schedule(*time)));
    let succeeded = input.searches.iter().filter_map(|s| match s.state {
        SearchState::Succeeded(at) => Some(at),
        _ => None,
    });
    Memory {
        schedule: Some(schedule),
        last_schedule: scheduled.chain(due).chain(memory.last_schedule).max(),
        last_missed: memory.last_missed,
        answered: answered(input),
        last_successful: succeeded.chain(memory.last_successful).max(),
    }
}

/// What a search was started for, where its name says so too: its annotations are anybody's to write who may write searches.
fn started_for<'a>(input: &Input<'_>, search: &'a Search) -> Option<&'a Occasion> {
    let occasion = search.occasion.as_ref()?;
    (search.name == search_name(input.policy, occasion)).then_some(occasion)
}

/// Whether the search for an occasion is there, whatever it says of itself: another one could not be created.
fn is_there(input: &Input<'_>, occasion: &Occasion) -> bool {
    let name = search_name(input.policy, occasion);
    input.searches.iter().any(|search| search.name == name)
}

/// The values that were answered: also those of the newest searches, since another value may have come before theirs was stored, and the one
/// that somebody asks by if there is a search for it.
fn answered(input: &Input<'_>) -> Vec<String> {
    let told = input
        .searches
        .iter()
        .filter_map(|s| match started_for(input, s)? {
            Occasion::RunNow(value) => Some((s.created, s.name.as_str(), value.as_str())),
            Occasion::Schedule(_) => None,
        });
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    let older = told.len().saturating_sub(ASKED_FOR_VALUES);
    let told = told.into_iter().skip(older).map(|(_, _, value)| value);
    let asked = input
        .run_now
        .filter(|value| is_there(input, &Occasion::RunNow((*value).to_string())));
    let mut answered = input.memory.answered.clone();
    for value in told.chain(asked) {
        if !is_answered(&answered, value) {
            answered.insert(0, value.to_string());
        }
    }
    answered.truncate(MOST_ANSWERED);
    answered
}

fn is_answered(answered: &[String], value: &str) -> bool {
    answered.iter().any(|known| known == value)
}

fn goes_on(search: &Search) -> bool {
    search.state == SearchState::Active
}

/// What is due, the times of the schedule first: they have a deadline.
fn occasions(input: &Input<'_>, memory: &Memory) -> Vec<Occasion> {
    let since = memory.schedule.as_ref().map(|seen| seen.since);
    let bounds = [since, memory.last_schedule, memory.last_missed];
    let earliest = bounds.into_iter().flatten().max();
    let earliest = earliest.map_or(input.created, |bound| bound.max(input.created));
    let time = input.due.last.filter(|time| *time > earliest);
    let asked = input
        .run_now
        .filter(|value| !value.is_empty() && !is_answered(&memory.answered, value));
    let time = time.map(Occasion::Schedule).into_iter();
    time.chain(asked.map(|value| Occasion::RunNow(value.to_string())))
        .collect()
}

/// What becomes of what is due.
#[derive(Default)]
struct Decided {
    start: Vec<Start>,
    /// What waits for the end of other searches.
    waits: Option<Occasion>,
    /// The time that is given up.
    missed: Option<Timestamp>,
    /// When a time that waits is to be given up.
    given_up_at: Option<Timestamp>,
    /// Whether something is left to the next plan.
    puts_off: bool,
}

fn decide(input: &Input<'_>, memory: &Memory, others: bool, now: Timestamp) -> Decided {
    let seen = Seen { input, others, now };
    let allows = input.retraining.concurrency == Concurrency::Allow;
    let mut decided = Decided::default();
    for occasion in occasions(input, memory) {
        match (closed_for(&seen, &occasion), &occasion) {
            // What the first one means for it, the next plan sees.
            (None, _) if !allows && !decided.start.is_empty() => decided.puts_off = true,
            (None, _) => decided.start.push(Start {
                name: search_name(input.policy, &occasion),
                occasion,
            }),
            (Some(row), Occasion::Schedule(time)) if row.closed == Fate::GivenUp => {
                decided.missed = Some(*time);
            }
            (Some(row), _) => {
                if let Occasion::Schedule(time) = &occasion {
                    decided.given_up_at = given_up_at(input, *time, now);
                }
                if row.gate == Gate::Room && decided.waits.is_none() {
                    decided.waits = Some(occasion);
                }
            }
        }
    }
    decided
}

/// The first moment after the starting deadline of a time.
fn given_up_at(input: &Input<'_>, time: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let seconds = input.retraining.starting_deadline_seconds?;
    let last = time.plus_seconds(seconds);
    (last >= now).then(|| Timestamp(last.0.saturating_add(1)))
}

/// What must be mended comes before what was wanted, and that before what passes by itself.
fn standing(input: &Input<'_>, waits: Option<Occasion>, active: Vec<String>) -> Standing {
    let retraining = input.retraining;
    let suspended = (retraining.policy_suspended, retraining.schedule_suspended);
    match (input.unusable, suspended, waits) {
        (Some(unusable), _, _) => Standing::Unusable(unusable.clone()),
        (None, (true, _), _) => Standing::PolicySuspended,
        // Also while the schedule is suspended: somebody may ask for a search all the same.
        (None, (false, _), Some(due)) => Standing::AlreadyActive { due, active },
        (None, (false, true), None) => Standing::ScheduleSuspended,
        (None, (false, false), None) => Standing::Scheduled {
            next: input.due.next,
            active,
        },
    }
}

/// The searches that ended and of which more than are kept ended alike after them.
fn beyond_history(input: &Input<'_>) -> Vec<Deletion> {
    let retraining = input.retraining;
    let succeeded = |search: &&Search| matches!(search.state, SearchState::Succeeded(_));
    let failed = |search: &&Search| search.state == SearchState::Failed;
    let mut delete = oldest(
        input.searches.iter().filter(succeeded),
        retraining.successful_history_limit,
    );
    delete.extend(oldest(
        input.searches.iter().filter(failed),
        retraining.failed_history_limit,
    ));
    delete
}

/// All but the newest `kept`, the oldest first.
fn oldest<'a>(ended: impl Iterator<Item = &'a Search>, kept: u32) -> Vec<Deletion> {
    let mut ended: Vec<&Search> = ended.collect();
    ended.sort_by_key(|search| Reverse((search.created, &search.name)));
    let kept = usize::try_from(kept).unwrap_or(usize::MAX);
    let beyond = ended.into_iter().skip(kept).rev();
    beyond
        .filter(|search| !search.deleting)
        .map(|search| Deletion {
            name: search.name.clone(),
            cause: Cause::History,
        })
        .collect()
}
