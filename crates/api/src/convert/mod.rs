//! From what users write to what the core plans with: the only validation wall.
//!
//! What the schema can say it says; here stands what needs the core: expressions, spaces, algorithms.
//! All problems are reported at once, each with its field path. After it, planning cannot fail.

mod admissible;
mod champion_policy;
mod environment;
mod evaluation;
mod evaluator;
mod model_registry;
mod policy_status;
mod reports;
mod retraining;
mod retraining_status;
mod schedule;
mod status;
mod trial;
mod tuning_job;
mod tuning_refusals;

pub use admissible::{admissible, read_object};
pub use champion_policy::{PolicySettings, World, confirm_fraction, policy};
pub use evaluation::{comparison_settings, measurements};
pub use evaluator::EVALUATOR_CONTAINER;
pub use model_registry::{MlflowSettings, RegistryPlace, RegistrySettings, registry};
pub use policy_status::{memory_of, policy_status};
pub use retraining::{RetrainingSettings, below_template, needs_somebody_who_stays, search_of};
pub use retraining_status::{
    annotation_of, request_of, retrain_status, retraining_memory, retraining_search,
    retraining_sentence,
};
pub use schedule::{BadSchedule, Schedule, Window, window_at};
pub use status::{
    conditions_match, from_time, is_own_condition, matches_record, name_of, parameters_text,
    record_of, settled_condition, stalled_conditions, to_time, trial_status, with_conditions,
};
pub use trial::trial_variables;
pub use tuning_job::{TrialSettings, job_spec, trial_settings, tuning_settings};
pub use tuning_refusals::not_carried_out_locally;

use podium_core::problem::SpecProblem;

/// Problems with their paths from the object's root.
fn below_spec(problems: Vec<SpecProblem>) -> Vec<SpecProblem> {
    problems
        .into_iter()
        .map(|p| SpecProblem::new(join("spec", &p.path), p.message))
        .collect()
}

fn join(parent: &str, path: &str) -> String {
    match path {
        "" => parent.to_string(),
        _ if path.starts_with('[') => format!("{parent}{path}"),
        _ => format!("{parent}.{path}"),
    }
}

/// Collects what is wrong while the conversion goes on, so that users see all of it at once.
#[derive(Default)]
struct Problems(Vec<SpecProblem>);

impl Problems {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(SpecProblem::new(path, message));
    }

    fn take<T>(&mut self, result: Result<T, Vec<SpecProblem>>) -> Option<T> {
        result.map_err(|problems| self.0.extend(problems)).ok()
    }

    /// A field that the schema knows and this version does not carry out: better said than ignored.
    fn unsupported<T>(&mut self, path: &str, field: Option<&T>) {
        if field.is_some() {
            self.add(
                path,
                "must be left out: this version of Podium does not carry it out yet",
            );
        }
    }
}

/// A number of the schema that is bounded from below by 0.
fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn seconds(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
