//! A proxy in front of a server that does to each request what a test wants.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::Listener;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
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
    /// Without a query, and without what all of MLflow's begin with: such as `registered-models/alias`.
    pub path: String,
    pub headers: HeaderMap,
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

    /// Whether it asks for less than all of something.
    pub fn has_range(&self) -> bool {
        self.headers.contains_key(header::RANGE)
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
    /// The answer of the server breaks after so many bytes of its body.
    CutAfter(usize),
    /// The answer of the server comes in pieces of so many bytes, with a pause before each.
    Trickle(usize, Duration),
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
    /// Whether the server shall see the name by which the proxy is known, over which requests to object stores are signed.
    keeps_host: bool,
    http: reqwest::Client,
    decide: Decide,
}

/// Opens a proxy on this machine; its address.
pub async fn open(
    upstream: &str,
    decide: impl Fn(&Call) -> Fate + Send + Sync + 'static,
) -> String {
    let (listener, url) = listen().await;
    serve(listener, upstream, decide);
    url
}

/// The same in front of an object store.
pub async fn open_to_objects(
    upstream: &str,
    decide: impl Fn(&Call) -> Fate + Send + Sync + 'static,
) -> String {
    let (listener, url) = listen().await;
    serve_as(listener, upstream, true, Box::new(decide));
    url
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("http://127.0.0.1:{port}"))
}

/// Opens one where the test listens.
pub fn serve<L>(listener: L, upstream: &str, decide: impl Fn(&Call) -> Fate + Send + Sync + 'static)
where
    L: Listener,
    L::Addr: Debug,
{
    serve_as(listener, upstream, false, Box::new(decide));
}

fn serve_as<L>(listener: L, upstream: &str, keeps_host: bool, decide: Decide)
where
    L: Listener,
    L::Addr: Debug,
{
    let shared = Arc::new(Shared {
        upstream: upstream.to_string(),
        keeps_host,
        http: reqwest::Client::new(),
        decide,
    });
    let router = Router::new().fallback(pass).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await });
}

/// An answer of the server.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Answer {
    fn response(self) -> Response {
        let body = Body::from(self.bytes.clone());
        self.with(body)
    }

    /// The same with another body.
    fn with(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        // These are of one connection each.
        for of_connection in [header::CONNECTION, header::TRANSFER_ENCODING] {
            response.headers_mut().remove(of_connection);
        }
        response
    }

    fn cut_after(self, bytes: usize) -> Response {
        let kept = self.bytes.slice(..bytes.min(self.bytes.len()));
        let kept = futures::stream::once(async { Ok(kept) });
        let cut = futures::stream::once(async {
            // What came before is sent as soon as nothing more is there.
            tokio::task::yield_now().await;
            Err(io::Error::other("cut"))
        });
        self.with(Body::from_stream(kept.chain(cut)))
    }

    fn trickle(self, bytes: usize, pause: Duration) -> Response {
        let pieces: Vec<Bytes> = self
            .bytes
            .chunks(bytes)
            .map(Bytes::copy_from_slice)
            .collect();
        let pieces = futures::stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, io::Error>(piece)
        });
        self.with(Body::from_stream(pieces))
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
        headers: parts.headers.clone(),
        authorization: authorization.unwrap_or_default(),
        path: parts
            .uri
            .path()
            .trim_start_matches("/api/2.0/mlflow/")
            .to_string(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let mut headers = parts.headers;
    if !shared.keeps_host {
        headers.remove(header::HOST);
    }
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
                headers: answer.headers().clone(),
                bytes: answer.bytes().await.ok()?,
            })
        })
    };
    let shown = |answer: Result<Option<Answer>, _>, show: &dyn Fn(Answer) -> Response| match answer
    {
        Ok(Some(answer)) => show(answer),
        _ => Said::json(502, "{}").response(),
    };
    let answered = |answer| shown(answer, &Answer::response);
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
        Fate::CutAfter(bytes) => shown(sent(None).await, &|answer| answer.cut_after(bytes)),
        Fate::Trickle(bytes, pause) => {
            shown(sent(None).await, &|answer| answer.trickle(bytes, pause))
        }
        Fate::PassAfter(before) => answered(sent(Some(before)).await),
        Fate::LoseAndPassAfter(before) => {
            drop(sent(Some(before)));
            broken()
        }
    }
}
