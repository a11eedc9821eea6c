//! The accounts that a whole loop works with, those of the object store, of MLflow and of the trials, stand nowhere but in their Secrets:
//! not in what the loop leaves behind, and not in what it says where an account is refused.

use crate::bed::forests::{IMAGE, comparing, run_podium, scoring, source, store_all};
use crate::bed::manifests::{model_registry, registering};
use crate::bed::object_store::{ObjectStore, account};
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed, run};
use crate::looks::until_ready_is;
use crate::mlflow_accounts::{account as credentials, administer};
use crate::mlflow_registry::mlflow_registry_as;
use crate::policies::{champion, operator_with, ready, until};
use crate::secrets::{is_silent_about, stand_nowhere};
use podium_api::{ChampionPolicy, TuningJob};
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::{ModelRegistry as _, NewVersion};
use podium_testbed::mlflow::{ADMIN, MLFLOW, MlflowServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The account that trials log with.
const OF_TRIALS: (&str, &str) = ("trials", "canary-of-the-trials-c41d");
/// An account that the object store refuses.
const REFUSED: (&str, &str) = ("podium", "canary-of-a-wrong-key-08be");
/// The alias that the policy with this account looks after.
const ELSEWHERE: &str = "champion-elsewhere";

/// An MLflow with accounts whose model has a plain champion, and the Secrets by which this namespace reaches it.
async fn mlflow_with_accounts(bed: &Bed, store: &ObjectStore, model: &str) -> MlflowServer {
    let directory = bed.directory().join("mlflow-with-accounts");
    std::fs::create_dir_all(&directory).unwrap();
    let server = MlflowServer::start_with_accounts(&directory, MLFLOW).unwrap();
    let body = json!({"username": OF_TRIALS.0, "password": OF_TRIALS.1});
    administer(&server, Method::POST, "2.0/mlflow/users/create", body).await;
    let admin = credentials(ADMIN.0, ADMIN.1);
    let registry = mlflow_registry_as(admin, &server.url(), WriteLease::always());
    let new = NewVersion {
        model,
        key: "plain",
        source: &source(store, "1"),
        run: None,
        tags: BTreeMap::new(),
    };
    registry.register(new).await.unwrap();
    for alias in ["champion", ELSEWHERE] {
        let moved = registry.move_alias(model, alias, None, Some("1"));
        moved.await.unwrap();
    }
    for (name, (user, password)) in [("mlflow", ADMIN), ("trials", OF_TRIALS)] {
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"username": user, "password": password},
        }));
    }
    let mut registry = model_registry(&server.url());
    registry["spec"]["mlflow"]["credentialsSecretRef"] = json!({"name": "mlflow"});
    registry["spec"]["mlflow"]["trialCredentialsSecretRef"] = json!({"name": "trials"});
    bed.apply(&registry);
    server
}

/// A search of one forest, much better than the champion, that is logged and registered.
fn tracked_search(store: &ObjectStore, model: &str) -> Value {
    let data = format!("--data={}", store.uri("train.parquet"));
    let arguments = json!([
        "train",
        data,
        "--label=tx_fraud",
        "--weight=balanced",
        "--exclude=transaction_id,customer_id,terminal_id,tx_time_seconds,tx_time_days,tx_fraud_scenario",
        "--numTrees=30",
    ]);
    let search = json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "TuningJob", "metadata": {"name": "forest"},
        "spec": {
            "seed": 1, "maxTrials": 1,
            "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "maxDepth", "categorical": {"values": ["8"]}}],
            "algorithm": {"name": "Grid"},
            "trial": {"job": run_podium(&arguments)},
            "tracking": {"registryRef": {"name": "mlflow"}, "experiment": "canaries"},
        },
    });
    let mut search = registering(search, model);
    search["spec"]["trial"]["outputURI"] = json!(store.uri("models/$(PODIUM_TRIAL)"));
    search
}

