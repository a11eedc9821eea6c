//! Plans a search: which trials exist, which run, when it is over, who won.
//!
//! [`plan`] looks at a `TuningJob` and its trials and returns actions plus a report;
//! [`trial::plan`] does the same for one trial and the run of its container.

pub mod conditions;
pub mod ending;
pub mod expiry;
mod finished;
pub mod history;
pub mod reason;
pub mod registration;
pub mod report;
pub mod tracking;
pub mod trial;

#[cfg(test)]
mod tests;

pub use ending::Ending;
pub use finished::FinishedTrials;
pub use reason::Reason;
pub use report::{Best, Counts, DELETING, Phase, TuningReport};

use crate::objective::Objective;
use crate::random::Stream;
use crate::search::{Algorithm, Known, Suggestion, alike, suggest_next};
use crate::space::Space;
use crate::time::Timestamp;
use crate::value::Configuration;
use finished::Summary;
use std::collections::BTreeSet;
use trial::TrialRecord;

/// What a `TuningJob` asks for, after conversion: planning with it cannot fail.
#[derive(Debug)]
pub struct Settings {
    /// Name of the job; trial names are derived from it.
    pub name: String,
    /// The search space with its constraints.
    pub space: Space,
    /// How configurations are suggested.
    pub algorithm: Algorithm,
    /// What a trial is judged by.
    pub objective: Objective,
    /// Trials of the whole search.
    pub max_trials: u32,
    /// The search fails when more trials than this have failed; `None` for no limit.
    pub max_failed_trials: Option<u32>,
    /// Trials that may be unfinished at once.
    pub parallelism: u32,
    /// Wall clock of the search in seconds.
    pub active_deadline_seconds: Option<u64>,
    /// Configurations tried first, from [`initial_trials`](crate::search::initial_trials).
    pub initial_trials: Vec<Configuration>,
    /// Seed of every draw of the search.
    pub seed: u64,
    /// No new trial is created while this is set; running ones go on to their end.
    pub suspend: bool,
    /// What happens with the winner.
    pub register: Option<Register>,
}

/// The winner becomes a version of a registered model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The registered model.
    pub model: String,
    /// Alias that the new version gets, such as `challenger`.
    pub alias: Option<String>,
    /// Whether the best parameters are trained once more, on all rows, and that model is registered.
    pub refit: bool,
}

/// One trial as seen in the world.
#[derive(Clone, Debug)]
pub struct ObservedTrial {
    /// Name of the trial.
    pub name: String,
    /// Position in the search, from 1.
    pub index: u32,
    /// What is tried.
    pub configuration: Configuration,
    /// Whether this is the refit of the winner, which is no part of the search.
    pub refit: bool,
    /// What is known of it.
    pub record: TrialRecord,
}

/// A model version that came out of this search, and what it was registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The registered model.
    pub model: String,
    /// The version, as the registry names it.
    pub version: String,
    /// The trial that had won the search.
    pub winner: String,
    /// The alias that the version was to get.
    pub alias: Option<String>,
    /// Whether the alias was left alone, because others had moved it.
    pub alias_left: bool,
}

impl Registered {
    /// Whether this is what `register` asks for when `best` has won.
    fn answers(&self, register: &Register, best: &Best) -> bool {
        self.model == register.model && self.alias == register.alias && self.winner == best.trial
    }
}

/// Everything the plan of a search depends on.
#[derive(Debug)]
pub struct TuningInput<'a> {
    /// What is asked for.
    pub settings: &'a Settings,
    /// Trials of the job that ended and were added up already.
    pub finished: &'a FinishedTrials,
    /// All its other trials, among them every refit, in any order.
    pub trials: &'a [ObservedTrial],
    /// When the job was first acted on.
    pub started: Option<Timestamp>,
    /// For how many milliseconds since then the search was suspended, by its user or by a queue: its clock stood meanwhile.
    pub suspended_milliseconds: u64,
    /// How the search ended, where that was recorded: it is never judged again.
    pub ended: Option<Ending>,
    /// The winner that was registered last, where that was recorded.
    pub registered: Option<Registered>,
    /// Why the world refuses trials at all, in its own words; holds the search.
    pub blocked: Option<String>,
    /// The search is being deleted, with all that belongs to it.
    pub deleting: bool,
}

