//! The kinds that the operator knows, one row each. Which objects are watched, who is reconciled, what readiness waits for, what is counted
//! and which rights the chart gives follow from this table. A kind is added by a file of this directory and a row.

mod approvals;
mod champion_policies;
mod config_maps;
mod evaluations;
mod events_of_jobs;
mod jobs;
mod model_registries;
mod pods;
mod trials;
mod tuning_jobs;

use super::ports::ClusterPorts;
use super::reconcile::run_controller;
use super::reflector::{ScopeContext, run_reflector};
use super::work_queue::{Enqueuer, WorkQueue};
use crate::adapters::kubernetes::cache::{Cache, IndexKey};
use crate::adapters::kubernetes::caches::{Caches, trim_managed_fields};
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::engine::{Engine, Requeue};
use crate::metrics::Metrics;
use crate::ports::{Object, PortError};
use crate::runs::observed::{ObservedJob, ObservedPod};
use futures::future::{BoxFuture, join_all};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::core::ApiResource;
use kube::runtime::watcher;
use podium_api::{Approval, ChampionPolicy, Evaluation, ModelRegistry, Trial, TuningJob};
use std::sync::Arc;

/// The table.
const KINDS: &[Row] = &[
    Row::reconciled::<TuningJob>(),
    Row::reconciled::<Trial>(),
    Row::reconciled::<ChampionPolicy>(),
    Row::reconciled::<Evaluation>(),
    Row::reconciled::<Approval>(),
    Row::reconciled::<ModelRegistry>(),
    Row::watched::<ObservedJob>(),
    Row::watched::<ObservedPod>(),
    Row::watched::<Event>(),
    Row::watched::<ConfigMap>().for_publishing(),
];

/// The rows that an operator goes by. What it was given no right to is not watched.
pub(super) fn rows(publishes: bool) -> impl Iterator<Item = &'static Row> {
    let rows = KINDS.iter();
    rows.filter(move |row| publishes || !row.is_for_publishing)
}

/// A kind whose objects are watched.
pub(super) trait Kind: Object + kube::Resource<Scope = NamespaceResourceScope> {
    /// What the operator may do with the objects beside reading them, as verbs of a role.
    #[cfg_attr(not(test), expect(dead_code))] // The chart's rules are made of it.
    const WRITES: &'static [&'static str];
    /// What it may do with their status.
    #[cfg_attr(not(test), expect(dead_code))] // The chart's rules are made of it.
    const STATUS_WRITES: &'static [&'static str] = &[];

    /// Reads an object as the API server returned it.
    fn read(raw: RawObject) -> Result<Self, Unreadable>;

    /// Which objects of the kind are watched.
    fn selection() -> watcher::Config {
        watcher::Config::default()
    }

    /// Removes what nobody reads.
    fn trim(&mut self) {
        trim_managed_fields(self);
    }

    /// What an object is found by besides its name.
    fn index_keys(&self) -> Vec<IndexKey> {
        IndexKey::owners(self)
    }

    /// Puts whom an event concerns into their queues; the caches hold what the event says.
    fn enqueue_affected(event: &watcher::Event<Self>, caches: &Caches, enqueuer: &Enqueuer);

    /// Called with an object that cannot be read.
    fn report_unreadable(_client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
        super::unreadable::log::<Self>(metadata, unreadable);
    }
}

/// A reconcile that goes on.
pub(super) type Reconciled = BoxFuture<'static, Result<Requeue, PortError>>;

/// A kind whose objects are reconciled.
pub(super) trait ReconciledKind: Kind {
    /// Takes an object one step further.
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled;

    /// Forgets what is kept of an object that is gone.
    fn gone(_engine: &Engine<ClusterPorts>, _name: &str) {}
}

/// A row of the table.
pub(super) struct Row {
    /// Adds the cache of the kind, and its queue where it is reconciled.
    pub(super) register: fn(&mut Caches, &mut Enqueuer, &Arc<Metrics>),
    /// Returns once the cache holds a first list.
    filled: for<'a> fn(&'a Caches) -> BoxFuture<'a, ()>,
    /// Has it hold one that is empty.
    #[cfg(test)]
    fill: fn(&Caches),
    /// Whether the objects are reconciled, or only read.
    pub(super) is_reconciled: bool,
    /// Whether only an operator that may publish champions has to do with the kind.
    is_for_publishing: bool,
    /// Fills the cache, and reconciles the objects until the scope is drained. Without a controller it never returns.
    pub(super) run: fn(&Arc<ScopeContext>) -> BoxFuture<'static, ()>,
    /// What the operator may do with the kind, for the rules of the chart.
    #[cfg(test)]
    rights: fn() -> Vec<Right>,
}

impl Row {
    const fn watched<K: Kind>() -> Self {
        Self {
            register: |caches, _, _| caches.insert(Arc::new(Cache::<K>::new(K::index_keys))),
            filled: |caches| Box::pin(filled::<K>(caches)),
            #[cfg(test)]
            fill: fill::<K>,
            is_reconciled: false,
            is_for_publishing: false,
            run: |context| Box::pin(run_reflector::<K>(Arc::clone(context), |_| {})),
            #[cfg(test)]
            rights: rights::<K>,
        }
    }

