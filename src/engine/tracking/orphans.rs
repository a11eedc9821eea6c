//! Runs whose objects are gone. Nothing holds up the deletion of an object, so what it leaves in MLflow is looked for by its tags: when the
//! operator starts, when a search is gone, and again some time later, since a container that is being ended may have said that its run goes
//! on.

use super::super::Engine;
use super::log::{LOCATION_TAG, owner_of};
use super::tell::kill;
use super::{Asked, lock};
use crate::ports::{Cluster, OpenRuns, PortError, Ports, Tracking};
use kube::ResourceExt;
use podium_api::convert::World;
use podium_api::{ModelRegistry, Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::is_orphan;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Seconds after which nothing of a search that is gone runs any more.
const GONE_FOR_GOOD_SECONDS: u64 = 120;
/// Seconds until a look that failed is tried again.
const AGAIN_SECONDS: u64 = 60;

/// The searches that are logged to one registry.
#[derive(Debug, Default)]
pub(super) struct LoggedSearches {
    /// Whether this process has looked for what an earlier one has left.
    has_looked: bool,
    /// Uids of searches whose runs may go on, and since when they are gone.
    searches: HashMap<String, Option<Timestamp>>,
}

impl LoggedSearches {
    /// Takes in which searches there are; whether there may be runs that belong to nobody.
    fn take_in(&mut self, existing: &HashSet<String>, now: Timestamp) -> bool {
        for (uid, gone) in &mut self.searches {
            if !existing.contains(uid) {
                gone.get_or_insert(now);
            }
        }
        !self.has_looked || self.searches.values().any(Option::is_some)
    }

    /// Runs that belong to nobody were ended; when to look for more.
    fn looked(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.has_looked = true;
        let last_look = |gone: Timestamp| gone.plus_seconds(GONE_FOR_GOOD_SECONDS);
        self.searches
            .retain(|_, gone| gone.is_none_or(|gone| now < last_look(gone)));
        let gone = self.searches.values().flatten();
        gone.map(|gone| last_look(*gone)).min()
    }
}

impl<P: Ports> Engine<P> {
    /// A search has runs that go on, or is about to.
    pub(super) fn is_logged(&self, job: &TuningJob, asked: &Asked) {
        let mut logged = lock(&self.tracking.logged);
        let of_registry = logged.entry(asked.registry_ref.name.clone()).or_default();
        let uid = job.uid().unwrap_or_default();
        of_registry.searches.entry(uid).or_default();
    }

    /// No run of a search goes on.
    pub(super) fn is_not_logged(&self, job: &TuningJob, asked: &Asked) {
        let mut logged = lock(&self.tracking.logged);
        if let Some(of_registry) = logged.get_mut(&asked.registry_ref.name) {
            of_registry.searches.remove(&job.uid().unwrap_or_default());
        }
    }

    /// Ends the runs of this namespace that belong to nobody any more, where there may be some; when to look again. What fails is logged, and
    /// says nothing of the registry.
    pub(in crate::engine) async fn end_orphans(
        &self,
        registry: &ModelRegistry,
    ) -> Option<Timestamp> {
        if self.ports.world() == World::Local {
            return None;
        }
        let (name, now) = (registry.name_any(), self.now());
        let searches = self.ports.cluster().list::<TuningJob>().await.ok()?;
        let existing = searches.iter().filter_map(ResourceExt::uid).collect();
        let may_be_some = {
            let mut logged = lock(&self.tracking.logged);
            let of_registry = logged.entry(name.clone()).or_default();
            of_registry.take_in(&existing, now)
        };
        if !may_be_some {
            return None;
        }
        match self.end_open_orphans(registry, now).await {
            Ok(()) => {
                let mut logged = lock(&self.tracking.logged);
                logged.entry(name).or_default().looked(now)
            }
            Err(error) => {
                tracing::warn!(registry = name, %error, "runs that belong to nobody may go on");
                Some(now.plus_seconds(AGAIN_SECONDS))
            }
        }
    }

    async fn end_open_orphans(
        &self,
        registry: &ModelRegistry,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let tracking = self.ports.tracking(registry).await?;
        let location = self.ports.location(&registry.spec);
        let here = OpenRuns::Tagged {
            tag: LOCATION_TAG,
            value: &location,
        };
        let open = tracking.open_runs(here).await?;
        // After the runs: an object is there before its run, and others may have come while MLflow was asked.
        let existing = self.ports.cluster().list::<TuningJob>().await?;
        let existing: HashSet<String> = existing.iter().filter_map(ResourceExt::uid).collect();
        let mut searches: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for run in open {
            let Some(owner) = owner_of(&run.tags) else {
                continue;
            };
            if existing.contains(owner.search) && !searches.contains_key(owner.search) {
                let trials = self.ports.cluster().owned::<Trial>(owner.search).await?;
                let uids = trials.iter().filter_map(|trial| trial.uid());
                searches.insert(owner.search.to_string(), uids.collect());
            }
            if !is_orphan(owner, &searches) {
                continue;
            }
            match kill(&tracking, &run.id, "its object was deleted", now).await {
                Err(error) if error.is_transient() => return Err(error),
                // Others may have tagged a run of theirs, which Podium may not end: that keeps no other run from its end.
                Err(error) => {
                    tracing::warn!(run = run.id, %error, "a run that belongs to nobody goes on");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(uids: &[&str]) -> HashSet<String> {
        uids.iter().map(|uid| (*uid).to_string()).collect()
    }

    #[test]
    fn a_look_is_due_at_the_start_and_twice_after_a_search_is_gone() {
        let mut logged = LoggedSearches::default();
        let at = |seconds: i64| Timestamp(seconds * 1000);
        assert!(logged.take_in(&uids(&[]), at(0)));
        assert_eq!(logged.looked(at(0)), None);
        for uid in ["a", "b"] {
            logged.searches.insert(uid.to_string(), None);
        }
        assert!(!logged.take_in(&uids(&["a", "b"]), at(1)));
        assert!(logged.take_in(&uids(&["b"]), at(2)));
        assert_eq!(logged.looked(at(2)), Some(at(122)));
        assert!(logged.take_in(&uids(&["b"]), at(50)));
        assert_eq!(logged.looked(at(50)), Some(at(122)));
        assert!(logged.take_in(&uids(&["b"]), at(122)));
        assert_eq!(logged.looked(at(122)), None);
        assert!(!logged.take_in(&uids(&["b"]), at(123)));
    }
}
