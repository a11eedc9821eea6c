//! A proxy in front of an MLflow server that does to each request what a test wants.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
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
}

impl Said {
    pub fn json(status: u16, body: &str) -> Self {
        Self {
            status,
            kind: "application/json",
            body: body.to_string(),
            retry_after: None,
        }
    }

    pub fn html(status: u16) -> Self {
        Self {
            status,
            kind: "text/html",
            body: "<html><body>Sign in</body></html>".to_string(),
            retry_after: None,
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
    let shared = Arc::new(Shared {
        upstream: upstream.to_string(),
        http: reqwest::Client::new(),
        decide: Box::new(decide),
    });
    let router = Router::new().fallback(pass).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://127.0.0.1:{port}")
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
        response
    }
}

/// What is answered where the connection breaks: its headers come, and its body does not.
fn broken() -> Response {
    let cut = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
    let mut response = Response::new(Body::from_stream(cut));
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
    let call = Call {
        method: parts.method.clone(),
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
        Fate::PassAfter(before) => answered(sent(Some(before)).await),
        Fate::LoseAndPassAfter(before) => {
            drop(sent(Some(before)));
            broken()
        }
    }
}
