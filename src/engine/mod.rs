//! The only step list: observe, convert, plan, carry out, report.
//!
//! One engine drives a cluster and a laptop; they differ in their [`Ports`].

mod champion_policy;
mod champion_status;
pub mod evaluation;
mod trial;
mod tuning_job;

use crate::ports::{Clock, PortError, Ports};
use podium_core::problem::SpecProblem;
use podium_core::time::Timestamp;

/// Reconciles objects through its ports.
#[derive(Debug)]
pub struct Engine<P> {
    ports: P,
}

/// What a reconcile left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Something was done: other objects may have something to do now.
    pub acted: bool,
    /// Something goes on elsewhere, and its end will have to be looked at.
    pub waiting: bool,
    /// When to look again without any event.
    pub look_again_at: Option<Timestamp>,
}

impl Left {
    /// What two reconciles left together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            acted: self.acted || other.acted,
            waiting: self.waiting || other.waiting,
            look_again_at: match (self.look_again_at, other.look_again_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }
}

impl<P: Ports> Engine<P> {
    /// An engine on these ports.
    pub fn new(ports: P) -> Self {
        Self { ports }
    }

    /// Its ports.
    pub fn ports(&self) -> &P {
        &self.ports
    }

    fn now(&self) -> Timestamp {
        self.ports.clock().now()
    }
}

/// All problems in one line, each with its path.
fn in_words(problems: &[SpecProblem]) -> String {
    problems
        .iter()
        .map(SpecProblem::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// An object that must be there for a plan to be carried out.
fn missing(kind: &str, name: &str) -> PortError {
    PortError::Permanent(format!(
        "the {kind} `{name}` does not exist; it must stand in the same namespace"
    ))
}