impl TuningInput<'_> {
    /// When the time of the search is over, unless it is suspended from now on; and the limit in seconds.
    fn deadline(&self) -> Option<(Timestamp, u64)> {
        let limit = self.settings.active_deadline_seconds?;
        let at = self.started?.plus_seconds(limit);
        let suspended = i64::try_from(self.suspended_milliseconds).unwrap_or(i64::MAX);
        Some((Timestamp(at.0.saturating_add(suspended)), limit))
    }
}

/// One thing to do; each is idempotent under its own key, the trial's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create a trial object, before anything of it runs.
    CreateTrial(NewTrial),
    /// Stop a trial that is no longer needed and record why.
    StopTrial {
        /// Name of the trial.
        name: String,
        /// Why, as the trial's reason.
        reason: trial::Reason,
    },
    /// Make the output of `trial` a version of a registered model.
    RegisterWinner {
        /// Name of the trial whose output is registered.
        trial: String,
        /// The trial that won the search; the same as `trial` without a refit.
        winner: String,
    },
}

/// A trial to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTrial {
    /// `NAME-INDEX`, or `NAME-refit` and the number of the refit from the second on.
    pub name: String,
    /// Position in the search, from 1.
    pub index: u32,
    /// What is tried.
    pub configuration: Configuration,
    /// Seed that the trial's container gets.
    pub seed: u64,
    /// Where the configuration comes from: an algorithm's name, `Initial` or `Refit`.
    pub origin: String,
}

/// What to do, and what to say.
#[must_use]
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order in which they must be carried out.
    pub actions: Vec<Action>,
    /// The state of the search as users see it.
    pub report: TuningReport,
}

/// Trials that one plan creates at most: a plan takes bounded time, and between two plans other searches have their turn. A plan with as
/// many actions is to be followed by another one.
pub const MOST_CREATIONS: usize = 32;

/// Origin of the trial that trains the winner once more on all rows.
pub const REFIT_ORIGIN: &str = "Refit";

/// Plans the next step of a search. Pure and total: the same input gives the same plan.
pub fn plan(input: &TuningInput<'_>, now: Timestamp) -> Plan {
    let search: Vec<&ObservedTrial> = input.trials.iter().filter(|t| !t.refit).collect();
    let mut summary = input.finished.summary.clone();
    for trial in &search {
        summary.add(&input.settings.objective, trial);
    }
    let ended = input
        .ended
        .clone()
        .or_else(|| ending::judge(input, &summary, now));
    if input.deleting {
        let report = TuningReport::new(input, &summary, None, now);
        return Plan {
            actions: Vec::new(),
            report,
        };
    }

    let (actions, ended) = match (&ended, &input.blocked) {
        (Some(ending), _) => (after_the_search(input, ending, &summary), ended),
        (None, Some(_)) => (Vec::new(), None),
        (None, None) if input.settings.suspend => (Vec::new(), None),
        (None, None) => {
            let (actions, exhausted) = create_trials(input, &search, &summary.counts);
            // A space without a further point ends the search once nothing runs any more.
            let ending = (actions.is_empty() && summary.counts.unfinished() == 0)
                .then_some(exhausted)
                .flatten()
                .map(|message| ending::exhausted(&summary, message));
            match ending {
                Some(ending) => (after_the_search(input, &ending, &summary), Some(ending)),
                None => (actions, None),
            }
        }
    };
    let report = TuningReport::new(input, &summary, ended, now);
    Plan { actions, report }
}

fn create_trials(
    input: &TuningInput<'_>,
    search: &[&ObservedTrial],
    counts: &Counts,
) -> (Vec<Action>, Option<String>) {
    let settings = input.settings;
    let free = settings.parallelism.saturating_sub(counts.unfinished());
    let left = settings.max_trials.saturating_sub(counts.total);
    let mut known = Known::after(&input.finished.explored);
    for trial in search {
        history::add(&mut known, settings, trial);
    }
    let taken: BTreeSet<u32> = search.iter().map(|t| t.index).collect();
    // The place of a trial that somebody deleted is given away again.
    let free_places = input.finished.taken.free(settings.max_trials);
    let places = free_places.filter(|index| !taken.contains(index));
    let at_once = usize::try_from(free.min(left)).unwrap_or(usize::MAX);
    let at_once = at_once.min(MOST_CREATIONS);
    let mut actions = Vec::new();
    for next_index in places.take(at_once) {
        match suggest_next(&settings.space, &settings.algorithm, settings.seed, &known) {
            Suggestion::Exhausted { reason } => return (actions, Some(reason)),
            Suggestion::Next {
                configuration,
                origin,
            } => {
                let (configuration, origin) = history::initial_trial(settings, next_index, &known)
                    .unwrap_or_else(|| (configuration, origin.to_string()));
                known.add_pending(&settings.space, next_index, &configuration);
                actions.push(Action::CreateTrial(NewTrial {
                    name: format!("{}-{next_index}", settings.name),
                    index: next_index,
                    configuration,
                    seed: seed_for(settings, Purpose::Trial, next_index),
                    origin,
                }));
            }
        }
    }
    (actions, None)
}

