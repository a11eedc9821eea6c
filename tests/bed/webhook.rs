//! An admission webhook in the test's own process, which the API server asks about the Jobs of one search or of all. It needs an API
//! server of this machine.

use super::manifests::{REPORT, script_job};
use super::tls::Tls;
use super::{Bed, kubectl, run};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The API server gives up on it after so long, the longest that Kubernetes allows.
const TIMEOUT_SECONDS: u64 = 30;

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It allows everything at once.
    Allow,
    /// It allows everything after so long.
    AllowAfter(Duration),
    /// It has an error of its own.
    Fail,
    /// It never answers.
    Silence,
}

pub struct Webhook {
    name: String,
    state: Arc<Mutex<Asked>>,
}

struct Asked {
    manner: Manner,
    times: usize,
}

impl Webhook {
    /// For Jobs of this search, and in force.
    pub async fn of(bed: &Bed, search: &str) -> Self {
        let labels = json!({"podium.dev/tuning-job": search});
        Self::in_force(bed, json!({"matchLabels": labels}), search).await
    }

    /// For Jobs of every search of the namespace, and in force.
    #[allow(dead_code)] // Not every kind of test needs it.
    pub async fn of_all(bed: &Bed) -> Self {
        let labelled = json!({"key": "podium.dev/tuning-job", "operator": "Exists"});
        Self::in_force(bed, json!({"matchExpressions": [labelled]}), "any").await
    }

    /// For the Jobs that `selector` selects by their labels; it selects those of the search named `search`.
    async fn in_force(bed: &Bed, selector: Value, search: &str) -> Self {
        let directory = bed.directory();
        let listener = Tls::listen(&directory).await;
        let port = listener.port();
        let state = Arc::new(Mutex::new(Asked {
            manner: Manner::Allow,
            times: 0,
        }));
        let router = Router::new().route("/", post(review));
        let router = router.with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let webhook = Self {
            name: bed.namespace.clone(),
            state,
        };
        let ca = directory.join("ca.crt").display().to_string();
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": webhook.name},
            "webhooks": [{
                "name": "slow.example.com",
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/"),
                    "caBundle": run("base64", &["--wrap=0", &ca], None).unwrap(),
                },
                "rules": [{
                    "apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"],
                }],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}},
                "objectSelector": selector,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": TIMEOUT_SECONDS,
                "failurePolicy": "Fail",
            }],
        });
        kubectl(&["create", "-f", "-"], Some(&configuration.to_string())).unwrap();
        // The API server heeds it a moment later.
        let mut spec = script_job(REPORT);
        spec["template"]["spec"]["restartPolicy"] = json!("Never");
        let labels = json!({"podium.dev/tuning-job": search});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe", "labels": labels}, "spec": spec,
        });
        bed.wait(30, "the webhook is asked", async || {
            let create = [
                "create",
                "--dry-run=server",
                "-n",
                &bed.namespace,
                "-f",
                "-",
            ];
            kubectl(&create, Some(&job.to_string())).unwrap();
            webhook.times() > 0
        })
        .await;
        webhook
    }

    /// From now on; what was asked before is answered as it was to be.
    pub fn answers(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    /// How often it was asked.
    pub fn times(&self) -> usize {
        self.state.lock().unwrap().times
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let delete = ["delete", "validatingwebhookconfiguration", &self.name];
        let _ = kubectl(&delete, None);
    }
}

async fn review(State(state): State<Arc<Mutex<Asked>>>, review: Bytes) -> Response {
    let manner = {
        let mut asked = state.lock().unwrap();
        asked.times += 1;
        asked.manner
    };
    match manner {
        Manner::Allow => {}
        Manner::AllowAfter(pause) => tokio::time::sleep(pause).await,
        Manner::Fail => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Manner::Silence => std::future::pending().await,
    }
    let review: Value = serde_json::from_slice(&review).unwrap();
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true},
    });
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}