/// Everything that MLflow's own client can be told, with the account that may see all.
fn told_by_mlflow(server: &MlflowServer, model: &str) -> String {
    let script = format!(
        "from mlflow import MlflowClient
client = MlflowClient()
experiments = client.search_experiments()
print([dict(e) for e in experiments])
for run in client.search_runs([e.experiment_id for e in experiments]):
    print(run.to_dictionary(), [f.path for f in client.list_artifacts(run.info.run_id)])
print(client.get_registered_model('{model}'))
for version in client.search_model_versions(\"name='{model}'\"):
    print(dict(version))"
    );
    let variables = [
        format!("MLFLOW_TRACKING_URI={}", server.url()),
        format!("MLFLOW_TRACKING_USERNAME={}", ADMIN.0),
        format!("MLFLOW_TRACKING_PASSWORD={}", ADMIN.1),
    ];
    let python = server.python().display().to_string();
    let mut arguments: Vec<&str> = variables.iter().map(String::as_str).collect();
    arguments.extend([python.as_str(), "-c", script.as_str()]);
    run("env", &arguments, None).unwrap()
}

/// What the pods of trials and scorers have stored.
fn stored_by_pods(store: &ObjectStore) -> String {
    let names = store.names().into_iter();
    let by_pods = |name: &String| name.starts_with("predictions/") || name.contains("/forest-1/");
    let stored: Vec<String> = names.filter(by_pods).collect();
    assert!(stored.len() > 2, "{:?}", store.names());
    let texts = stored.iter().map(|name| store.text(name));
    texts.collect::<Vec<_>>().join("\n")
}

/// A policy whose account the object store refuses says so.
async fn a_refused_account_is_told(bed: &Bed, store: &ObjectStore, model: &str) {
    bed.apply(&account("refused", REFUSED.0, REFUSED.1));
    let mut policy = comparing(store, "refused", model, "predictions");
    policy["spec"]["evidence"]["store"] = store.as_seen_by_policies("refused");
    policy["spec"]["aliases"] = json!({"champion": ELSEWHERE, "previous": "previous-elsewhere"});
    bed.apply(&policy);
    let says = |ready: &Value| {
        let message = ready["message"].as_str().unwrap_or_default();
        message.contains("access key") || message.contains("credentials")
    };
    until_ready_is::<ChampionPolicy>(bed, "refused", "says what the store answers", says).await;
}

async fn nothing_tells_them(
    bed: &Bed,
    operator: &Operator,
    store: &ObjectStore,
    server: &MlflowServer,
) {
    let secrets = [
        (store.access_key.as_str(), store.secret_key.as_str()),
        ADMIN,
        OF_TRIALS,
        REFUSED,
    ];
    stand_nowhere(bed, operator, &secrets).await;
    let told = told_by_mlflow(server, &bed.namespace);
    assert!(told.contains("forest-1"), "the trial was logged: {told}");
    is_silent_about("MLflow", &told, &secrets);
    is_silent_about("the object store", &stored_by_pods(store), &secrets);
}

#[test]
fn a_whole_loop_tells_nobody_the_accounts_that_it_works_with() {
    on_bed("canaries", async |bed| {
        let store = ObjectStore::of_testbed(&bed);
        store_all(&bed, &store, false);
        let model = bed.namespace.clone();
        let server = mlflow_with_accounts(&bed, &store, &model).await;
        let variables = [("PODIUM_LOG_LEVEL", "trace"), ("PODIUM_IMAGE", IMAGE)];
        let operator = operator_with(&bed, &variables).await;
        bed.apply(&tracked_search(&store, &model));
        let mut policy = scoring(&store, "fraud", &model, "predictions");
        policy["spec"]["pollSeconds"] = json!(10);
        bed.apply(&policy);
        let what = "has promoted the winner of the search";
        until(&bed, what, |policy| {
            champion(policy) == Some("2") && ready(policy) == Some(("True", "UpToDate"))
        })
        .await;
        let is_logged = |job: &TuningJob| {
            let tracking = json!(job.status)["tracking"].clone();
            tracking["parentRunStatus"] == "FINISHED"
        };
        bed.until("forest", 180, "is logged to its end", is_logged)
            .await;
        a_refused_account_is_told(&bed, &store, &model).await;
        nothing_tells_them(&bed, &operator, &store, &server).await;
    });
}
