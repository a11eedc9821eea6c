//! The laws of registries on real MLflow servers, and files on a real object store, all of which these tests install, start and end. They need
//! Python 3 and PyPI, Go for the object store, and one of them root and Debian's PostgreSQL.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../contracts/registry_laws.rs"]
mod registry_laws;

#[path = "../bed/http_proxy.rs"]
mod http_proxy;
#[path = "../fixtures/ledger_of_model.rs"]
mod ledger_of_model;
#[path = "../fixtures/mlflow_accounts.rs"]
mod mlflow_accounts;
#[path = "../bed/mlflow_proxy.rs"]
mod mlflow_proxy;
#[path = "../fixtures/mlflow_registry.rs"]
mod mlflow_registry;
#[path = "../bed/tls.rs"]
mod tls;

mod accounts;
mod api_server;
mod artifacts;
mod connections;
mod deaths;
mod deletions;
mod faults;
mod gates;
mod mortal;
mod object_faults;
mod object_store;
mod polls;
mod promotion;
mod reports;
mod rivals;
mod stale_leaders;
mod takeover;
mod tracking;
mod world;

use mlflow_registry::mlflow_registry;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MLFLOW_2, MlflowServer, Postgres};
use registry_laws::*;
use std::process::Command;

fn case(server: &MlflowServer, model: &str) -> Case<MlflowRegistry> {
    Case {
        registry: mlflow_registry(&server.url()),
        model: model.to_string(),
        source: "s3://models/fraud".to_string(),
    }
}

macro_rules! each_law {
    ($server:expr; [$($law:ident),+ $(,)?]) => {
        $({
            eprintln!("law: {}", stringify!($law));
            let case = case($server, stringify!($law));
            run($law(&case));
        })+
    };
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn keeps_the_laws(server: &MlflowServer) {
    with_every_law!(each_law! server;);
}

/// What MLflow's own client prints.
fn witness(server: &MlflowServer, script: &str) -> String {
    let output = Command::new(server.python())
        .env("MLFLOW_TRACKING_URI", server.url())
        .args(["-c", script])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What is moved here is seen by MLflow's own client, and the other way round.
fn agrees_with_the_client(server: &MlflowServer) {
    let case = case(server, "seen by the client");
    run(async {
        case.register("a").await;
        case.register("b").await;
        case.move_champion(None, "1").await;
    });
    let script = "
from mlflow import MlflowClient
client = MlflowClient()
model = 'seen by the client'
print(client.get_model_version_by_alias(model, 'champion').version)
client.set_registered_model_alias(model, 'champion', '2')
client.set_model_version_tag(model, '2', 'team', 'growth')
";
    assert_eq!(witness(server, script), "1");
    assert_eq!(run(case.alias("champion")).as_deref(), Some("2"));
    let view = run(case.registry.view(&case.model)).unwrap().unwrap();
    assert_eq!(view.versions["2"].tags["team"], "growth");
    assert_eq!(view.versions["2"].source, "s3://models/fraud");
}

/// Two who start a ledger at the same time agree on one.
fn agrees_on_a_ledger(server: &MlflowServer) {
    run(async {
        let cases: Vec<_> = (0..8).map(|_| case(server, "one ledger")).collect();
        let writes = cases.iter().enumerate().map(|(index, case)| {
            let register = podium_core::champion::ledger::Register {
                key: format!("look/{:08}", index + 1),
                text: format!("by {index}"),
            };
            async move { case.registry.write_register("one ledger", &register).await }
        });
        for written in futures::future::join_all(writes).await {
            written.unwrap();
        }
        let registers = case(server, "").registry.registers("one ledger").await;
        assert_eq!(registers.unwrap().len(), cases.len());
    });
}

fn passes_the_preflight(server: &MlflowServer, version: &str) {
    let preflight = run(case(server, "").registry.preflight());
    assert_eq!(preflight.server_version.as_deref(), Some(version));
    assert_eq!((preflight.problem, preflight.ledger_problem), (None, None));
}

fn is_a_registry(version: &str, store: Option<&str>) {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), version, store).unwrap();
    passes_the_preflight(&server, version);
    keeps_the_laws(&server);
    agrees_with_the_client(&server);
    agrees_on_a_ledger(&server);
}

#[test]
fn mlflow_3_with_sqlite_is_a_registry() {
    is_a_registry(MLFLOW, None);
}

#[test]
fn mlflow_3_with_postgresql_is_a_registry() {
    let directory = tempfile::tempdir().unwrap();
    let database = Postgres::start(directory.path()).unwrap();
    is_a_registry(MLFLOW, Some(&database.url()));
}

#[test]
fn mlflow_2_is_a_registry() {
    is_a_registry(MLFLOW_2, None);
}
