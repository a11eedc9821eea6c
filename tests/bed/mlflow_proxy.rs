//! A proxy in front of an MLflow server that does to each request what a test wants.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::Listener;
use futures::StreamExt;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// Such as `registered-models/alias`, without a query.
    pub path: String,
    /// Value of the header `Authorization`; empty without one.
    pub authorization: String,
    pub body: Value,
}

impl Call {
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    /// Whether it asks MLflow to move this alias.
    pub fn moves(&self, alias: &str) -> bool {
        self.is_write() && self.path == "registered-models/alias" && self.body["alias"] == alias
    }
}

/// Called once the server has answered.
pub type Then = Box<dyn FnOnce() + Send>;

/// What must happen before a request is passed on.
pub type Before = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What becomes of a request.
pub enum Fate {
    Pass,
    /// The server never sees it.
    Answer(Said),
    /// The server carries it out, and something happens right after its answer was sent on.
    PassThen(Then),
    /// The server carries it out; before anything is answered, something happens. Then the connection breaks.
    BreakThen(Then),
    /// The server carries it out, and something else is answered.
    PassAndAnswer(Said),
    /// The server carries it out, and its answer is sent on once something else has happened.
    PassAndWait(Before),
    /// The server never sees it. The answer is a success that never ends: so many bytes, and again after each pause.
    Endless(usize, Duration),
    /// The server gets it once something else has happened.
    PassAfter(Before),
    /// The same, and nobody waits for the answer any more: whoever asked is told at once that nothing answers.
    LoseAndPassAfter(Before),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: u16,
    pub kind: &'static str,
    pub body: String,
    /// Value of the header `Retry-After`.
    pub retry_after: Option<&'static str>,
    /// Value of the header `Location`.
    pub location: Option<String>,
}

impl Said {
    pub fn json(status: u16, body: &str) -> Self {
        Self {
            status,
            kind: "application/json",
            body: body.to_string(),
            retry_after: None,
            location: None,
        }
    }

    pub fn html(status: u16) -> Self {
        Self {
            status,
            kind: "text/html",
            body: "<html><body>Sign in</body></html>".to_string(),
            retry_after: None,
            location: None,
        }
    }

    /// Another address is named.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self {
            location: Some(location.to_string()),
            ..Self::html(status)
        }
    }
}

type Decide = Box<dyn Fn(&Call) -> Fate + Send + Sync>;

struct Shared {
    upstream: String,
    http: reqwest::Client,
    decide: Decide,
}

/// Opens a proxy on this machine; its address.
pub async fn open(
    upstream: &str,
    decide: impl Fn(&Call) -> Fate + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    serve(listener, upstream, decide);
    format!("http://127.0.0.1:{port}")
}

/// Opens one where the test listens.
pub fn serve<L>(listener: L, upstream: &str, decide: impl Fn(&Call) -> Fate + Send + Sync + 'static)
where
    L: Listener,
    L::Addr: Debug,
{
    let shared = Arc::new(Shared {
        upstream: upstream.to_string(),
        http: reqwest::Client::new(),
        decide: Box::new(decide),
    });
    let router = Router::new().fallback(pass).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await });
}

/// An answer of the server.
struct Answer {
    status: StatusCode,
    kind: Option<HeaderValue>,
    bytes: Bytes,
}

impl Answer {
    fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.bytes));
        *response.status_mut() = self.status;
        if let Some(kind) = self.kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response
    }
}

impl Said {
    fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        if let Some(pause) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(pause));
        }
        if let Some(location) = self.location {
            headers.insert(header::LOCATION, location.parse().unwrap());
        }
        response
    }
}

/// What is answered where the connection breaks: its headers come, and its body does not.
fn broken() -> Response {
    let cut = futures::stream::iter([Err::<Bytes, _>(io::Error::other("cut"))]);
    streamed(Body::from_stream(cut))
}

/// White space, of which any JSON may have as much as it likes.
fn endless(bytes: usize, pause: Duration) -> Response {
    let piece = Bytes::from(vec![b' '; bytes]);
    let pieces = futures::stream::repeat(piece).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, io::Error>(piece)
    });
    streamed(Body::from_stream(pieces))
}

fn streamed(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap().to_string());
    let call = Call {
        method: parts.method.clone(),
        authorization: authorization.unwrap_or_default(),
        path: parts
            .uri
            .path()
            .trim_start_matches("/api/2.0/mlflow/")
            .to_string(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    let asked = shared
        .http
        .request(parts.method, format!("{}{path}", shared.upstream))
        .headers(headers)
        .body(body);
    let fate = (shared.decide)(&call);
    // On its own: what somebody has sent who is gone meanwhile is on its way, whoever waits for the answer.
    let sent = |before: Option<Before>| {
        tokio::spawn(async move {
            if let Some(before) = before {
                before.await;
            }
            let answer = asked.send().await.ok()?;
            Some(Answer {
                status: answer.status(),
                kind: answer.headers().get(header::CONTENT_TYPE).cloned(),
                bytes: answer.bytes().await.ok()?,
            })
        })
    };
    let answered = |answer: Result<Option<Answer>, _>| match answer {
        Ok(Some(answer)) => answer.response(),
        _ => Said::json(502, "{}").response(),
    };
    match fate {
        Fate::Pass => answered(sent(None).await),
        Fate::Answer(said) => said.response(),
        Fate::PassThen(then) => {
            let response = answered(sent(None).await);
            tokio::spawn(async move {
                // The answer needs a moment to arrive; any later one is as good.
                tokio::time::sleep(Duration::from_millis(2)).await;
                then();
            });
            response
        }
        Fate::BreakThen(then) => {
            let _ = sent(None).await;
            then();
            broken()
        }
        Fate::PassAndAnswer(said) => {
            let _ = sent(None).await;
            said.response()
        }
        Fate::PassAndWait(before) => {
            let response = answered(sent(None).await);
            before.await;
            response
        }
        Fate::Endless(bytes, pause) => endless(bytes, pause),
        Fate::PassAfter(before) => answered(sent(Some(before)).await),
        Fate::LoseAndPassAfter(before) => {
            drop(sent(Some(before)));
            broken()
        }
    }
}
