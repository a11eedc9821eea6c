//! An API server of tests: it answers by a function and takes down what it was asked.

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tower::{BoxError, Service};

/// A status code and a body by the method that is asked.
type Script = fn(&Method) -> (u16, Value);

#[derive(Clone)]
pub(super) struct ScriptedApi {
    script: Script,
    asked: Arc<Mutex<Vec<(Method, Value)>>>,
}

impl ScriptedApi {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script,
            asked: Arc::default(),
        }
    }

    /// A client of it, in a runtime.
    pub(super) fn client(&self) -> Client {
        Client::new(self.clone(), "team-a")
    }

    /// The methods that were asked so far, with what was sent.
    pub(super) fn asked(&self) -> Vec<(Method, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Service<Request<Body>> for ScriptedApi {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let sent = body.collect_bytes().await?;
            let sent = serde_json::from_slice(&sent).unwrap_or_default();
            let (code, answer) = (api.script)(&head.method);
            api.asked.lock().unwrap().push((head.method, sent));
            let answer = Body::from(answer.to_string().into_bytes());
            Ok(Response::builder().status(code).body(answer)?)
        })
    }
}
