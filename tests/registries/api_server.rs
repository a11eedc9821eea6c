//! The API server of a cluster whose objects stand in memory, as far as the operator asks it for Secrets and ConfigMaps by their names.

use super::world::Objects;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Starts it; a client of it.
pub async fn client_of(objects: &Objects) -> Client {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/api/v1/namespaces/{namespace}/{plural}/{name}", get(named))
        .with_state(objects.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Client::try_from(Config::new(url.parse().unwrap())).unwrap()
}

async fn named(
    State(objects): State<Objects>,
    Path((_, plural, name)): Path<(String, String, String)>,
) -> Response {
    let kind = match plural.as_str() {
        "secrets" => "Secret",
        "configmaps" => "ConfigMap",
        _ => "",
    };
    match objects.named(kind, &name) {
        Some(found) => answer(StatusCode::OK, &found),
        None => answer(
            StatusCode::NOT_FOUND,
            &json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound",
                "message": format!("{plural} \"{name}\" not found"), "code": 404,
            }),
        ),
    }
}

fn answer(code: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (code, kind, body.to_string()).into_response()
}
