//! Runs that belong to nobody. Nothing holds up the deletion of an object, so what it leaves in MLflow is looked for by its tags: when the
//! operator starts, when a search is gone, and again some time later, since a container that is being ended may have said that its run goes
//! on. Some time after a search has ended, too: a request to start a run that was given up may have arrived after all, and nobody names that
//! run.

use super::super::Engine;
use super::super::search_end::is_finished;
use super::log::{LOCATION_TAG, owner_of};
use super::tell::kill;
use super::{Asked, lock, run_of};
use crate::ports::{Cluster, OpenRuns, PortError, Ports, Tracking};
use kube::ResourceExt;
use podium_api::convert::{World, record_of};
use podium_api::{ModelRegistry, Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{NamedRun, NamedRuns, why_orphan};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Seconds after which nothing of a search that is gone or has ended runs any more, or arrives.
const SETTLED_SECONDS: u64 = 120;
/// Seconds until a look that failed is tried again.
const AGAIN_SECONDS: u64 = 60;

/// What became of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// It is there, and nothing of it is looked for.
    #[default]
    There,
    /// Its end was logged then.
    Ended(Timestamp),
    /// It is gone since then.
    Gone(Timestamp),
}

/// The searches that are logged to one registry.
#[derive(Debug, Default)]
pub(super) struct LoggedSearches {
    /// Whether this process has looked for what an earlier one has left.
    has_looked: bool,
    /// By uid.
    searches: HashMap<String, Fate>,
}

impl LoggedSearches {
    /// Takes in which searches there are; whether there may be runs that belong to nobody.
    fn take_in(&mut self, existing: &HashSet<String>, now: Timestamp) -> bool {
        for uid in existing {
            let fate = self.searches.entry(uid.clone()).or_default();
            if let Fate::Gone(_) = fate {
                *fate = Fate::There;
            }
        }
        for (uid, fate) in &mut self.searches {
            if !existing.contains(uid) && !matches!(fate, Fate::Gone(_)) {
                *fate = Fate::Gone(now);
            }
        }
        let is_due = |fate: &Fate| match fate {
            Fate::There => false,
            Fate::Ended(since) => since.plus_seconds(SETTLED_SECONDS) <= now,
            Fate::Gone(_) => true,
        };
        !self.has_looked || self.searches.values().any(is_due)
    }

    /// Runs that belong to nobody were ended.
    fn looked(&mut self, now: Timestamp) {
        self.has_looked = true;
        let is_settled = |since: Timestamp| since.plus_seconds(SETTLED_SECONDS) <= now;
        self.searches
            .retain(|_, fate| !matches!(fate, Fate::Gone(since) if is_settled(*since)));
        for fate in self.searches.values_mut() {
            if matches!(fate, Fate::Ended(since) if is_settled(*since)) {
                *fate = Fate::There;
            }
        }
    }

    /// When to look without any event.
    fn next_look(&self) -> Option<Timestamp> {
        let looks = self.searches.values().filter_map(|fate| match fate {
            Fate::There => None,
            Fate::Ended(since) | Fate::Gone(since) => Some(since.plus_seconds(SETTLED_SECONDS)),
        });
        looks.min()
    }
}

impl<P: Ports> Engine<P> {
    /// A search has runs that go on, or is about to.
    pub(super) fn is_logged(&self, job: &TuningJob, asked: &Asked) {
        self.became(job, asked, Fate::There);
    }

    /// The end of a search and of all its trials is logged.
    pub(super) fn is_logged_to_its_end(&self, job: &TuningJob, asked: &Asked) {
        self.became(job, asked, Fate::Ended(self.now()));
    }

