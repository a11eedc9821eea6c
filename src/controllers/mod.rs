//! The operator: what is watched, which engine call follows, when it is tried again.

mod kinds;
mod listen;
mod ports;
mod reconcile;
mod reflector;
mod server;
mod shares;
mod unreadable;
mod watch_health;
mod work_queue;

use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::client::client;
use crate::adapters::kubernetes::clock::ServerClock;
use crate::adapters::kubernetes::events::KubernetesEvents;
use crate::adapters::kubernetes::lease::Candidate;
use crate::adapters::kubernetes::messages::Messages;
use crate::adapters::kubernetes::registries::Registries;
use crate::adapters::mlflow::hosts::AllowedHosts;
use crate::adapters::write_lease::WriteLease;
use crate::metrics::Metrics;
use kinds::rows;
use kube::{Config, Resource};
use podium_api::ChampionPolicy;
use podium_core::champion::cause::digest;
use ports::{Engines, Shared};
use reflector::{Scope, ScopeContext};
use server::Readiness;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use watch_health::WatchHealth;
use work_queue::Enqueuer;

/// Work in progress gets this long to end after the operator was asked to.
const DRAIN: Duration = Duration::from_secs(20);

/// How an operator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces to act in; `*` alone for all of them, nothing for the operator's own.
    pub namespaces: Vec<String>,
    /// Whether a lease decides which of several operators acts.
    pub leader_election: bool,
    /// Name of that lease.
    pub lease_name: String,
    /// Where metrics are served.
    pub metrics_address: SocketAddr,
    /// Where health is served.
    pub health_address: SocketAddr,
    /// Objects of a kind that are reconciled at once.
    pub max_concurrent_reconciles: u16,
    /// Name of this operator among others, such as that of its pod.
    pub name: String,
    /// Seconds by which the clock of this machine is taken to be ahead, for tests.
    pub clock_skew_seconds: i64,
    /// Its own namespace, where that is known.
    pub own_namespace: Option<String>,
    /// Which hosts may be connected to, by namespace.
    pub allowed_hosts: AllowedHosts,
    /// Which hosts may be notified, by namespace.
    pub notify_hosts: AllowedHosts,
    /// Whether it may write ConfigMaps, in which champions are published.
    pub publishes: bool,
    /// Whether something makes sure that an `Approval` names whoever created it.
    pub approvers_verified: bool,
    /// Name of the cluster among those whose policies share a registry; without it one that follows from the cluster's certificate.
    pub cluster_name: Option<String>,
    /// The image of Podium that comparisons run; without it nothing is compared.
    pub image: Option<String>,
}

/// Why an operator cannot run or go on.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no configuration for a cluster.
    #[error("no cluster: neither a kubeconfig nor the service account of a pod can be used: {0}")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// The configuration cannot be used.
    #[error("the cluster's configuration cannot be used: {0}")]
    Client(#[from] kube::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Another operator leads now.
    #[error("the lease was lost: another operator may act now, so this one ends")]
    LeaseLost,
}

