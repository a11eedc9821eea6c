//! When a finished search is deleted.

use crate::time::Timestamp;

/// What becomes of a finished search now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays for good.
    Never,
    /// It stays until then.
    At(Timestamp),
    /// It is to be deleted.
    Now,
}

/// `spec.ttlSecondsAfterFinished` after `completed` a search is deleted, as a Job is.
#[must_use]
pub fn expiry(completed: Option<Timestamp>, ttl_seconds: Option<u64>, now: Timestamp) -> Expiry {
    let Some((completed, seconds)) = completed.zip(ttl_seconds) else {
        return Expiry::Never;
    };
    let at = completed.plus_seconds(seconds);
    if now >= at {
        Expiry::Now
    } else {
        Expiry::At(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_deleted_at_its_time_and_not_before() {
        let completed = Some(Timestamp(1_000));
        assert_eq!(expiry(completed, None, Timestamp(i64::MAX)), Expiry::Never);
        assert_eq!(expiry(None, Some(1), Timestamp(i64::MAX)), Expiry::Never);
        let at = Timestamp(3_000);
        assert_eq!(expiry(completed, Some(2), Timestamp(2_999)), Expiry::At(at));
        assert_eq!(expiry(completed, Some(2), at), Expiry::Now);
        assert_eq!(expiry(completed, Some(0), Timestamp(1_000)), Expiry::Now);
    }
}