    const fn reconciled<K: ReconciledKind>() -> Self {
        Self {
            register: |caches, enqueuer, metrics| {
                caches.insert(Arc::new(Cache::<K>::new(K::index_keys)));
                enqueuer.insert(WorkQueue::new(ApiResource::erase::<K>(&()), metrics));
            },
            filled: |caches| Box::pin(filled::<K>(caches)),
            #[cfg(test)]
            fill: fill::<K>,
            is_reconciled: true,
            is_for_publishing: false,
            run: |context| Box::pin(run_controller::<K>(Arc::clone(context))),
            #[cfg(test)]
            rights: rights::<K>,
        }
    }
}

impl Row {
    /// The same for an operator that may publish champions, and for no other.
    const fn for_publishing(self) -> Self {
        Self {
            is_for_publishing: true,
            ..self
        }
    }
}

/// Returns once every cache holds a first list, but for those that only announcements need: these hold nothing up, not even where the right
/// to watch is missing.
pub(super) async fn all_filled(caches: &Caches) {
    join_all(rows(false).map(|row| (row.filled)(caches))).await;
}

async fn filled<K: Kind>(caches: &Caches) {
    if let Some(cache) = caches.of::<K>() {
        cache.wait_until_filled().await;
    }
}

#[cfg(test)]
fn fill<K: Kind>(caches: &Caches) {
    if let Some(cache) = caches.of::<K>() {
        cache.apply_event(&watcher::Event::Init);
        cache.apply_event(&watcher::Event::InitDone);
    }
}

/// What the operator may do with a resource.
#[cfg(test)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Right {
    group: String,
    resource: String,
    verbs: Vec<&'static str>,
}

#[cfg(test)]
fn rights<K: Kind>() -> Vec<Right> {
    let right = |resource: String, verbs: Vec<&'static str>| Right {
        group: K::group(&()).into_owned(),
        resource,
        verbs,
    };
    let plural = K::plural(&());
    let verbs = ["list", "watch"].iter().chain(K::WRITES).copied().collect();
    let mut rights = vec![right(plural.to_string(), verbs)];
    if !K::STATUS_WRITES.is_empty() {
        let verbs = K::STATUS_WRITES.to_vec();
        rights.push(right(format!("{plural}/status"), verbs));
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::path::Path;

    const HEAD: &str = "# Generated from the table in src/controllers/kinds/mod.rs by UPDATE_RULES=1 cargo test --lib chart_gives\n";

    /// The rules of the chart's role in a namespace, as YAML.
    fn rules() -> String {
        let events = Right {
            group: "events.k8s.io".to_string(),
            resource: "events".to_string(),
            verbs: vec!["create", "patch"],
        };
        // What objects name is read by its name where it is needed, and never listed or watched.
        let named = ["secrets", "configmaps"].map(|resource| Right {
            group: String::new(),
            resource: resource.to_string(),
            verbs: vec!["get"],
        });
        let rights = rows(false).flat_map(|row| (row.rights)());
        let rights = rights.chain([events]).chain(named);
        HEAD.to_string() + &rights.map(rule).collect::<String>()
    }

    /// The rules that are added where champions are published.
    fn publishing_rules() -> String {
        let rows = KINDS.iter().filter(|row| row.is_for_publishing);
        let rights = rows.flat_map(|row| (row.rights)());
        HEAD.to_string() + &rights.map(rule).collect::<String>()
    }

    fn rule(right: Right) -> String {
        let Right {
            group,
            resource,
            verbs,
        } = right;
        let group = if group.is_empty() { "\"\"" } else { &group };
        let verbs = verbs.join(", ");
        format!("- apiGroups: [{group}]\n  resources: [{resource}]\n  verbs: [{verbs}]\n")
    }

    #[test]
    fn the_chart_gives_the_rights_of_the_table() {
        for (file, rules) in [
            ("rules.yaml", rules()),
            ("publishing-rules.yaml", publishing_rules()),
        ] {
            let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/podium/files");
            let path = files.join(file);
            if std::env::var_os("UPDATE_RULES").is_some() {
                std::fs::write(&path, &rules).unwrap();
            }
            assert_eq!(
                std::fs::read_to_string(&path).unwrap_or_default(),
                rules,
                "run UPDATE_RULES=1 cargo test --lib chart_gives"
            );
        }
    }

    fn all_caches() -> Caches {
        let (mut caches, mut enqueuer) = (Caches::default(), Enqueuer::default());
        for row in KINDS {
            (row.register)(&mut caches, &mut enqueuer, &Arc::default());
        }
        caches
    }

    #[test]
    fn no_kind_has_two_rows() {
        assert_eq!(all_caches().len(), KINDS.len());
    }

    /// An operator that was told to publish and has no right to waits for the list of ConfigMaps for ever.
    #[test]
    fn nothing_waits_for_what_only_announcements_need() {
        let caches = all_caches();
        let rows: Vec<&Row> = rows(false).collect();
        let (last, needed) = rows.split_last().unwrap();
        for row in needed {
            (row.fill)(&caches);
        }
        assert_eq!(all_filled(&caches).now_or_never(), None);
        (last.fill)(&caches);
        assert_eq!(all_filled(&caches).now_or_never(), Some(()));
    }
}
