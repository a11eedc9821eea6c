//! The way of one operator to the API server: it witnesses every request, and cuts where a test says so.

pub use super::cuts::{Cut, Moment};

use super::cuts::Fate;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::StreamExt;
use http::{StatusCode, header};
use kube::{Client, Config};
use serde_json::Value;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Witnessed {
    pub at: Instant,
    /// Such as `POST`.
    pub method: String,
    /// Such as `trials/status`, or `jobs?dryRun` where nothing is to be stored.
    pub resource: String,
    /// Name of the object, from the path or from the body.
    pub name: String,
    pub path: String,
    pub body: Value,
    /// `None` while there is no answer.
    pub code: Option<u16>,
}

pub struct Way {
    pub port: u16,
    state: Arc<Shared>,
}

struct Shared {
    upstream: Client,
    child: Arc<Mutex<Option<Child>>>,
    seen: Mutex<Seen>,
    cuts: Mutex<Vec<Cut>>,
    /// The last words of every watch that is open, said when they change.
    last_words: watch::Sender<String>,
}

#[derive(Default)]
struct Seen {
    witnessed: Vec<Witnessed>,
    /// How often a cut killed the operator, and what was witnessed before its present life.
    deaths: usize,
    before_this_life: usize,
}

impl Witnessed {
    /// Whether something is to be stored, other than the lease.
    pub fn is_write(&self) -> bool {
        let stores = !self.resource.ends_with("?dryRun") && self.resource != "selfsubjectreviews";
        self.method != "GET" && self.resource != "leases" && stores
    }

    /// Whether the method and the resource are these.
    pub fn is(&self, method: &str, resource: &str) -> bool {
        self.method == method && self.resource == resource
    }

    /// Text at a place of the body, such as `/status/phase`.
    pub fn text(&self, pointer: &str) -> &str {
        let value = self.body.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default()
    }
}

impl Way {
    pub(super) async fn open(child: Arc<Mutex<Option<Child>>>) -> Self {
        let mut config = Config::infer().await.unwrap();
        // The operator's own token goes through as it is.
        config.auth_info = kube::config::AuthInfo::default();
        config.default_retry = false;
        config.read_timeout = None;
        let state = Arc::new(Shared {
            upstream: Client::try_from(config).unwrap(),
            child,
            seen: Mutex::default(),
            cuts: Mutex::default(),
            last_words: watch::Sender::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, state }
    }

    /// All requests so far, in the order in which they came.
    pub fn witnessed(&self) -> Vec<Witnessed> {
        self.state.seen.lock().unwrap().witnessed.clone()
    }

    /// Forgets what was witnessed, so that a later count begins anew.
    pub fn forget(&self) {
        let mut seen = self.state.seen.lock().unwrap();
        seen.witnessed.clear();
        seen.before_this_life = 0;
    }

    /// How often a cut killed the operator.
    pub fn deaths(&self) -> usize {
        self.state.seen.lock().unwrap().deaths
    }

    /// From now on.
    pub fn cut(&self, cut: Cut) {
        self.state.cuts.lock().unwrap().push(cut);
    }

    /// Ends every watch that is open as the API server does when it has forgotten what was to be watched from.
    pub fn forget_watches(&self) {
        let gone = serde_json::json!({"type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410,
        }});
        self.state.last_words.send_replace(format!("{gone}\n"));
    }

    /// Everything is passed on again.
    pub fn heal(&self) {
        self.state.cuts.lock().unwrap().clear();
    }
}

