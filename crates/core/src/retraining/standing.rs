//! Where a retraining loop stands, in one word and in one sentence.

use super::input::{Fault, Occasion, Unusable};
use crate::time::Timestamp;

/// Where a retraining loop stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No search can be made of the template.
    Unusable(Unusable),
    /// The policy as a whole is suspended.
    PolicySuspended,
    /// The schedule is suspended.
    ScheduleSuspended,
    /// Something is due, and waits until other searches have ended.
    AlreadyActive {
        /// What is due.
        due: Occasion,
        /// The names of the others.
        active: Vec<String>,
    },
    /// It follows the schedule.
    Scheduled {
        /// When the schedule is due next.
        next: Option<Timestamp>,
        /// The names of the searches that go on.
        active: Vec<String>,
    },
}

impl Standing {
    /// Whether a search would be started when its time comes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !matches!(self, Self::Unusable(_))
    }

    /// The name in conditions and events.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unusable(Unusable { fault, .. }) => match fault {
                Fault::Invalid => "InvalidTemplate",
                Fault::Refused => "TemplateRefused",
            },
            Self::PolicySuspended | Self::ScheduleSuspended => "Suspended",
            Self::AlreadyActive { .. } => "AlreadyActive",
            Self::Scheduled { .. } => "Scheduled",
        }
    }

    /// The same in one sentence; `shown` is how times are written.
    #[must_use]
    pub fn sentence(&self, shown: impl Fn(Timestamp) -> String) -> String {
        match self {
            Self::Unusable(Unusable { message, .. }) => message.clone(),
            Self::PolicySuspended => "no search is started while `spec.suspend` is set; the last time that passes meanwhile is made up for afterwards".to_string(),
            Self::ScheduleSuspended => "no search is started on schedule while `spec.retrain.suspend` is set; the last time that passes meanwhile is made up for afterwards".to_string(),
            Self::AlreadyActive { due, active } => {
                let what = match due {
                    Occasion::Schedule(time) => format!("the search for {}", shown(*time)),
                    Occasion::RunNow(_) => "the search that was asked for".to_string(),
                };
                let others = names(active);
                format!("{what} waits until {others} has ended, since `spec.retrain.concurrencyPolicy` is Forbid")
            }
            Self::Scheduled { next, active } => {
                let next = match next {
                    Some(next) => format!("the next search is due at {}", shown(*next)),
                    None => "the schedule is never due again".to_string(),
                };
                match active.is_empty() {
                    true => next,
                    false => format!("{next}; {} goes on", names(active)),
                }
            }
        }
    }
}

/// One of them, and how many there are besides.
fn names(active: &[String]) -> String {
    match active {
        [] => "another search".to_string(),
        [only] => format!("`{only}`"),
        [first, others @ ..] => format!("`{first}` with {} more", others.len()),
    }
}
