//! What a promotion needs is deleted: its version, its model, its ledger. What is missed is said, and nothing moves twice once it is back.

use super::faults::{AT_ONCE, moves, pinned, requests, way, way_with};
use super::ledger_of_model::{champion, make_model, outcomes, tells_of_one_promotion};
use super::mlflow_proxy::{Before, Fate};
use super::mlflow_registry::mlflow_registry;
use super::promotion::{at_rest, until_settled};
use super::world::{NAME, cluster_with_policy, operator, pin, policy, reason};
use super::{run, witness};
use futures::StreamExt;
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MLFLOW_2, MlflowServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

/// The experiment that holds the runs of all ledgers.
const ALL_LEDGERS: &str = "promotion-ledger";

/// Asks MLflow for something, as a person does who asks nobody else; it must be granted.
fn asked(
    server: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> Pin<Box<dyn Future<Output = Value> + Send>> {
    let asked = reqwest::Client::new()
        .request(method, format!("{server}/api/2.0/mlflow/{path}"))
        .header("Content-Type", "application/json")
        .body(body.to_string());
    Box::pin(async move {
        let answer = asked.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    })
}

/// Asks MLflow to delete something.
fn deletion(server: &str, path: &str, body: &Value) -> Before {
    let asked = asked(server, Method::DELETE, path, body);
    Box::pin(async move { drop(asked.await) })
}

/// Deletes a version; whatever alias it has may stay.
fn deletion_of_version(server: &str, model: &str, version: &str) -> Before {
    let body = json!({"name": model, "version": version});
    deletion(server, "model-versions/delete", &body)
}

/// Something is deleted right before a request of a promotion, if there are so many; whether it was. What is in the ledger has an end, and
/// the policy says what it misses.
async fn survives_a_deletion(server: &str, what: &'static str, at: usize) -> bool {
    let registry = mlflow_registry(server);
    let model = format!("{what} deleted at {at}");
    make_model(&registry, &model, 2, true).await;
    let (url, name) = (server.to_string(), model.clone());
    let (way, passed) = way_with(server, at, move |_| match what {
        "version" => deletion_of_version(&url, &name, "2"),
        _ => deletion(&url, "registered-models/delete", &json!({"name": name})),
    })
    .await;
    let objects = pinned(&model);
    let engine = operator("a", &objects, &way, &WriteLease::always());
    let ends = [
        "Pinned",
        "VersionNotFound",
        "ModelNotFound",
        "RegistrySetBack",
        "ChampionRemoved",
    ];
    until_settled(&engine, &objects, &ends).await;
    let came = passed.lock().unwrap().len();
    // A look that got old is repeated, so there may have been more requests when they were counted.
    if came < at {
        return false;
    }
    // What happened during the last look is seen by one of the next.
    until_settled(&engine, &objects, &ends[1..]).await;
    let said = reason(&objects.policy());
    // Of a registry that was set back nothing is believed, and nothing is written to its ledger.
    if said != "RegistrySetBack" {
        outcomes(&registry, &model).await;
    }
    true
}

#[test]
fn what_is_deleted_at_any_step_is_said_and_leaves_no_epoch_open() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let url = server.url();
    run(async {
        let requests = requests(&url).await.len();
        let plans = (1..requests).flat_map(|at| [("version", at), ("model", at)]);
        let plans: Vec<_> = plans.collect();
        let deleted = futures::stream::iter(plans)
            .map(|(what, at)| survives_a_deletion(&url, what, at))
            .buffer_unordered(AT_ONCE)
            .filter(|deleted| std::future::ready(*deleted))
            .count()
            .await;
        assert!(
            deleted > requests,
            "{deleted} deletions at {requests} requests"
        );
    });
}

/// The id of the run that is a model's ledger.
fn ledger_run(server: &MlflowServer, model: &str) -> String {
    let script = format!(
        "from mlflow import MlflowClient\nprint(MlflowClient().get_experiment_by_name('promotion-ledger/{model}').tags['podium.dev/ledger-run'])"
    );
    witness(server, &script)
}

