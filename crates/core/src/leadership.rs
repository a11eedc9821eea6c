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
    /// The version last seen, and when it was first seen.
    seen: Option<(String, u64)>,
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
        return Step::Create;
    };
    if lease.holder.is_empty() || lease.holder == candidate {
        return Step::Take;
    }
    let since = match &watch.seen {
        Some((version, since)) if *version == lease.version => *since,
        _ => {
            watch.seen = Some((lease.version.clone(), now));
            now
        }
    };
    if now.saturating_sub(since) > lease.duration {
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
}
