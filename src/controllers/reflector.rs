//! Fills the cache of a kind from its watch, and puts whom an event concerns into their queues.

use super::kinds::Kind;
use super::ports::Engines;
use super::watch_health::WatchHealth;
use super::work_queue::Enqueuer;
use crate::adapters::kubernetes::cache::Cache;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::RawObject;
use crate::metrics::Metrics;
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::ApiResource;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use std::sync::Arc;
use tokio::sync::watch::Receiver;

/// Where an operator acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In every namespace.
    Cluster,
    /// In this one.
    Namespace(String),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster => formatter.write_str("all namespaces"),
            Self::Namespace(name) => write!(formatter, "namespace {name}"),
        }
    }
}

impl Scope {
    fn api(&self, client: Client, resource: &ApiResource) -> Api<RawObject> {
        match self {
            Self::Cluster => Api::all_with(client, resource),
            Self::Namespace(name) => Api::namespaced_with(client, name, resource),
        }
    }
}

/// What the watches and the controllers of a scope share.
pub(super) struct ScopeContext {
    pub(super) scope: Scope,
    pub(super) client: Client,
    pub(super) engines: Engines,
    pub(super) caches: Arc<Caches>,
    pub(super) enqueuer: Enqueuer,
    pub(super) health: Arc<WatchHealth>,
    pub(super) metrics: Arc<Metrics>,
    /// Objects of a kind that are reconciled at once.
    pub(super) concurrency: u16,
    /// Whether champions are published in ConfigMaps.
    pub(super) publishes: bool,
    /// Becomes true when the operator is asked to end.
    pub(super) draining: Receiver<bool>,
}

/// Watches one kind for ever. Each object is read by itself. `observe` is told of every event after the cache was.
pub(super) async fn run_reflector<K: Kind>(
    context: Arc<ScopeContext>,
    mut observe: impl FnMut(&Event<K>),
) {
    let Some(cache) = context.caches.of::<K>() else {
        return;
    };
    let resource = ApiResource::erase::<K>(&());
    let mut events = raw_events(Arc::clone(&context), resource, K::selection());
    while let Some(event) = events.next().await {
        let Some(mut event) = readable(event, &cache, &context.client) else {
            continue;
        };
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = &mut event
        {
            object.trim();
        }
        cache.apply_event(&event);
        observe(&event);
        K::enqueue_affected(&event, &context.caches, &context.enqueuer);
    }
}

/// The events of a watch that goes on for ever; an API server that is away is asked again with growing pauses.
fn raw_events(
    context: Arc<ScopeContext>,
    resource: ApiResource,
    selection: watcher::Config,
) -> BoxStream<'static, Event<RawObject>> {
    let api = context.scope.api(context.client.clone(), &resource);
    let mut lists = 0;
    let events = watcher(api, selection).default_backoff();
    let kind = resource.plural;
    let events = events.filter_map(move |event| {
        let event = match event {
            Ok(event) => {
                // A list begins before it is known whether it may be read.
                if !matches!(event, Event::Init) {
                    context.health.works(&context.scope, &kind);
                }
                Some(event)
            }
            Err(error) => {
                tracing::warn!(kind, %error, "a watch was interrupted");
                context.metrics.watch_failed(&kind);
                context.health.failed(&context.scope, &kind, &error);
                None
            }
        };
        if matches!(event, Some(Event::Init)) {
            lists += 1;
            if lists > 1 {
                context.metrics.desync(resource.kind.clone());
            }
        }
        std::future::ready(event)
    });
    events.boxed()
}

/// The same event of an object that can be read. One that cannot be read any more is gone for everybody who reads it.
fn readable<K: Kind>(
    event: Event<RawObject>,
    cache: &Cache<K>,
    client: &Client,
) -> Option<Event<K>> {
    let read = |raw: RawObject| {
        let metadata = raw.meta().clone();
        K::read(raw).map_err(|unreadable| Box::new((metadata, unreadable)))
    };
    let gone = |metadata: &ObjectMeta| {
        let name = metadata.name.as_deref().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let known = cache.get(namespace, name);
        known.map(|known| Event::Delete(Arc::unwrap_or_clone(known)))
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::Apply(raw) => match read(raw) {
            Ok(object) => Some(Event::Apply(object)),
            Err(what) => {
                let (metadata, unreadable) = *what;
                K::report_unreadable(client, &metadata, &unreadable);
                gone(&metadata)
            }
        },
        // What a list lacks is gone when the list is whole.
        Event::InitApply(raw) => match read(raw) {
            Ok(object) => Some(Event::InitApply(object)),
            Err(what) => {
                K::report_unreadable(client, &what.0, &what.1);
                None
            }
        },
        Event::Delete(raw) => match read(raw) {
            Ok(object) => Some(Event::Delete(object)),
            Err(what) => gone(&what.0),
        },
    }
}

/// The object that an event is about; `None` for the begin and the end of a list.
pub(super) fn event_object<K>(event: &Event<K>) -> Option<&K> {
    match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => Some(object),
        Event::Init | Event::InitDone => None,
    }
}
