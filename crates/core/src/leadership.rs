//! Who leads: decisions over a lease, as in Kubernetes' own leader election.
//!
//! Times are milliseconds of one process's monotonic clock; clocks of different machines are never compared.
//! A lease of somebody else counts as given up when it was not renewed for its whole duration, as seen from here.

/// A lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLease {
    /// Who holds it; empty when it was given back.
    pub holder: String,
    /// How long it lasts without being renewed, in milliseconds.
    pub duration: u64,
    /// Changes with every renewal.
    pub version: String,
}

/// What a candidate remembers of the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// What another one's lease last looked like.
    seen: Option<Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    version: String,
    /// When this version was first seen.
    since: u64,
    duration: u64,
}

impl Seen {
    fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.since) > self.duration
    }
}

/// What a candidate does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create the lease.
    Create,
    /// Write own name and the time into it, if it is still the version that was seen.
    Take,
    /// Somebody else leads; look again later.
    Wait,
}

/// What `candidate` does, having read the lease at `now`. Pure.
pub fn step(watch: &mut Watch, lease: Option<&SeenLease>, candidate: &str, now: u64) -> Step {
    let Some(lease) = lease else {
        // Who held it when somebody deleted it may act until its time is over.
        return match &watch.seen {
            Some(seen) if !seen.is_over(now) => Step::Wait,
            _ => Step::Create,
        };
    };
    if lease.holder.is_empty() || lease.holder == candidate {
        return Step::Take;
    }
    let same = watch
        .seen
        .take()
        .filter(|seen| seen.version == lease.version);
    let seen = watch.seen.insert(same.unwrap_or_else(|| Seen {
        version: lease.version.clone(),
        since: now,
        duration: lease.duration,
    }));
    if seen.is_over(now) {
        Step::Take
    } else {
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_lease(holder: &str, version: &str) -> SeenLease {
        SeenLease {
            holder: holder.to_string(),
            duration: 15_000,
            version: version.to_string(),
        }
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken() {
        let mut watch = Watch::default();
        assert_eq!(step(&mut watch, None, "a", 0), Step::Create);
        assert_eq!(
            step(&mut watch, Some(&mk_lease("", "1")), "a", 0),
            Step::Take
        );
        assert_eq!(
            step(&mut watch, Some(&mk_lease("a", "2")), "a", 0),
            Step::Take
        );
    }

    #[test]
    fn a_lease_of_another_is_taken_only_after_it_stood_still_for_its_duration() {
        let mut watch = Watch::default();
        let at =
            |watch: &mut Watch, version, now| step(watch, Some(&mk_lease("b", version)), "a", now);
        assert_eq!(at(&mut watch, "1", 1_000), Step::Wait);
        assert_eq!(at(&mut watch, "1", 16_000), Step::Wait);
        assert_eq!(at(&mut watch, "2", 16_500), Step::Wait, "it was renewed");
        assert_eq!(at(&mut watch, "2", 31_500), Step::Wait);
        assert_eq!(at(&mut watch, "2", 31_501), Step::Take);
    }

    #[test]
    fn a_lease_of_another_that_is_deleted_lasts_as_long_as_it_would_have() {
        let mut watch = Watch::default();
        let lease = mk_lease("b", "1");
        assert_eq!(step(&mut watch, Some(&lease), "a", 1_000), Step::Wait);
        assert_eq!(step(&mut watch, None, "a", 16_000), Step::Wait);
        assert_eq!(step(&mut watch, None, "a", 16_001), Step::Create);
    }
}
