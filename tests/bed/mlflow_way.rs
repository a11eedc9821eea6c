//! The way of one operator to the test bed's MLflow: it witnesses every write, and the operator dies where a test says so.

use super::cuts::Moment;
use super::operator::Operator;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{StatusCode, header};
use serde_json::Value;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// A write that MLflow got.
#[derive(Clone, Debug)]
pub struct Write {
    /// Such as `registered-models/alias`.
    pub path: String,
    pub body: Value,
}

pub struct MlflowWay {
    pub url: String,
    state: Arc<Shared>,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    child: Arc<Mutex<Option<Child>>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    passed_on: Vec<Write>,
    /// Writes that came, whether they were passed on or not.
    came: usize,
    die: Option<(usize, Moment)>,
    deaths: usize,
}

impl MlflowWay {
    pub async fn open(upstream: &str, operator: &Operator) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Shared {
            upstream: upstream.to_string(),
            http: reqwest::Client::new(),
            child: operator.child(),
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://127.0.0.1:{port}"),
            state,
        }
    }

    /// Forgets what was witnessed; the operator dies at the n-th write from now on.
    pub fn die_at(&self, nth: usize, moment: Moment) {
        *self.state.seen.lock().unwrap() = Seen {
            die: Some((nth, moment)),
            ..Seen::default()
        };
    }

    /// How often the operator died here since.
    pub fn deaths(&self) -> usize {
        self.state.seen.lock().unwrap().deaths
    }

    /// The writes that MLflow got since.
    pub fn writes(&self) -> Vec<Write> {
        self.state.seen.lock().unwrap().passed_on.clone()
    }
}

impl Shared {
    /// When the operator dies at this write, if it does.
    fn fate(&self) -> Option<Moment> {
        let mut seen = self.seen.lock().unwrap();
        seen.came += 1;
        let came = seen.came;
        let die = seen.die.filter(|(nth, _)| *nth == came);
        die.map(|(_, moment)| moment)
    }

    fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
            self.seen.lock().unwrap().deaths += 1;
        }
    }
}

fn gone() -> Response {
    let mut gone = Response::new(Body::empty());
    *gone.status_mut() = StatusCode::BAD_GATEWAY;
    gone
}

async fn pass(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let is_write = parts.method != http::Method::GET;
    let fate = is_write.then(|| state.fate()).flatten();
    if fate == Some(Moment::BeforeRequest) {
        state.kill();
        return gone();
    }
    if is_write {
        let short = path.trim_start_matches("/api/2.0/mlflow/").to_string();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let write = Write { path: short, body };
        state.seen.lock().unwrap().passed_on.push(write);
    }
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    let url = format!("{}{path}", state.upstream);
    // On its own: what a dying operator has sent is on its way, whoever waits for the answer.
    let asked = state
        .http
        .request(parts.method, url)
        .headers(headers)
        .body(body);
    let sent = tokio::spawn(async move {
        let answer = asked.send().await.ok()?;
        let (status, kind) = (
            answer.status(),
            answer.headers().get(header::CONTENT_TYPE).cloned(),
        );
        Some((status, kind, answer.bytes().await.ok()?))
    });
    let Ok(Some((status, kind, bytes))) = sent.await else {
        return gone();
    };
    match fate {
        Some(Moment::AfterRequest) => {
            state.kill();
            return gone();
        }
        Some(_) => {
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                // Any later moment is as good; the answer needs a moment to arrive.
                tokio::time::sleep(Duration::from_millis(2)).await;
                state.kill();
            });
        }
        None => {}
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
