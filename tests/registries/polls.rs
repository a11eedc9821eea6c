//! How much policies ask of a server: one that has nothing to do, many that have nothing to do, and one that promotes.

use super::faults::{pinned, way};
use super::ledger_of_model::make_model;
use super::mlflow_proxy::{Call, Fate};
use super::mlflow_registry::mlflow_registry;
use super::promotion::until_settled;
use super::run;
use super::world::{NAME, operator};
use podium_core::champion::{Freshness, RECENT_SECONDS};
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MlflowServer};
use std::time::Duration;

/// Requests of an idle poll of a model.
const IDLE: usize = 2;
/// Requests of a promotion, from the decision to the last poll.
const PROMOTION: usize = 25;
/// So many that a list of all models is worth it.
const MODELS: usize = 25;

/// What was read until now is no longer recent: that is a matter of time and nothing else.
async fn until_nothing_is_recent() {
    tokio::time::sleep(Duration::from_secs(RECENT_SECONDS) + Duration::from_millis(100)).await;
}

#[test]
fn an_idle_poll_asks_twice_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    run(async {
        let model = "idle";
        make_model(&mlflow_registry(&server.url()), model, 2, true).await;
        let (url, passed) = way(&server.url(), |_, _| Fate::Pass).await;
        let objects = pinned(model);
        let engine = operator("a", &objects, &url, &WriteLease::always());
        until_settled(&engine, &objects, &["Pinned"]).await;
        let promotion = passed.lock().unwrap().len();
        eprintln!("{promotion} requests for a promotion");
        assert!(promotion <= PROMOTION, "{:#?}", passed.lock().unwrap());
        for poll in 0..4 {
            until_nothing_is_recent().await;
            passed.lock().unwrap().clear();
            engine.reconcile_champion_policy(NAME).await.unwrap();
            let asked = passed.lock().unwrap().clone();
            assert!(asked.len() <= IDLE, "poll {poll}: {asked:#?}");
        }
        a_slow_server_is_looked_at_once(&server.url()).await;
    });
}

/// Of three answers that take half a second each, none is new when the last one comes.
async fn a_slow_server_is_looked_at_once(server: &str) {
    let model = "slow";
    make_model(&mlflow_registry(server), model, 2, true).await;
    let half_a_second = Duration::from_millis(500);
    let slow = move |_, _: &Call| Fate::PassAfter(Box::pin(tokio::time::sleep(half_a_second)));
    let (url, passed) = way(server, slow).await;
    let objects = pinned(model);
    let engine = operator("a", &objects, &url, &WriteLease::always());
    let settled = until_settled(&engine, &objects, &["Pinned"]);
    let patience = tokio::time::timeout(Duration::from_secs(300), settled).await;
    let asked = passed.lock().unwrap().len();
    assert!(
        patience.is_ok(),
        "it looks again and again: {asked} requests"
    );
    assert!(asked <= 2 * PROMOTION, "{asked} requests");
}

#[test]
fn policies_that_have_nothing_to_do_share_a_list_of_all_models() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    run(async {
        let (url, passed) = way(&server.url(), |_, _| Fate::Pass).await;
        let registry = mlflow_registry(&url);
        let models: Vec<String> = (0..MODELS)
            .map(|number| format!("shared {number}"))
            .collect();
        for model in &models {
            make_model(&registry, model, 1, true).await;
            registry.look(model, Freshness::Now).await.unwrap();
        }
        // A list serves for some seconds, and what was read before it for as long.
        for round in 0..2 {
            until_nothing_is_recent().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            passed.lock().unwrap().clear();
            for model in &models {
                let look = registry.look(model, Freshness::Polled).await.unwrap();
                assert_eq!(look.view.unwrap().aliases["champion"], "1");
            }
            let asked = passed.lock().unwrap().clone();
            let lists = asked
                .iter()
                .filter(|call| call.path == "registered-models/search");
            assert!(lists.count() <= 2, "round {round}: {asked:#?}");
            assert!(asked.len() <= MODELS + 2, "round {round}: {}", asked.len());
        }
        // What somebody else moves is seen in a list, too.
        let elsewhere = mlflow_registry(&server.url());
        let moved = elsewhere.move_alias(&models[0], "champion", Some("1"), None);
        moved.await.unwrap();
        until_nothing_is_recent().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let look = registry.look(&models[0], Freshness::Polled).await.unwrap();
        assert!(look.view.unwrap().aliases.is_empty());
    });
}
