//! MLflow with accounts: what each of them may do, and what is said where it may not.

use super::ledger_of_model::{champion, make_model, outcomes};
use super::mlflow_accounts::{account, administer};
use super::mlflow_registry::mlflow_registry_as;
use super::promotion::{at_rest, until_settled};
use super::run;
use super::world::{NAME, Objects, cluster_with_policy, operator_as, policy, ready};
use podium_operator::adapters::mlflow::credentials::Credentials;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::{ModelRegistry, Preflight};
use podium_testbed::mlflow::{ADMIN, MLFLOW, MlflowServer};
use reqwest::Method;
use serde_json::json;

const PASSWORD: &str = "a canary of a password";

fn registry(server: &MlflowServer, credentials: Credentials) -> MlflowRegistry {
    mlflow_registry_as(credentials, &server.url(), WriteLease::always())
}

async fn add(server: &MlflowServer, name: &str) -> Credentials {
    let body = json!({"username": name, "password": PASSWORD});
    administer(server, Method::POST, "2.0/mlflow/users/create", body).await;
    account(name, PASSWORD)
}

async fn grant(server: &MlflowServer, name: &str, kind: &str, id: &str, permission: &str) {
    let body = json!({
        "username": name, "resource_type": kind, "resource_id": id, "permission": permission,
    });
    administer(
        server,
        Method::POST,
        "3.0/mlflow/users/permissions/grant",
        body,
    )
    .await;
}

/// Leaves an account what everybody has: it may read.
async fn revoke(server: &MlflowServer, name: &str, kind: &str, id: &str) {
    let body = json!({"username": name, "resource_type": kind, "resource_id": id});
    administer(
        server,
        Method::POST,
        "3.0/mlflow/users/permissions/revoke",
        body,
    )
    .await;
}

fn problem(preflight: &Preflight) -> Option<&'static str> {
    preflight.problem.as_ref().map(|problem| problem.reason)
}

fn ledger_problem(preflight: &Preflight) -> Option<&'static str> {
    preflight
        .ledger_problem
        .as_ref()
        .map(|problem| problem.reason)
}

fn pin(objects: &Objects, model: &str, version: &str) {
    objects.apply(&policy(model, |policy| super::world::pin(policy, version)));
}

fn owner_condition(objects: &Objects) -> (String, String) {
    let conditions = objects.policy().status.unwrap().conditions;
    let found = conditions.into_iter().find(|c| c.type_ == "ExclusiveOwner");
    found.map(|c| (c.reason, c.message)).unwrap()
}

#[test]
fn an_account_is_told_what_it_lacks_and_works_as_far_as_its_rights_reach() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start_with_accounts(directory.path(), MLFLOW).unwrap();
    run(async {
        let admin = registry(&server, account(ADMIN.0, ADMIN.1));
        let model = "fraud";
        make_model(&admin, model, 3, true).await;

        // Who is nobody, and who has the wrong password or a token.
        let strangers = [
            Credentials::Anonymous,
            account(ADMIN.0, PASSWORD),
            Credentials::Token(PASSWORD.to_string()),
        ];
        for stranger in strangers {
            let preflight = registry(&server, stranger).preflight().await;
            assert_eq!(
                problem(&preflight),
                Some("WrongCredentials"),
                "{preflight:?}"
            );
            assert!(!format!("{preflight:?}").contains(PASSWORD));
        }

        // An account that may edit the model, and another one's ledgers not.
        let of_others = json!({"name": "promotion-ledger"});
        let created = administer(
            &server,
            Method::POST,
            "2.0/mlflow/experiments/create",
            of_others,
        )
        .await;
        let credentials = add(&server, "podium").await;
        let account = registry(&server, credentials.clone());
        let preflight = account.preflight().await;
        assert_eq!(problem(&preflight), None, "{preflight:?}");
        assert_eq!(
            ledger_problem(&preflight),
            Some("MissingRights"),
            "{preflight:?}"
        );

        let objects = cluster_with_policy(model, |_| {});
        pin(&objects, model, "2");
        let lease = WriteLease::always();
        let engine = operator_as(credentials.clone(), "a", &objects, &server.url(), &lease);
        engine.reconcile_model_registry(NAME).await.unwrap();
        let registry_status = objects.registry().status.unwrap();
        assert!(
            registry_status.conditions.iter().any(|c| {
                c.type_ == "LedgerAvailable" && c.status == "False" && c.message.contains("EDIT")
            }),
            "{registry_status:#?}"
        );

        // Without EDIT on the model nothing moves, and the policy says why.
        for _ in 0..6 {
            let _ = engine.reconcile_champion_policy(NAME).await;
        }
        assert_eq!(champion(&admin, model).await.as_deref(), Some("1"));
        let said = format!("{:?}", ready(&objects.policy()));
        assert!(
            said.contains("needs EDIT on the registered model"),
            "{said}"
        );

        // With it the alias moves, without a ledger.
        grant(&server, "podium", "registered_model", model, "EDIT").await;
        until_settled(&engine, &objects, &["Pinned"]).await;
        assert_eq!(champion(&admin, model).await.as_deref(), Some("2"));
        let (reason, message) = owner_condition(&objects);
        assert_eq!(reason, "Guarded");
        assert!(message.contains("no ledger can be kept"), "{message}");
        assert!(admin.registers(model).await.unwrap().is_empty());

        // Once it may keep one, it does.
        let experiment = created["experiment_id"].as_str().unwrap();
        grant(&server, "podium", "experiment", experiment, "EDIT").await;
        engine.reconcile_model_registry(NAME).await.unwrap();
        pin(&objects, model, "3");
        until_settled(&engine, &objects, &["Pinned"]).await;
        assert_eq!(champion(&admin, model).await.as_deref(), Some("3"));
        let ended = outcomes(&admin, model).await;
        assert!(ended.iter().any(|o| o.contains("Promoted")), "{ended:?}");
        let (_, message) = owner_condition(&objects);
        assert!(!message.contains("no ledger can be kept"), "{message}");

        // Past a ledger that is there nothing goes, and the right to it comes back as it went.
        revoke(&server, "podium", "experiment", experiment).await;
        engine.reconcile_model_registry(NAME).await.unwrap();
        pin(&objects, model, "2");
        let said = at_rest(&engine, &objects).await;
        assert_eq!(said.status, "False", "{said:?}");
        assert!(said.message.contains("needs EDIT"), "{said:?}");
        let conditions = objects.policy().status.unwrap().conditions;
        assert!(conditions.iter().all(|c| c.reason != "Guarded"));
        assert_eq!(champion(&admin, model).await.as_deref(), Some("3"));

        grant(&server, "podium", "experiment", experiment, "EDIT").await;
        engine.reconcile_model_registry(NAME).await.unwrap();
        until_settled(&engine, &objects, &["Pinned"]).await;
        assert_eq!(champion(&admin, model).await.as_deref(), Some("2"));
        let (reason, _) = owner_condition(&objects);
        assert_eq!(reason, "Pinned");
        assert!(!format!("{:?}", objects.policy()).contains(PASSWORD));

        // To remove an alias takes MANAGE. That of the previous champion is a convenience, and holds up nothing.
        let moved = admin.move_alias(model, "previous-champion", None, Some("2"));
        moved.await.unwrap();
        let begun = operator_as(credentials, "a", &objects, &server.url(), &lease);
        let said = at_rest(&begun, &objects).await;
        assert_eq!(
            (said.status.as_str(), said.reason.as_str()),
            ("True", "Pinned"),
            "the alias `previous-champion` cannot be removed: {said:?}"
        );
    });
}
