//! The way of one operator to the API server: it witnesses every request, and cuts where a test says so.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{StatusCode, header};
use kube::{Client, Config};
use serde_json::Value;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// When the operator dies, seen from one of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server never hears of the request.
    BeforeRequest,
    /// The API server carries it out, and the operator never hears of that.
    AfterRequest,
    /// The operator has its answer, and does nothing with it any more.
    AfterResponse,
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Witnessed {
    pub at: Instant,
    /// Such as `POST`.
    pub method: String,
    /// Such as `trials/status`.
    pub resource: String,
    /// Name of the object, from the path or from the body.
    pub name: String,
    pub path: String,
    pub body: Value,
    /// `None` while there is no answer.
    pub code: Option<u16>,
}

/// What happens to a request instead of being passed on.
#[derive(Clone, Debug)]
pub enum Cut {
    /// The operator dies at the n-th request (from 1) of this method and resource.
    Kill {
        method: &'static str,
        resource: &'static str,
        nth: usize,
        moment: Moment,
    },
    /// Requests of this method and resource are answered with this status, so many times.
    Answer {
        method: &'static str,
        resource: &'static str,
        code: u16,
        times: usize,
    },
    /// Nothing comes through any more.
    Everything,
}

pub struct Way {
    pub port: u16,
    state: Arc<Shared>,
}

struct Shared {
    upstream: Client,
    child: Arc<Mutex<Option<Child>>>,
    witnessed: Mutex<Vec<Witnessed>>,
    cuts: Mutex<Vec<Cut>>,
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
            witnessed: Mutex::default(),
            cuts: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, state }
    }

    /// All requests so far, in the order in which they came.
    pub fn witnessed(&self) -> Vec<Witnessed> {
        self.state.witnessed.lock().unwrap().clone()
    }

    /// Forgets what was witnessed, so that a later count begins anew.
    pub fn forget(&self) {
        self.state.witnessed.lock().unwrap().clear();
    }

    /// From now on.
    pub fn cut(&self, cut: Cut) {
        self.state.cuts.lock().unwrap().push(cut);
    }

    /// Everything is passed on again.
    pub fn heal(&self) {
        self.state.cuts.lock().unwrap().clear();
    }
}

/// What is to be done with one request.
enum Fate {
    Pass,
    Die(Moment),
    Answer(u16),
    Drop,
}

async fn pass(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let path = parts.uri.path().to_string();
    let (resource, name) = resource_and_name(&path);
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
    let fate = state.fate(&seen);
    let place = {
        let mut witnessed = state.witnessed.lock().unwrap();
        witnessed.push(seen);
        witnessed.len() - 1
    };
    match fate {
        Fate::Die(Moment::BeforeRequest) => {
            state.kill();
            return answer(StatusCode::BAD_GATEWAY);
        }
        Fate::Answer(code) => return answer(StatusCode::from_u16(code).unwrap()),
        // A request that never gets an answer.
        Fate::Drop => return std::future::pending().await,
        Fate::Pass | Fate::Die(_) => {}
    }
    parts.headers.remove(header::HOST);
    let upstream = http::Request::from_parts(parts, kube::client::Body::from(body));
    let Ok(response) = state.upstream.send(upstream).await else {
        return answer(StatusCode::BAD_GATEWAY);
    };
    if let Some(witnessed) = state.witnessed.lock().unwrap().get_mut(place) {
        witnessed.code = Some(response.status().as_u16());
    }
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
    fn fate(&self, request: &Witnessed) -> Fate {
        let is =
            |method: &str, resource: &str| request.method == method && request.resource == resource;
        let before = {
            let witnessed = self.witnessed.lock().unwrap();
            let same = witnessed.iter().filter(|earlier| {
                earlier.method == request.method && earlier.resource == request.resource
            });
            same.count()
        };
        for cut in self.cuts.lock().unwrap().iter_mut() {
            match cut {
                Cut::Kill {
                    method,
                    resource,
                    nth,
                    moment,
                } if is(method, resource) && before + 1 == *nth => {
                    return Fate::Die(*moment);
                }
                Cut::Answer {
                    method,
                    resource,
                    code,
                    times,
                } if is(method, resource) && *times > 0 => {
                    *times -= 1;
                    return Fate::Answer(*code);
                }
                Cut::Everything => return Fate::Drop,
                _ => {}
            }
        }
        Fate::Pass
    }

    fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
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
