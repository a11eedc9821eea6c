//! What the Secret of a registry holds stands nowhere but in it, whatever goes wrong and however much is logged.

use crate::bed::manifests::{champion_policy, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed, run};
use crate::ledger_of_model::make_model;
use crate::looks::{until_ready_is, until_says};
use crate::mlflow_registry::mlflow_registry;
use crate::policies::{champion, operator_with, pinned, until};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use podium_api::{ChampionPolicy, ModelRegistry};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const USER: &str = "podium";
const PASSWORD: &str = "canary-of-a-password-7f3a";
const TOKEN: &str = "canary-of-a-token-91bc";
/// Of a text that is cut, the beginning would stay.
const BEGINNING: usize = 16;

/// What somebody must not find who looks for a secret: itself, as a Secret shows it, and as it is sent with the name of its account.
fn spellings(user: &str, secret: &str) -> [String; 3] {
    let encoded = |text: &str| run("base64", &["--wrap=0"], Some(text)).unwrap();
    let all = [
        secret.to_string(),
        encoded(secret),
        encoded(&format!("{user}:{secret}")),
    ];
    all.map(|spelling| spelling[..BEGINNING.min(spelling.len())].to_string())
}

/// None of these secrets, each with the name of its account, stands in the objects and events of the namespace, in the logs of its pods, in
/// the operator's log or in its metrics.
pub async fn stand_nowhere(bed: &Bed, operator: &Operator, secrets: &[(&str, &str)]) {
    let kinds = "championpolicies,modelregistries,approvals,evaluations,tuningjobs,trials,jobs,pods,configmaps,events,leases";
    // One line for each text, however long it is.
    let objects = bed.kubectl(&["get", kinds, "-o=json"]).unwrap();
    for pod in bed.kubectl(&["get", "pods", "-o=name"]).unwrap().lines() {
        // One whose container never ran has none, and it may be gone meanwhile.
        if let Ok(log) = bed.kubectl(&["logs", pod, "--all-containers"]) {
            is_silent_about(pod, &format!("{log}\n"), secrets);
        }
    }
    let mut metrics = None;
    bed.wait(60, "the operator tells its metrics", async || {
        metrics = operator.get("metrics").await;
        metrics.is_some()
    })
    .await;
    let metrics = metrics.unwrap_or_default();
    for (place, text) in [
        ("the objects", objects),
        ("the log", operator.log()),
        ("the metrics", metrics),
    ] {
        is_silent_about(place, &text, secrets);
    }
}

/// None of these secrets stands in what a place tells.
pub fn is_silent_about(place: &str, text: &str, secrets: &[(&str, &str)]) {
    assert!(!text.is_empty(), "{place}");
    for (user, secret) in secrets {
        for spelling in spellings(user, secret) {
            let mut lines = text.lines();
            let told = lines.find(|line| line.contains(&spelling));
            assert_eq!(told, None, "{spelling} stands in {place}");
        }
    }
}

/// A server that tells whoever asks what the request came with. The first part of the path says in which form; its address.
async fn indiscreet() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(told_back);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://127.0.0.1:{port}")
}

async fn told_back(request: Request) -> Response {
    let account = request.headers().get(AUTHORIZATION);
    let account = account.map_or("", |account| account.to_str().unwrap_or_default());
    // What it was sent, as it came and as it reads it.
    let read = match account.starts_with("Bearer") {
        true => TOKEN,
        false => PASSWORD,
    };
    let known = format!("{account} {read}");
    let path = request.uri().path().trim_start_matches('/');
    let (json, html) = ("application/json", "text/html");
    let (status, kind, location, body) = match path.split_once('/').unwrap_or((path, "")) {
        ("in-words", _) => {
            let message = format!("there is no account {known}");
            let error = json!({"error_code": "UNAUTHENTICATED", "message": message});
            (401, json, String::new(), error.to_string())
        }
        ("as-a-type", _) => (200, known.as_str(), String::new(), "{}".to_string()),
        ("as-an-address", _) => {
            let location = format!("http://127.0.0.1:9/?account={known}");
            (302, html, location, String::new())
        }
        ("as-a-version", "version") => (200, "text/plain", String::new(), format!("3.{account}")),
        // Everything else of that server can be used.
        _ => (200, json, String::new(), "{}".to_string()),
    };
    http::Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header(LOCATION, location)
        .body(Body::from(body))
        .unwrap()
}