async fn pass(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let path = parts.uri.path().to_string();
    let (mut resource, name) = resource_and_name(&path);
    if parts.uri.query().unwrap_or_default().contains("dryRun=") {
        resource.push_str("?dryRun");
    }
    let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let of_body = json.pointer("/metadata/name").and_then(Value::as_str);
    let seen = Witnessed {
        at: Instant::now(),
        method: parts.method.to_string(),
        name: name.or(of_body.map(str::to_string)).unwrap_or_default(),
        resource,
        path,
        code: None,
        body: json.clone(),
    };
    let is_watch = parts.uri.query().unwrap_or_default().contains("watch=true");
    let (fate, place) = state.witness(seen);
    match fate {
        Fate::Die(Moment::BeforeRequest) => {
            state.kill();
            return answer(StatusCode::BAD_GATEWAY);
        }
        Fate::Answer(code) => return answer(StatusCode::from_u16(code).unwrap()),
        // A request that never gets an answer.
        Fate::Drop => return std::future::pending().await,
        Fate::Hold(pause) => tokio::time::sleep(pause).await,
        Fate::Pass | Fate::Lose | Fate::Die(_) => {}
    }
    parts.headers.remove(header::HOST);
    let upstream = http::Request::from_parts(parts, kube::client::Body::from(body));
    // On its own: what a dying operator has sent is on its way, whoever waits for the answer.
    let sent = tokio::spawn({
        let state = Arc::clone(&state);
        async move {
            let response = state.upstream.send(upstream).await.ok()?;
            state.answered(place, response.status().as_u16());
            Some(response)
        }
    });
    let Ok(Some(response)) = sent.await else {
        return answer(StatusCode::BAD_GATEWAY);
    };
    match fate {
        Fate::Die(Moment::AfterRequest) => {
            state.kill();
            answer(StatusCode::BAD_GATEWAY)
        }
        Fate::Die(Moment::AfterResponse) => {
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                // Any later moment is as good; the answer needs a moment to arrive.
                tokio::time::sleep(Duration::from_millis(2)).await;
                state.kill();
            });
            response.map(Body::new)
        }
        Fate::Lose => answer(StatusCode::BAD_GATEWAY),
        _ if is_watch => response.map(|body| state.watched(Body::new(body))),
        _ => response.map(Body::new),
    }
}

fn answer(code: StatusCode) -> Response {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "cut by the test",
        "reason": "", "code": code.as_u16(),
    });
    http::Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(status.to_string()))
        .unwrap()
}

impl Shared {
    /// Remembers a request; what is to be done with it, and its place for its answer.
    fn witness(&self, request: Witnessed) -> (Fate, usize) {
        let mut seen = self.seen.lock().unwrap();
        let this_life = seen
            .witnessed
            .get(seen.before_this_life..)
            .unwrap_or_default();
        let mut cuts = self.cuts.lock().unwrap();
        let fate = cuts
            .iter_mut()
            .find_map(|cut| cut.fate(&request, &seen.witnessed, seen.deaths + 1, this_life));
        let place = seen.witnessed.len();
        seen.witnessed.push(request);
        (fate.unwrap_or(Fate::Pass), place)
    }

    /// What a watch shows until it is to end.
    fn watched(&self, body: Body) -> Body {
        let start = (body.into_data_stream(), self.last_words.subscribe(), false);
        let shown = futures::stream::unfold(start, |(mut body, mut words, over)| async move {
            if over {
                return None;
            }
            tokio::select! {
                chunk = body.next() => chunk.map(|chunk| (chunk, (body, words, false))),
                _ = words.changed() => {
                    let said = words.borrow().clone();
                    Some((Ok(said.into()), (body, words, true)))
                }
            }
        });
        Body::from_stream(shown)
    }

    fn answered(&self, place: usize, code: u16) {
        let mut seen = self.seen.lock().unwrap();
        // Nothing is there when it was forgotten meanwhile.
        if let Some(witnessed) = seen.witnessed.get_mut(place) {
            witnessed.code = Some(code);
        }
    }

    fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
            let mut seen = self.seen.lock().unwrap();
            seen.deaths += 1;
            seen.before_this_life = seen.witnessed.len();
        }
    }
}

/// `trials/status` and `forest-1` of `/apis/podium.dev/v1alpha1/namespaces/team/trials/forest-1/status`.
fn resource_and_name(path: &str) -> (String, Option<String>) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let skip = if parts.first() == Some(&"api") { 2 } else { 3 };
    match parts.get(skip..).unwrap_or_default() {
        ["namespaces", _, resource, name, subresource, ..] => (
            format!("{resource}/{subresource}"),
            Some((*name).to_string()),
        ),
        ["namespaces", _, resource, name] => ((*resource).to_string(), Some((*name).to_string())),
        ["namespaces", _, resource] | [resource, ..] => ((*resource).to_string(), None),
        [] => ("other".to_string(), None),
    }
}
