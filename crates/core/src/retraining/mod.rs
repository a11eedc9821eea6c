//! The retraining loop: which searches a policy starts on its schedule and by request, what they wait for, and which old ones are removed.
//!
//! It behaves as users of a CronJob expect. Of the times that were missed only the last one is made up for, and not when more than the
//! starting deadline has passed since. Before a search is started the gates of one table ([`GATES`]) are asked.
//!
//! Everything is taken from what is there: the searches tell for which time they were started, so a crash between any two steps is healed
//! by planning again. What must outlive the searches is stored before one of them is deleted. Calendar arithmetic stays outside: the
//! caller says when the schedule was last due, and when it is due next.

mod gates;
mod input;
mod name;
mod plan;
mod standing;
#[cfg(test)]
mod tests;

pub use gates::{Fate, GATES, Gate, Row};
pub use input::{
    Concurrency, Due, Fault, Input, Memory, Occasion, Retraining, Search, SearchState,
    SeenSchedule, Unusable,
};
pub use name::{label_of, search_name};
pub use plan::{Cause, Deletion, Plan, Start, plan};
pub use standing::Standing;