    fn became(&self, job: &TuningJob, asked: &Asked, fate: Fate) {
        let mut logged = lock(&self.tracking.logged);
        let of_registry = logged.entry(asked.registry_ref.name.clone()).or_default();
        let uid = job.uid().unwrap_or_default();
        of_registry.searches.insert(uid, fate);
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
        let is_logged_here = |search: &&TuningJob| {
            let asked = search.spec.tracking.as_ref();
            asked.is_some_and(|asked| asked.registry_ref.name == name)
        };
        let existing = searches.iter().filter(is_logged_here);
        let existing = existing.filter_map(ResourceExt::uid).collect();
        {
            let mut logged = lock(&self.tracking.logged);
            let of_registry = logged.entry(name.clone()).or_default();
            if !of_registry.take_in(&existing, now) {
                return of_registry.next_look();
            }
        }
        match self.end_open_orphans(registry, now).await {
            Ok(()) => {
                let mut logged = lock(&self.tracking.logged);
                let of_registry = logged.entry(name).or_default();
                of_registry.looked(now);
                of_registry.next_look()
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
        let existing = existing
            .iter()
            .filter_map(|search| Some((search.uid()?, search)));
        let existing: HashMap<String, &TuningJob> = existing.collect();
        let mut searches: BTreeMap<String, NamedRuns> = BTreeMap::new();
        for run in open {
            let Some(owner) = owner_of(&run.tags) else {
                continue;
            };
            if let Some(search) = existing.get(owner.search)
                && !searches.contains_key(owner.search)
            {
                let trials = self.ports.cluster().owned::<Trial>(owner.search).await?;
                searches.insert(owner.search.to_string(), named_runs(search, &trials));
            }
            let Some(why) = why_orphan(owner, &run.id, &searches) else {
                continue;
            };
            match kill(&tracking, &run.id, why, now).await {
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

/// What a search and its trials say of their runs.
fn named_runs(search: &TuningJob, trials: &[Arc<Trial>]) -> NamedRuns {
    let status = search.status.as_ref();
    let tracking = status.and_then(|status| status.tracking.as_ref());
    let of_trial = |trial: &Arc<Trial>| {
        let named = NamedRun {
            id: run_of(trial).map(str::to_string),
            is_over: record_of(trial.status.as_ref()).phase.is_finished(),
        };
        Some((trial.uid()?, named))
    };
    NamedRuns {
        search: NamedRun {
            id: tracking.and_then(|tracking| tracking.parent_run_id.clone()),
            is_over: is_finished(search, trials),
        },
        trials: trials.iter().filter_map(of_trial).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(uids: &[&str]) -> HashSet<String> {
        uids.iter().map(|uid| (*uid).to_string()).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn a_look_is_due_at_the_start_and_twice_after_a_search_is_gone() {
        let mut logged = LoggedSearches::default();
        // They were there before this process, whatever becomes of them in it.
        assert!(logged.take_in(&uids(&["a", "b"]), at(0)));
        logged.looked(at(0));
        assert_eq!(logged.next_look(), None);
        assert!(!logged.take_in(&uids(&["a", "b"]), at(1)));
        for look in [2, 50, 122] {
            assert!(logged.take_in(&uids(&["b"]), at(look)));
            assert_eq!(logged.next_look(), Some(at(122)));
            logged.looked(at(look));
        }
        assert_eq!(logged.next_look(), None);
        assert!(!logged.take_in(&uids(&["b"]), at(123)));
    }

    #[test]
    fn a_look_is_due_some_time_after_a_search_has_ended_and_when_it_is_gone() {
        let mut logged = LoggedSearches::default();
        logged.looked(at(0));
        let ended = Fate::Ended(at(1));
        logged.searches.insert("a".to_string(), ended);
        assert!(!logged.take_in(&uids(&["a"]), at(120)));
        assert_eq!(logged.next_look(), Some(at(121)));
        assert!(logged.take_in(&uids(&["a"]), at(121)));
        logged.looked(at(121));
        assert!(!logged.take_in(&uids(&["a"]), at(122)));
        assert!(logged.take_in(&uids(&[]), at(123)));
        // A list that was older than the search is no news of it.
        assert!(!logged.take_in(&uids(&["a"]), at(124)));
    }
}
