//! Whether a read that is cut or slow goes on. Pure.

use std::time::{Duration, Instant};

/// How often in a row a read goes on that is cut before it brought [`WORTH_WAITING_FOR`].
pub(super) const CUTS: u32 = 5;
/// Bytes after which a cut is the first one again.
const WORTH_WAITING_FOR: usize = 1 << 20;
/// Bytes that must come within [`Patience::window`](super::Patience::window).
pub(super) const PACE: usize = 1 << 16;

/// The cuts of a read that brought too little since the one before.
#[derive(Default)]
pub(super) struct Cuts {
    in_a_row: u32,
    /// The most bytes that were there at a cut. A store without ranges sends all of them anew, and what it sends again is no progress.
    most: usize,
}

impl Cuts {
    /// How many there are in a row after one that left so many bytes.
    pub(super) fn after(&mut self, bytes: usize) -> u32 {
        let brought = bytes.saturating_sub(self.most);
        self.most = self.most.max(bytes);
        self.in_a_row = if brought >= WORTH_WAITING_FOR {
            1
        } else {
            self.in_a_row + 1
        };
        self.in_a_row
    }
}

/// Whether bytes come fast enough to be waited for.
pub(super) struct Pace {
    window: Duration,
    since: Instant,
    bytes: usize,
}

impl Pace {
    pub(super) fn new(window: Duration, now: Instant) -> Self {
        Self {
            window,
            since: now,
            bytes: 0,
        }
    }

    pub(super) fn holds(&mut self, came: usize, now: Instant) -> bool {
        self.bytes += came;
        if now.duration_since(self.since) < self.window {
            return true;
        }
        let holds = self.bytes >= PACE;
        *self = Self::new(self.window, now);
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again_is_no_progress() {
        let mib = |count: usize| count * WORTH_WAITING_FOR;
        let mut goes_on = Cuts::default();
        let counts = [mib(1), mib(2), mib(2) + 1, mib(2) + 2, mib(4)];
        assert_eq!(counts.map(|bytes| goes_on.after(bytes)), [1, 1, 2, 3, 1]);
        let mut begins_anew = Cuts::default();
        let counts = [mib(5), mib(3), mib(5), mib(3), mib(5), mib(3)];
        let counts = counts.map(|bytes| begins_anew.after(bytes));
        assert_eq!(counts, [1, 2, 3, 4, 5, CUTS + 1]);
    }

    #[test]
    fn a_trickle_is_told_from_a_stream() {
        let start = Instant::now();
        let window = Duration::from_secs(30);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(window, start);
        assert!(pace.holds(1, at(29)));
        assert!(!pace.holds(1, at(30)));
        assert!(pace.holds(PACE, at(61)));
        assert!(pace.holds(1, at(62)), "each window counts for itself");
        assert!(!pace.holds(1, at(91)));
    }
}
