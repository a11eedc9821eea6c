//! `/healthz`, `/readyz` and `/metrics`.

use super::OperatorError;
use super::listen::listen;
use super::watch_health::WatchHealth;
use crate::adapters::kubernetes::caches::Caches;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the operator is ready, and what it waits for if not.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    state: Mutex<Progress>,
    watches: Arc<WatchHealth>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Why this operator does not act yet; nothing once it does, and before it has looked for its turn.
    turn: Option<Turn>,
    /// Scopes whose caches are being filled, and the caches of those that are.
    filling: Vec<String>,
    caches: Vec<Arc<Caches>>,
}

/// What an operator without the lease waits for.
#[derive(Debug)]
enum Turn {
    /// Another operator leads; this one is ready to take over.
    OfAnother,
    /// Nobody knows who leads; the lease, and why not.
    Unknown(String),
}

impl Readiness {
    /// Of an operator that has not begun.
    pub(super) fn new(watches: Arc<WatchHealth>) -> Self {
        Self {
            state: Mutex::default(),
            watches,
        }
    }

    /// The lease of this name was looked at and another operator holds it, or there is a reason why it could not be looked at.
    pub(super) fn waits_for_the_lease(&self, name: &str, look: Result<(), &str>) {
        self.lock().turn = Some(match look {
            Ok(()) => Turn::OfAnother,
            Err(reason) => Turn::Unknown(format!("{name}: {reason}")),
        });
    }

    /// A scope's caches are being filled.
    pub(super) fn filling(&self, scope: &str) {
        let mut state = self.lock();
        state.turn = None;
        state.filling.push(scope.to_string());
    }

    /// They are full.
    pub(super) fn filled(&self, scope: &str, caches: Arc<Caches>) {
        let mut state = self.lock();
        state.filling.retain(|filling| filling != scope);
        state.caches.push(caches);
    }

    fn answer(&self) -> (StatusCode, String) {
        let state = self.lock();
        match &state.turn {
            Some(Turn::OfAnother) => {
                let stands_by = "stands by: another operator leads\n".to_string();
                return (StatusCode::OK, stands_by);
            }
            Some(Turn::Unknown(reason)) => {
                let waits = format!("waits for the lease {reason}\n");
                return (StatusCode::SERVICE_UNAVAILABLE, waits);
            }
            None => {}
        }
        let failing = self.watches.report();
        if !state.filling.is_empty() {
            let waits = format!(
                "waits for the first list of {}; are the CRDs installed and the roles bound?\n{}",
                state.filling.join(", "),
                lines(&failing)
            );
            return (StatusCode::SERVICE_UNAVAILABLE, waits);
        }
        if state.caches.is_empty() {
            let waits = "waits for the API server\n".to_string();
            return (StatusCode::SERVICE_UNAVAILABLE, waits);
        }
        if !failing.is_empty() {
            return (StatusCode::SERVICE_UNAVAILABLE, lines(&failing));
        }
        (StatusCode::OK, "ok\n".to_string())
    }

    fn trials_running(&self) -> usize {
        let running = |trial: &podium_api::Trial| {
            let phase = trial
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            phase == Some("Running")
        };
        let caches = self.lock().caches.clone();
        let trials = caches
            .iter()
            .filter_map(|caches| caches.of::<podium_api::Trial>());
        trials.map(|trials| trials.count(running)).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines(sentences: &[String]) -> String {
    sentences.iter().map(|line| format!("{line}\n")).collect()
}

type Served = (Arc<Readiness>, Arc<Metrics>);

/// Serves everything on every address, in the background.
pub(super) fn serve(
    addresses: [SocketAddr; 2],
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
) -> Result<(), OperatorError> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(counts))
        .with_state((readiness, metrics));
    let distinct: std::collections::BTreeSet<SocketAddr> = addresses.into_iter().collect();
    for address in distinct {
        let listener = listen(address).map_err(|error| OperatorError::Listen { address, error })?;
        let router = router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    Ok(())
}

async fn ready(State((readiness, _)): State<Served>) -> impl IntoResponse {
    readiness.answer()
}

async fn counts(State((readiness, metrics)): State<Served>) -> impl IntoResponse {
    let text = metrics.text(readiness.trials_running());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_acts_or_could_take_over_is_ready() {
        let readiness = Readiness::default();
        let waits = |text: &str| {
            let (status, said) = readiness.answer();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
            assert!(said.contains(text), "{said}");
        };
        waits("the API server");
        readiness.waits_for_the_lease("tuner", Err("leases are forbidden"));
        waits("the lease tuner: leases are forbidden");
        readiness.waits_for_the_lease("tuner", Ok(()));
        let stands_by = readiness.answer();
        assert_eq!(stands_by.0, StatusCode::OK);
        assert!(stands_by.1.contains("another operator leads"));
        readiness.filling("team-a");
        waits("first list of team-a");
    }
}
