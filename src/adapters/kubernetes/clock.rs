//! The clock of the API server. What it has stamped is compared with its own time: the clock of this machine may be hours off.

use crate::adapters::clock::SystemClock;
use crate::ports::Clock;
use k8s_openapi::jiff::fmt::rfc2822;
use podium_core::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Clocks that differ by less than this are taken for equal: answers name whole seconds and take time to arrive.
const TOLERANCE_MILLISECONDS: i64 = 3_000;

/// Learns from the `Date` of the API server's answers how far the clock of this machine is off.
#[derive(Clone, Debug, Default)]
pub struct ServerClock {
    /// Milliseconds by which the server is ahead of this machine.
    offset: Arc<AtomicI64>,
    /// Milliseconds that are added to the clock of this machine, to try a wrong one.
    skew: i64,
}

impl ServerClock {
    /// On a machine whose clock is taken to be so many seconds ahead.
    #[must_use]
    pub fn with_skew(seconds: i64) -> Self {
        Self {
            offset: Arc::default(),
            skew: seconds.saturating_mul(1000),
        }
    }

    /// Takes in the `Date` of an answer that has just arrived. One that is no date is ignored.
    pub fn observe(&self, date: &str) {
        let Ok(date) = rfc2822::parse(date) else {
            return;
        };
        self.learn(date.timestamp().as_millisecond(), self.local());
    }

    /// The server named a second that may be about to end.
    fn learn(&self, server: i64, local: i64) {
        let measured = server.saturating_add(500).saturating_sub(local);
        let known = self.offset.load(Ordering::Relaxed);
        if measured.saturating_sub(known).abs() < TOLERANCE_MILLISECONDS {
            return;
        }
        let offset = match measured.abs() < TOLERANCE_MILLISECONDS {
            true => 0,
            false => measured,
        };
        tracing::warn!(
            seconds = offset / 1000,
            "the API server's clock is ahead of this machine's by so much; its time is used"
        );
        self.offset.store(offset, Ordering::Relaxed);
    }

    fn local(&self) -> i64 {
        SystemClock.now().0.saturating_add(self.skew)
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        let offset = self.offset.load(Ordering::Relaxed);
        Timestamp(self.local().saturating_add(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(clock: &ServerClock, server: i64, local: i64) -> i64 {
        clock.learn(server, local);
        clock.offset.load(Ordering::Relaxed)
    }

    #[test]
    fn a_clock_that_is_off_is_corrected_and_one_that_is_not_is_left_alone() {
        let clock = ServerClock::default();
        assert_eq!(learned(&clock, 100_000, 101_900), 0, "a slow answer");
        assert_eq!(learned(&clock, 100_000, 7_300_000), -7_199_500);
        assert_eq!(
            learned(&clock, 101_000, 7_302_400),
            -7_199_500,
            "the same, measured anew"
        );
        assert_eq!(learned(&clock, 102_000, 102_100), 0, "it was set right");
    }

    #[test]
    fn the_time_is_that_of_the_server_whatever_the_machine_says() {
        let clock = ServerClock::with_skew(7_200);
        let date = rfc2822::to_string(&k8s_openapi::jiff::Zoned::now()).unwrap();
        clock.observe(&date);
        clock.observe("no date");
        let now = SystemClock.now();
        assert!(clock.now().milliseconds_since(now).abs() < 3_000);
        let imf = ServerClock::default();
        imf.observe("Sun, 06 Nov 1994 08:49:37 GMT");
        let known = Timestamp(784_111_777_500);
        assert!(imf.now().milliseconds_since(known).abs() < 3_000);
    }
}
