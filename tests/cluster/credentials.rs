//! The account of a registry that is wrong, mended, and changed by MLflow's administrator while the operator runs.

use crate::bed::manifests::model_registry;
use crate::bed::{Bed, on_bed};
use crate::ledger_of_model::make_model;
use crate::mlflow_accounts::{account, administer};
use crate::mlflow_registry::mlflow_registry_as;
use crate::policies::{operator, pinned, ready, until, until_pinned};
use crate::secrets::stand_nowhere;
use podium_api::ModelRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use podium_testbed::mlflow::{ADMIN, MLFLOW, MlflowServer};
use reqwest::Method;
use serde_json::json;

const CHANGED: &str = "another-battery-staple";

fn give(bed: &Bed, password: &str) {
    bed.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "account"},
        "stringData": {"username": ADMIN.0, "password": password},
    }));
}

async fn says(bed: &Bed, status: &str, reason: &str) {
    let what = format!("the registry says {reason}");
    bed.wait(90, &what, async || {
        let found = bed.find::<ModelRegistry>("mlflow").await;
        let conditions = found.and_then(|found| found.status).map(|s| s.conditions);
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|c| c.type_ == "Ready" && c.status == status && c.reason == reason)
    })
    .await;
}

#[test]
fn credentials_are_read_anew_whenever_they_change() {
    on_bed("credentials", async |bed| {
        let directory = tempfile::tempdir().unwrap();
        let server = MlflowServer::start_with_accounts(directory.path(), MLFLOW).unwrap();
        let admin = mlflow_registry_as(
            account(ADMIN.0, ADMIN.1),
            &server.url(),
            WriteLease::always(),
        );
        make_model(&admin, "fraud", 2, false).await;
        let operator = operator(&bed).await;
        give(&bed, CHANGED);
        let mut with_account = model_registry(&server.url());
        with_account["spec"]["mlflow"]["credentialsSecretRef"] = json!({"name": "account"});
        bed.apply(&with_account);
        says(&bed, "False", "WrongCredentials").await;
        give(&bed, ADMIN.1);
        says(&bed, "True", "Usable").await;

        bed.apply(&pinned("fraud", "1"));
        until_pinned(&bed, "1").await;

        let body = json!({"username": ADMIN.0, "password": CHANGED, "current_password": ADMIN.1});
        let path = "2.0/mlflow/users/update-password";
        administer(&server, Method::PATCH, path, body).await;
        bed.apply(&pinned("fraud", "2"));
        until(&bed, "cannot look at the registry", |policy| {
            ready(policy).is_some_and(|(status, _)| status == "False")
        })
        .await;
        give(&bed, CHANGED);
        until_pinned(&bed, "2").await;
        let secrets = [(ADMIN.0, ADMIN.1), (ADMIN.0, CHANGED)];
        stand_nowhere(&bed, &operator, &secrets).await;
    });
}