fn without_the_run_of_its_ledger(server: &MlflowServer) {
    let registry = mlflow_registry(&server.url());
    let model = "without a ledger";
    let objects = pinned(model);
    let engine = operator("a", &objects, &server.url(), &WriteLease::always());
    run(async {
        make_model(&registry, model, 3, true).await;
        until_settled(&engine, &objects, &["Pinned"]).await;
    });
    let ledger = ledger_run(server, model);
    let client = "from mlflow import MlflowClient\nclient = MlflowClient()\n";
    witness(server, &format!("{client}client.delete_run('{ledger}')"));
    objects.apply(&policy(model, |policy| pin(policy, "3")));
    run(async {
        for _ in 0..5 {
            let _ = engine.reconcile_champion_policy(NAME).await;
        }
        let status = objects.policy().status.unwrap();
        let said = status
            .conditions
            .iter()
            .any(|c| c.message.contains("mlflow runs restore"));
        assert!(said, "it says how to restore it: {:#?}", status.conditions);
        assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
    });
    witness(server, &format!("{client}client.restore_run('{ledger}')"));
    run(async {
        until_settled(&engine, &objects, &["Pinned"]).await;
        assert_eq!(champion(&registry, model).await.as_deref(), Some("3"));
        outcomes(&registry, model).await;
    });
}

/// The id of an experiment.
async fn experiment(server: &str, name: &str) -> String {
    let path = format!("experiments/get-by-name?experiment_name={name}");
    let found = asked(server, Method::GET, &path, &json!({})).await;
    found["experiment"]["experiment_id"]
        .as_str()
        .unwrap()
        .to_string()
}

fn deletion_of_experiment(server: &str, id: &str) -> Before {
    let body = json!({"experiment_id": id});
    let asked = asked(server, Method::POST, "experiments/delete", &body);
    Box::pin(async move { drop(asked.await) })
}

fn restore_experiment(server: &MlflowServer, id: &str) {
    let script =
        format!("from mlflow import MlflowClient\nMlflowClient().restore_experiment('{id}')");
    witness(server, &script);
}

/// The experiment of all ledgers is deleted, and all its runs with it, right before the alias moves: of the move nothing can be recorded.
async fn without_the_experiment_of_all_ledgers_amid_a_move(server: &MlflowServer) {
    let url = server.url();
    let registry = mlflow_registry(&url);
    let model = "amid-a-move";
    make_model(&registry, model, 2, true).await;
    let id = experiment(&url, ALL_LEDGERS).await;
    let (to, deleted) = (id.clone(), AtomicBool::new(false));
    let of_server = url.clone();
    let (way, passed) = way(&url, move |_, call| {
        if call.moves("champion") && !deleted.swap(true, Ordering::Relaxed) {
            Fate::PassAfter(deletion_of_experiment(&of_server, &to))
        } else {
            Fate::Pass
        }
    })
    .await;
    let objects = pinned(model);
    let engine = operator("a", &objects, &way, &WriteLease::always());
    for look in 0..4 {
        let said = at_rest(&engine, &objects).await;
        assert_eq!(said.status, "False", "look {look}: {said:?}");
        assert!(said.message.contains("restore"), "look {look}: {said:?}");
        assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
        assert_eq!(moves(&passed), 1, "look {look}");
    }
    engine.reconcile_model_registry(NAME).await.unwrap();
    let conditions = objects.registry().status.unwrap().conditions;
    let ledger = conditions.iter().find(|c| c.type_ == "LedgerAvailable");
    let ledger = ledger.unwrap();
    assert_eq!(ledger.status, "False");
    let mends = format!("mlflow experiments restore --experiment-id {id}");
    assert!(ledger.message.contains(&mends), "{ledger:?}");

    restore_experiment(server, &id);
    until_settled(&engine, &objects, &["Pinned"]).await;
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
    assert_eq!(moves(&passed), 1);
    tells_of_one_promotion(&registry, model).await;
}