/// Stops what is still running; then refits and registers the winner of a search that succeeded.
fn after_the_search(input: &TuningInput<'_>, ending: &Ending, summary: &Summary) -> Vec<Action> {
    let best = summary.best();
    let refit = best.and_then(|best| refit_of(input, best));
    let is_wanted = |trial: &ObservedTrial| refit.is_some_and(|refit| refit.name == trial.name);
    let unfinished: Vec<Action> = input
        .trials
        .iter()
        .filter(|trial| !trial.record.phase.is_finished() && !is_wanted(trial))
        .map(|t| Action::StopTrial {
            name: t.name.clone(),
            reason: trial::Reason::SearchEnded,
        })
        .collect();
    if !unfinished.is_empty() {
        return unfinished;
    }
    let (true, Some(best), Some(register)) = (ending.succeeded, best, &input.settings.register)
    else {
        return Vec::new();
    };
    if registered_for(input, Some(best)).is_some() {
        return Vec::new();
    }
    if !register.refit {
        return vec![Action::RegisterWinner {
            trial: best.trial.clone(),
            winner: best.trial.clone(),
        }];
    }
    match refit {
        None => vec![Action::CreateTrial(new_refit(
            input,
            best,
            summary.last_index,
        ))],
        Some(refit) if refit.record.phase == trial::Phase::Succeeded => {
            vec![Action::RegisterWinner {
                trial: refit.name.clone(),
                winner: best.trial.clone(),
            }]
        }
        Some(_) => Vec::new(),
    }
}

/// What was registered, where that is what is asked for now.
fn registered_for<'a>(input: &'a TuningInput<'_>, best: Option<&Best>) -> Option<&'a Registered> {
    let (best, register) = best.zip(input.settings.register.as_ref())?;
    input
        .registered
        .as_ref()
        .filter(|registered| registered.answers(register, best))
}

/// The trial that trains the winner once more: no other trial has its configuration.
fn refit_of<'a>(input: &TuningInput<'a>, best: &Best) -> Option<&'a ObservedTrial> {
    let space = &input.settings.space;
    input
        .trials
        .iter()
        .find(|trial| trial.refit && alike(space, &trial.configuration, &best.parameters))
}

/// The refits of a search that went on are `NAME-refit`, `NAME-refit2` and so on.
fn new_refit(input: &TuningInput<'_>, best: &Best, last_index: u32) -> NewTrial {
    let settings = input.settings;
    let index = last_index.saturating_add(1);
    let first = format!("{}-refit", settings.name);
    let later = (2_u32..).map(|number| format!("{first}{number}"));
    let is_free = |name: &String| input.trials.iter().all(|trial| &trial.name != name);
    NewTrial {
        name: std::iter::once(first.clone())
            .chain(later)
            .find(is_free)
            .unwrap_or_default(),
        index,
        configuration: best.parameters.clone(),
        seed: seed_for(settings, Purpose::Refit, 0),
        origin: REFIT_ORIGIN.to_string(),
    }
}

/// One stream of draws per purpose, so that none depends on how often another is drawn from.
#[derive(Clone, Copy)]
enum Purpose {
    Trial = 1,
    Refit = 2,
}

/// A seed below 2^32, which every framework's generator takes.
fn seed_for(settings: &Settings, purpose: Purpose, index: u32) -> u64 {
    let mut stream = Stream::new(settings.seed, &[purpose as u64, u64::from(index)]);
    stream.below(1 << 32) as u64
}