/// Runs an operator until `stop`; what is in progress then is ended in order.
///
/// # Errors
/// See [`OperatorError`].
pub async fn run(
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), OperatorError> {
    let config = Config::infer().await?;
    let own_namespace = options
        .own_namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(WatchHealth::default());
    let readiness = Arc::new(Readiness::new(Arc::clone(&health)));
    let permission = if options.leader_election {
        WriteLease::none_yet()
    } else {
        WriteLease::always()
    };
    let clock = ServerClock::with_skew(options.clock_skew_seconds);
    let cluster = match &options.cluster_name {
        Some(name) => name.clone(),
        None => cluster_name(&config),
    };
    let scopes = scopes(&options.namespaces, &own_namespace);
    let working = client(
        config.clone(),
        permission.clone(),
        Arc::clone(&metrics),
        clock.clone(),
    )?;
    server::serve(
        [options.health_address, options.metrics_address],
        Arc::clone(&readiness),
        Arc::clone(&metrics),
    )?;
    tokio::pin!(stop);

    let mut candidate = None;
    if options.leader_election {
        let electing = client(
            config,
            WriteLease::always(),
            Arc::clone(&metrics),
            clock.clone(),
        )?;
        let lease = options.lease_name.as_str();
        let (namespace, name) = (own_namespace.as_str(), options.name.clone());
        let mut own = Candidate::new(electing, namespace, lease, name, permission.clone());
        tracing::info!(name = options.name, lease, "waits for the lease");
        tokio::select! {
            () = own.acquire(|look| readiness.waits_for_the_lease(lease, look)) => {}
            () = &mut stop => return Ok(()),
        }
        candidate = Some(own);
    }
    metrics.leads(true);
    tracing::info!(name = options.name, "leads");

    let events = KubernetesEvents::new(working.clone(), &options.name, Arc::clone(&metrics));
    let (drain, draining) = tokio::sync::watch::channel(false);
    let registries = Registries::new(
        working.clone(),
        options.allowed_hosts.clone(),
        permission.clone(),
    );
    let messages = Messages::new(
        working.clone(),
        options.notify_hosts.clone(),
        permission.clone(),
        clock.clone(),
    );
    let shared = Shared {
        client: working.clone(),
        events,
        clock,
        registries: Arc::new(registries),
        messages: Arc::new(messages),
        cluster: cluster.into(),
        approvers_verified: options.approvers_verified,
        image: options.image.map(Into::into),
        draining: draining.clone(),
    };
    let work = async {
        let running = scopes.into_iter().map(|scope| {
            let (mut caches, mut enqueuer) = (Caches::default(), Enqueuer::default());
            for row in rows(options.publishes) {
                (row.register)(&mut caches, &mut enqueuer, &metrics);
            }
            let context = ScopeContext {
                scope,
                client: working.clone(),
                engines: Engines::new(shared.clone(), enqueuer.of(&ChampionPolicy::kind(&()))),
                caches: Arc::new(caches),
                enqueuer,
                health: Arc::clone(&health),
                metrics: Arc::clone(&metrics),
                concurrency: options.max_concurrent_reconciles,
                publishes: options.publishes,
                draining: draining.clone(),
            };
            reconcile::run(Arc::new(context), Arc::clone(&readiness))
        });
        futures::future::join_all(running).await;
    };
    tokio::pin!(work);
    let ended = tokio::select! {
        () = &mut work => Ok(()),
        () = lost(candidate.as_mut()) => Err(OperatorError::LeaseLost),
        () = &mut stop => {
            tracing::info!("was asked to end; work in progress is finished");
            // Nobody listens any more when the work has ended already.
            let _ = drain.send(true);
            let drained = async {
                work.await;
                // Some writes are not waited for by what asked for them.
                permission.no_writes().await;
            };
            tokio::select! {
                drained = tokio::time::timeout(DRAIN, drained) => {
                    if drained.is_err() {
                        tracing::warn!("work in progress did not end in time");
                    }
                    Ok(())
                }
                () = lost(candidate.as_mut()) => Err(OperatorError::LeaseLost),
            }
        }
    };
    if let (Ok(()), Some(candidate)) = (&ended, &candidate) {
        candidate.release().await;
    }
    ended
}

/// Returns when the lease is lost; never without one.
async fn lost(candidate: Option<&mut Candidate>) {
    match candidate {
        Some(candidate) => candidate.keep().await,
        None => std::future::pending().await,
    }
}

/// A name that tells this cluster from others and is the same for each operator in it: each cluster has an authority of its own.
fn cluster_name(config: &Config) -> String {
    let certificates = config.root_cert.iter().flatten();
    let mut certificates: Vec<String> = certificates
        .map(|der| der.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    if certificates.is_empty() {
        certificates.push(config.cluster_url.to_string());
    }
    certificates.sort();
    let parts: Vec<&str> = certificates.iter().map(String::as_str).collect();
    format!("cluster-{}", digest(&parts))
}

fn scopes(namespaces: &[String], own: &str) -> Vec<Scope> {
    if namespaces.iter().any(|name| name == "*") {
        return vec![Scope::Cluster];
    }
    if namespaces.is_empty() {
        return vec![Scope::Namespace(own.to_string())];
    }
    let distinct: std::collections::BTreeSet<&String> = namespaces.iter().collect();
    distinct
        .into_iter()
        .map(|name| Scope::Namespace(name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_decide_what_is_watched() {
        let given = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
            scopes(&names, "own")
        };
        let namespace = |name: &str| Scope::Namespace(name.to_string());
        assert_eq!(given(&[]), [namespace("own")]);
        assert_eq!(given(&["b", "a", "b"]), [namespace("a"), namespace("b")]);
        assert_eq!(given(&["a", "*"]), [Scope::Cluster]);
    }
}