/// Secrets of accounts, of which the last two cannot be used.
fn give_accounts(bed: &Bed) {
    for (name, data) in [
        ("basic", json!({"username": USER, "password": PASSWORD})),
        ("token", json!({"token": TOKEN})),
        (
            "both",
            json!({"username": USER, "password": PASSWORD, "token": TOKEN}),
        ),
        ("lines", json!({"token": format!("{TOKEN}\nand more")})),
    ] {
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data,
        }));
    }
}

/// A registry with the account of this Secret.
fn registry(name: &str, url: &str, secret: &str) -> Value {
    let mut registry = model_registry(url);
    registry["metadata"]["name"] = json!(name);
    registry["spec"]["mlflow"]["credentialsSecretRef"] = json!({"name": secret});
    registry
}

/// Registries with which something is wrong, each with what it says.
async fn set_up_wrong_ones(bed: &Bed, mlflow: &Mlflow) {
    let indiscreet = indiscreet().await;
    let elsewhere = format!("{}/elsewhere", mlflow.url);
    let mut cases = vec![
        (
            "closed".to_string(),
            "http://127.0.0.1:9".to_string(),
            "basic",
            "Unreachable",
        ),
        ("prefix".to_string(), elsewhere, "token", "NotMLflow"),
        (
            "both".to_string(),
            mlflow.url.clone(),
            "both",
            "InvalidSecret",
        ),
    ];
    for (form, reason) in [
        ("in-words", "WrongCredentials"),
        ("as-a-type", "NotMLflow"),
        ("as-an-address", "Redirected"),
        ("as-a-version", "Usable"),
    ] {
        for secret in ["basic", "token"] {
            let url = format!("{indiscreet}/{form}");
            cases.push((format!("{form}-{secret}"), url, secret, reason));
        }
    }
    for (name, url, secret, _) in &cases {
        bed.apply(&registry(name, url, secret));
    }
    for (name, _, _, reason) in &cases {
        until_says::<ModelRegistry>(bed, name, reason).await;
    }
    bed.apply(&registry("lines", &mlflow.url, "lines"));
    let is_refused = |ready: &Value| ready["status"] == "False";
    until_ready_is::<ModelRegistry>(bed, "lines", "is refused", is_refused).await;
}

/// Policies that cannot look at their registry, and the events that say so.
async fn set_up_policies_of(bed: &Bed, registries: &[(&str, &str)]) {
    for (registry, _) in registries {
        let mut policy = champion_policy(registry, &bed.namespace);
        policy["spec"]["registryRef"]["name"] = json!(registry);
        bed.apply(&policy);
    }
    for (registry, reason) in registries {
        until_says::<ChampionPolicy>(bed, registry, reason).await;
        let about = format!("--field-selector=involvedObject.name={registry}");
        let reasons = "-o=jsonpath={.items[*].reason}";
        bed.wait(60, "an event tells it", async || {
            let told = bed.kubectl(&["get", "events", &about, reasons]);
            told.is_ok_and(|told| told.contains(reason))
        })
        .await;
    }
}

#[test]
fn what_a_secret_holds_is_nowhere_else() {
    on_bed("secrets", async |bed| {
        let (mlflow, model) = (Mlflow::of_testbed(), bed.namespace.clone());
        make_model(&mlflow_registry(&mlflow.url), &model, 2, false).await;
        let operator = operator_with(&bed, &[("PODIUM_LOG_LEVEL", "trace")]).await;
        give_accounts(&bed);
        bed.apply(&registry("mlflow", &mlflow.url, "basic"));
        bed.apply(&pinned(&model, "1"));
        until(&bed, "has a champion", |policy| {
            champion(policy) == Some("1")
        })
        .await;
        set_up_wrong_ones(&bed, &mlflow).await;
        let policies = [
            ("in-words-basic", "CannotCarryOut"),
            ("in-words-token", "CannotCarryOut"),
            ("both", "InvalidSecret"),
        ];
        set_up_policies_of(&bed, &policies).await;

        let log = operator.log();
        assert!(log.contains("asked the API server"), "it logs little");
        let secrets = [(USER, PASSWORD), (USER, TOKEN)];
        stand_nowhere(&bed, &operator, &secrets).await;
        let stored = mlflow.python(&format!(
            "print(client.get_registered_model('{model}'), [dict(v) for v in client.search_model_versions(\"name='{model}'\")])"
        ));
        is_silent_about("MLflow", &stored, &secrets);
    });
}