/// The experiment that names a model's ledger is deleted. Another ledger must not be started in its place.
async fn without_the_experiment_that_names_its_ledger(server: &MlflowServer) {
    let url = server.url();
    let registry = mlflow_registry(&url);
    let model = "without-a-name";
    make_model(&registry, model, 3, true).await;
    let (way, passed) = way(&url, |_, _| Fate::Pass).await;
    let objects = pinned(model);
    let begun = || operator("a", &objects, &way, &WriteLease::always());
    until_settled(&begun(), &objects, &["Pinned"]).await;
    let id = experiment(&url, &format!("{ALL_LEDGERS}/{model}")).await;
    deletion_of_experiment(&url, &id).await;

    objects.apply(&policy(model, |policy| pin(policy, "3")));
    // Which run it is is remembered by whoever has seen it, so somebody looks who has just begun.
    let engine = begun();
    let said = at_rest(&engine, &objects).await;
    assert_eq!(said.status, "False", "{said:?}");
    let mends = format!("mlflow experiments restore --experiment-id {id}");
    assert!(said.message.contains(&mends), "{said:?}");
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
    assert_eq!(moves(&passed), 1);

    restore_experiment(server, &id);
    until_settled(&engine, &objects, &["Pinned"]).await;
    assert_eq!(champion(&registry, model).await.as_deref(), Some("3"));
    assert_eq!(moves(&passed), 2);
    outcomes(&mlflow_registry(&url), model).await;
}

#[test]
fn without_its_ledger_nothing_moves_and_with_it_everything_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    without_the_run_of_its_ledger(&server);
    run(async {
        without_the_experiment_of_all_ledgers_amid_a_move(&server).await;
        without_the_experiment_that_names_its_ledger(&server).await;
    });
}

/// The alias of the champion is left behind, before anybody has looked and while a policy has it pinned.
async fn a_champion_whose_version_is_gone(server: &str) {
    let registry = mlflow_registry(server);
    let model = "gone champion";
    make_model(&registry, model, 3, false).await;
    for (alias, version) in [("champion", "3"), ("challenger", "2")] {
        let moved = registry.move_alias(model, alias, None, Some(version));
        moved.await.unwrap();
    }
    deletion_of_version(server, model, "3").await;
    assert_eq!(champion(&registry, model).await.as_deref(), Some("3"));

    let objects = cluster_with_policy(model, |policy| {
        policy["spec"]["promotion"] = json!({"firstChampion": "Automatic"});
    });
    let begun = || operator("a", &objects, server, &WriteLease::always());
    let said = at_rest(&begun(), &objects).await;
    assert_eq!((&*said.status, &*said.reason), ("False", "VersionNotFound"));
    for part in ["`champion` points at version 3", "`1`, `2`", "`spec.pin`"] {
        assert!(said.message.contains(part), "{part}: {said:?}");
    }
    // It is no model without a champion, whose first one could be made.
    assert_eq!(champion(&registry, model).await.as_deref(), Some("3"));

    objects.apply(&policy(model, |policy| pin(policy, "2")));
    let said = at_rest(&begun(), &objects).await;
    assert_eq!((&*said.status, &*said.reason), ("True", "Pinned"));
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
    outcomes(&registry, model).await;

    deletion_of_version(server, model, "2").await;
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
    let said = at_rest(&begun(), &objects).await;
    assert_eq!(
        (&*said.status, &*said.reason),
        ("False", "VersionNotFound"),
        "a pinned version that is gone is no champion: {said:?}"
    );
}

async fn a_challenger_whose_version_is_gone(server: &str) {
    let registry = mlflow_registry(server);
    let model = "gone challenger";
    make_model(&registry, model, 2, false).await;
    let moved = registry.move_alias(model, "challenger", None, Some("2"));
    moved.await.unwrap();
    deletion_of_version(server, model, "2").await;
    let objects = cluster_with_policy(model, |policy| {
        policy["spec"]["promotion"] = json!({"firstChampion": "Automatic"});
    });
    let engine = operator("a", &objects, server, &WriteLease::always());
    let said = at_rest(&engine, &objects).await;
    assert_eq!((&*said.status, &*said.reason), ("False", "VersionNotFound"));
    assert!(
        said.message.contains("version 2 does not exist"),
        "{said:?}"
    );
    assert_eq!(champion(&registry, model).await, None);
}

/// MLflow before 3.17 leaves an alias where it points when its version is deleted.
#[test]
fn an_alias_that_is_left_behind_by_its_version_is_said_and_moves_by_a_pin() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW_2, None).unwrap();
    run(async {
        a_challenger_whose_version_is_gone(&server.url()).await;
        a_champion_whose_version_is_gone(&server.url()).await;
    });
}
