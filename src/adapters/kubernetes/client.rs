//! The way to the API server: bounded retries, and no write by an operator that may no longer lead.

use crate::metrics::Metrics;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder, retry::RetryPolicy};
use kube::{Client, Config};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};

/// A write that gets no answer in this time is given up. A lease outlasts its last allowed write by more than this.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(4);
/// A look that gets no answer in this time is given up; a watch may be silent for longer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// 429, 503 and 504 are tried again so often at most, within two seconds; kube's own default is 15 times within minutes.
const RETRIES: u32 = 3;
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(1);
const REQUESTS_AT_ONCE: usize = 256;

/// Until when writes are allowed.
#[derive(Clone, Debug)]
pub struct Permission {
    until: Arc<Mutex<Until>>,
}

#[derive(Clone, Copy, Debug)]
enum Until {
    Always,
    Moment(Instant),
    Never,
}

impl Permission {
    /// Of an operator that is alone by assumption.
    #[must_use]
    pub fn always() -> Self {
        Self {
            until: Arc::new(Mutex::new(Until::Always)),
        }
    }

    /// Of an operator that does not lead yet.
    #[must_use]
    pub fn none_yet() -> Self {
        Self {
            until: Arc::new(Mutex::new(Until::Never)),
        }
    }

    /// Writes are allowed until `moment`.
    pub fn extend(&self, moment: Instant) {
        self.set(Until::Moment(moment));
    }

    /// No write is allowed any more.
    pub fn end(&self) {
        self.set(Until::Never);
    }

    /// How long writes are allowed from now on; `None` for not at all.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Until::Always => Some(Duration::MAX),
            Until::Moment(moment) => moment
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero()),
            Until::Never => None,
        }
    }

    fn set(&self, until: Until) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// A client whose writes need `permission`.
///
/// # Errors
/// The configuration cannot be used: a certificate that cannot be read, a token file that is missing.
pub fn client(
    mut config: Config,
    permission: Permission,
    metrics: Arc<Metrics>,
) -> Result<Client, kube::Error> {
    config.default_retry = false;
    let retry = RetryPolicy::new(FIRST_RETRY, LAST_RETRY, RETRIES, false)
        .map_err(|error| kube::Error::Service(Box::new(error)))?;
    let layers = ServiceBuilder::new()
        .layer(RetryLayer::new(retry))
        .layer(BufferLayer::new(REQUESTS_AT_ONCE))
        .layer(GuardLayer {
            permission,
            metrics,
        });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layers).build())
}

/// Checks the permission in front of every single attempt to write, bounds it in time, and counts requests.
#[derive(Clone)]
struct GuardLayer {
    permission: Permission,
    metrics: Arc<Metrics>,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            guard: self.clone(),
        }
    }
}

struct Guard<S> {
    inner: S,
    guard: GuardLayer,
}

type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

impl<S, B> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Send,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Answer<B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer<B> {
        let method = request.method().clone();
        let path = request.uri().path().to_string();
        let resource = resource_of(&path);
        let metrics = Arc::clone(&self.guard.metrics);
        let is_watch = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch=true"));
        let limit = if is_watch {
            None
        } else if method == Method::GET {
            Some(READ_TIMEOUT)
        } else {
            let Some(left) = self.guard.permission.left() else {
                let refusal = "this operator does not hold the lease and must not write";
                return Box::pin(async move { Err(refusal.into()) });
            };
            Some(left.min(WRITE_TIMEOUT))
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answered = match limit {
                None => answer.await,
                Some(limit) => match tokio::time::timeout(limit, answer).await {
                    Ok(answered) => answered,
                    Err(_) => Err("the API server did not answer in time".into()),
                },
            };
            let code = answered
                .as_ref()
                .map_or_else(|_| "error".to_string(), |r| r.status().as_u16().to_string());
            tracing::debug!(%method, path, code, "asked the API server");
            metrics.request(&method, resource, code);
            answered
        })
    }
}

/// `trials` of `/apis/podium.dev/v1alpha1/namespaces/team/trials/forest-1`, `trials/status` of its status.
fn resource_of(path: &str) -> String {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let after_version = match parts.first() {
        Some(&"api") => parts.get(2..),
        Some(&"apis") => parts.get(3..),
        _ => None,
    };
    match after_version.unwrap_or_default() {
        ["namespaces", _, resource, _, subresource, ..] => format!("{resource}/{subresource}"),
        ["namespaces", _, resource, ..] | [resource, ..] => (*resource).to_string(),
        [] => "other".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_ends_at_its_moment() {
        let permission = Permission::none_yet();
        assert_eq!(permission.left(), None);
        permission.extend(Instant::now() + Duration::from_secs(60));
        assert!(permission.left().unwrap() > Duration::from_secs(50));
        permission.extend(Instant::now());
        assert_eq!(permission.left(), None);
        assert_eq!(Permission::always().left(), Some(Duration::MAX));
    }

    #[test]
    fn requests_are_counted_by_resource() {
        for (path, resource) in [
            (
                "/apis/podium.dev/v1alpha1/namespaces/a/trials/x-1/status",
                "trials/status",
            ),
            (
                "/apis/podium.dev/v1alpha1/namespaces/a/trials/x-1",
                "trials",
            ),
            ("/apis/batch/v1/namespaces/a/jobs", "jobs"),
            ("/apis/batch/v1/jobs", "jobs"),
            ("/api/v1/pods", "pods"),
            ("/version", "other"),
        ] {
            assert_eq!(resource_of(path), resource);
        }
    }
}
