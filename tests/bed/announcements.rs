//! What followers of a champion see: the ConfigMaps of policies, and a receiver of notifications in the test's own process.

use super::cuts::Moment;
use super::operator::Operator;
use super::{Bed, helm, kubectl};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// A key that receivers share with a policy.
pub const HOOK_KEY: &str = "canary-of-a-hook-key-5d1e77";
/// What an operator must be told so that it publishes, and notifies this machine.
pub const VARIABLES: [(&str, &str); 2] = [
    ("PODIUM_PUBLISH_ENABLED", "true"),
    ("PODIUM_NOTIFY_ALLOWED_HOSTS", "*=127.0.0.1"),
];

/// Gives the operator of a namespace the right that the chart's `publish.enabled` gives, and the namespace the key of its receivers.
pub fn prepare(bed: &Bed) {
    let rights = helm(&[
        "template",
        "podium",
        "charts/podium",
        "--namespace",
        &bed.namespace,
        "--set=publish.enabled=true",
        "--show-only=templates/role.yaml",
    ])
    .unwrap();
    kubectl(&["apply", "-n", &bed.namespace, "-f", "-"], Some(&rights)).unwrap();
    bed.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook-key"}, "stringData": {"key": HOOK_KEY},
    }));
}

/// What stands in a ConfigMap; `None` when there is none.
pub async fn published(bed: &Bed, name: &str) -> Option<BTreeMap<String, String>> {
    let found = bed.find::<ConfigMap>(name).await?;
    Some(found.data.unwrap_or_default())
}

/// Waits until a ConfigMap publishes this version, and returns all that it holds.
pub async fn until_published(bed: &Bed, name: &str, version: &str) -> BTreeMap<String, String> {
    let mut data = BTreeMap::new();
    let what = format!("the ConfigMap {name} publishes version {version}");
    bed.wait(120, &what, async || {
        data = published(bed, name).await.unwrap_or_default();
        data.get("version").map(String::as_str) == Some(version)
    })
    .await;
    data
}

/// How a receiver answers.
#[derive(Clone, Debug)]
pub enum Manner {
    /// It confirms.
    Confirm,
    /// With this status.
    Status(u16),
    /// By sending whoever asks elsewhere.
    Redirect(String),
    /// Never.
    Silence,
}

/// A message as a receiver got it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// Whether the receiver confirmed it.
    pub confirmed: bool,
}

impl Heard {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Such as `promoted`.
    pub fn kind(&self) -> String {
        let event = self.event();
        let kind = event["type"].as_str().unwrap_or_default();
        let kind = kind.strip_prefix("dev.podium.champion.");
        kind.unwrap_or_default().to_string()
    }
}

pub struct Receiver {
    pub url: String,
    state: Arc<Mutex<Listening>>,
}

struct Listening {
    manner: Manner,
    heard: Vec<Heard>,
    /// The operator, and when it dies seen from the next message.
    kill: Option<(Arc<Mutex<Option<Child>>>, Moment)>,
    deaths: usize,
}

impl Receiver {
    /// One that answers so.
    pub async fn open(manner: Manner) -> Self {
        Self::open_at(0, manner).await
    }

    /// One at this port; 0 for any.
    pub async fn open_at(port: u16, manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(Listening {
            manner,
            heard: Vec::new(),
            kill: None,
            deaths: 0,
        }));
        let router = Router::new().fallback(hear).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://127.0.0.1:{port}/hook"),
            state,
        }
    }

    /// From now on.
    pub fn answers(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    /// The operator dies at the next message.
    pub fn kill_at_next(&self, operator: &Operator, moment: Moment) {
        self.state.lock().unwrap().kill = Some((operator.child(), moment));
    }

    /// How often the operator died here.
    pub fn deaths(&self) -> usize {
        self.state.lock().unwrap().deaths
    }

    /// All messages so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.state.lock().unwrap().heard.clone()
    }

    /// The kinds of what it confirmed about a model, each once, in the order in which it heard them first.
    pub fn kinds_of(&self, model: &str) -> Vec<String> {
        let mut ids = BTreeSet::new();
        let heard = self.heard().into_iter();
        let of_model = heard.filter(|heard| heard.confirmed && heard.event()["subject"] == model);
        of_model
            .filter(|heard| ids.insert(heard.id().to_string()))
            .map(|heard| heard.kind())
            .collect()
    }
}

async fn hear(
    State(state): State<Arc<Mutex<Listening>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers = headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap_or_default();
        (name.to_string(), value.to_string())
    });
    let (manner, kill) = {
        let mut state = state.lock().unwrap();
        let manner = state.manner.clone();
        let kill = state.kill.take();
        let is_before = matches!(kill, Some((_, Moment::BeforeRequest)));
        let confirmed = matches!(manner, Manner::Confirm) && !is_before;
        let heard = Heard {
            headers: headers.collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
            confirmed,
        };
        state.heard.push(heard);
        (manner, kill)
    };
    if let Some((child, moment)) = kill {
        let kill = move || {
            if let Some(mut child) = child.lock().unwrap().take() {
                let _ = child.kill();
                let _ = child.wait();
                state.lock().unwrap().deaths += 1;
            }
        };
        match moment {
            Moment::BeforeRequest => {
                kill();
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            // It never hears that the message was confirmed.
            Moment::AfterRequest => kill(),
            Moment::AfterResponse => {
                tokio::spawn(async move {
                    // Any later moment is as good; the answer needs a moment to arrive.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    kill();
                });
            }
        }
    }
    match manner {
        Manner::Confirm => StatusCode::NO_CONTENT.into_response(),
        Manner::Status(code) => {
            let status = StatusCode::from_u16(code).unwrap();
            (status, "canary-of-an-answer").into_response()
        }
        Manner::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Manner::Silence => std::future::pending().await,
    }
}
