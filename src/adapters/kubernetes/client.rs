//! The way to the API server: bounded retries, and no write by an operator that may no longer lead.

use super::clock::ServerClock;
use crate::adapters::write_lease::{FORBIDDEN, WriteLease};
use crate::metrics::Metrics;
use http::header::DATE;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder, retry::RetryPolicy};
use kube::{Client, Config};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};

/// A write that gets no answer in this time is given up, or as soon as writes are not allowed any more. An admission webhook may take 30
/// seconds; what the API server says of one that takes longer should still arrive, since it names the webhook.
const WRITE_TIMEOUT: Duration = Duration::from_secs(35);
/// A look that gets no answer in this time is given up; a watch may be silent for longer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// 429, 503 and 504 are tried again so often at most, with pauses of two seconds in all; kube's own default is 15 times within minutes.
const RETRIES: u32 = 3;
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(1);
const REQUESTS_AT_ONCE: usize = 256;

/// A client whose writes need `permission`.
///
/// # Errors
/// The configuration cannot be used: a certificate that cannot be read, a token file that is missing.
pub fn client(
    mut config: Config,
    permission: WriteLease,
    metrics: Arc<Metrics>,
    clock: ServerClock,
) -> Result<Client, kube::Error> {
    config.default_retry = false;
    let retry = RetryPolicy::new(FIRST_RETRY, LAST_RETRY, RETRIES, false)
        .map_err(|error| kube::Error::Service(Box::new(error)))?;
    let layers = ServiceBuilder::new()
        .layer(RetryLayer::new(retry))
        .layer(BufferLayer::new(REQUESTS_AT_ONCE))
        .layer(WriteGuardLayer {
            permission,
            metrics,
            clock,
        });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layers).build())
}

/// Checks the permission in front of every single attempt to write and as long as it lasts, bounds it in time, and counts requests.
#[derive(Clone)]
struct WriteGuardLayer {
    permission: WriteLease,
    metrics: Arc<Metrics>,
    clock: ServerClock,
}

impl<S> Layer<S> for WriteGuardLayer {
    type Service = WriteGuard<S>;

    fn layer(&self, inner: S) -> WriteGuard<S> {
        WriteGuard {
            inner,
            guard: self.clone(),
        }
    }
}

struct WriteGuard<S> {
    inner: S,
    guard: WriteGuardLayer,
}

type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

impl<S, B> Service<Request<Body>> for WriteGuard<S>
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
        let (metrics, clock) = (Arc::clone(&self.guard.metrics), self.guard.clock.clone());
        let permission = &self.guard.permission;
        let mut writing = None;
        // An answer to a watch begins at once, and may then be silent for long.
        let limit = if method == Method::GET {
            Some(READ_TIMEOUT)
        } else {
            writing = permission.begin_write();
            if writing.is_none() {
                return Box::pin(async { Err(FORBIDDEN.into()) });
            }
            Some(WRITE_TIMEOUT)
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answered = async {
                match &writing {
                    None => answer.await,
                    Some(writing) => tokio::select! {
                        answered = answer => answered,
                        () = writing.forbidden() => Err(FORBIDDEN.into()),
                    },
                }
            };
            let answered = match limit {
                None => answered.await,
                Some(limit) => match tokio::time::timeout(limit, answered).await {
                    Ok(answered) => answered,
                    Err(_) => Err(format!("the API server did not answer within {limit:?}").into()),
                },
            };
            let date = answered.as_ref().ok().and_then(|r| r.headers().get(DATE));
            if let Some(date) = date.and_then(|date| date.to_str().ok()) {
                clock.observe(date);
            }
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
