//! Whether an operator may write, and for how long.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Why a write does not happen, or is given up.
pub const FORBIDDEN: &str = "this operator does not hold the lease and must not write";

/// Until when writes are allowed, and how many are on their way.
#[derive(Clone, Debug)]
pub struct WriteLease {
    until: Arc<watch::Sender<Until>>,
    writes: Arc<watch::Sender<usize>>,
}

#[derive(Clone, Copy, Debug)]
enum Until {
    Always,
    Moment(Instant),
    Never,
}

impl Until {
    fn left(self) -> Option<Duration> {
        match self {
            Self::Always => Some(Duration::MAX),
            Self::Moment(moment) => moment
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero()),
            Self::Never => None,
        }
    }
}

impl WriteLease {
    /// Of an operator that is alone by assumption.
    #[must_use]
    pub fn always() -> Self {
        Self::of(Until::Always)
    }

    /// Of an operator that does not lead yet.
    #[must_use]
    pub fn none_yet() -> Self {
        Self::of(Until::Never)
    }

    fn of(until: Until) -> Self {
        Self {
            until: Arc::new(watch::Sender::new(until)),
            writes: Arc::default(),
        }
    }

    /// Writes are allowed until `moment`.
    pub fn extend(&self, moment: Instant) {
        self.until.send_replace(Until::Moment(moment));
    }

    /// No write is allowed any more.
    pub fn end(&self) {
        self.until.send_replace(Until::Never);
    }

    /// How long writes are allowed from now on; `None` for not at all.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.until.borrow().left()
    }

    /// Returns when writes are not allowed any more; a permission that is extended meanwhile lasts longer.
    pub async fn forbidden(&self) {
        let mut until = self.until.subscribe();
        loop {
            let now = *until.borrow_and_update();
            let Some(left) = now.left() else {
                return;
            };
            tokio::select! {
                // The sender lives as long as this permission.
                _ = until.changed() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// A write that begins now, if it is allowed; it is on its way until this is dropped.
    #[must_use]
    pub fn begin_write(&self) -> Option<Write> {
        self.left()?;
        self.writes.send_modify(|writes| *writes += 1);
        Some(Write {
            permission: self.clone(),
        })
    }

    /// Returns when no write is on its way.
    pub async fn no_writes(&self) {
        let mut writes = self.writes.subscribe();
        // The sender lives as long as this permission.
        let _ = writes.wait_for(|writes| *writes == 0).await;
    }
}

/// A write on its way.
#[derive(Debug)]
pub struct Write {
    permission: WriteLease,
}

impl Write {
    /// Returns when writes are not allowed any more. A permission that is extended meanwhile lasts longer for this write too.
    pub async fn forbidden(&self) {
        self.permission.forbidden().await;
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.permission
            .writes
            .send_modify(|writes| *writes = writes.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::future::Future;

    const MINUTE: Duration = Duration::from_secs(60);

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn a_permission_ends_at_its_moment() {
        let permission = WriteLease::none_yet();
        assert_eq!(permission.left(), None);
        permission.extend(Instant::now() + MINUTE);
        assert!(permission.left().unwrap() > MINUTE - Duration::from_secs(10));
        permission.extend(Instant::now());
        assert_eq!(permission.left(), None);
        assert_eq!(WriteLease::always().left(), Some(Duration::MAX));
    }

    #[test]
    fn a_write_lasts_as_long_as_the_permission_that_is_extended_meanwhile() {
        run(async {
            let permission = WriteLease::none_yet();
            assert!(permission.begin_write().is_none());
            permission.extend(Instant::now() + Duration::from_millis(50));
            let write = permission.begin_write().unwrap();
            let mut forbidden = Box::pin(write.forbidden());
            assert_eq!(forbidden.as_mut().now_or_never(), None);
            permission.extend(Instant::now() + MINUTE);
            let soon = tokio::time::timeout(Duration::from_millis(100), forbidden.as_mut());
            assert!(soon.await.is_err(), "it was extended");
            permission.end();
            forbidden.await;
        });
    }

    #[test]
    fn a_write_without_an_end_of_its_permission_is_never_forbidden() {
        run(async {
            let write = WriteLease::always().begin_write().unwrap();
            assert_eq!(write.forbidden().now_or_never(), None);
        });
    }

    #[test]
    fn writes_are_on_their_way_until_they_are_answered_or_given_up() {
        run(async {
            let permission = WriteLease::always();
            assert_eq!(permission.no_writes().now_or_never(), Some(()));
            let (first, second) = (permission.begin_write(), permission.begin_write());
            drop(first);
            assert_eq!(permission.no_writes().now_or_never(), None);
            drop(second);
            assert_eq!(permission.no_writes().now_or_never(), Some(()));
        });
    }
}
