//! The clock of this machine.

use crate::ports::Clock;
use podium_core::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads the clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 gives 1970: everything then lies in the future, and nothing is overdue.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
