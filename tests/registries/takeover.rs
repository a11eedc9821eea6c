//! Who leads and who owns: an operator that begins to lead while its cache is behind, and policies of one name.

use super::ledger_of_model::{champion, make_model, registers, tells_of_one_promotion};
use super::mlflow_registry::mlflow_registry;
use super::promotion::{is_settled, until_settled};
use super::run;
use super::world::{NAME, cluster_with_policy, operator, operator_behind, pin, ready};
use kube::ResourceExt;
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MlflowServer};

/// After each step of a promotion other operators begin, each of which has seen the steps up to an earlier one. None of them does anything
/// to the registry, or takes what it finds there for the deed of somebody else.
#[test]
fn an_operator_whose_cache_is_behind_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let registry = mlflow_registry(&server.url());
    let model = "behind";
    run(async {
        make_model(&registry, model, 2, true).await;
        let objects = cluster_with_policy(model, |policy| pin(policy, "2"));
        let first = operator("a", &objects, &server.url(), &WriteLease::always());
        let mut caches = Vec::new();
        while !is_settled(&objects, &["Pinned"]) {
            caches.push(objects.snapshot());
            first.reconcile_champion_policy(NAME).await.unwrap();
            if objects.policy().resource_version()
                == caches[caches.len() - 1].policy().resource_version()
            {
                continue;
            }
            let known = registry.registers(model).await.unwrap();
            for (steps, cache) in caches.iter().enumerate() {
                let behind = operator_behind("a", &objects, cache.clone(), &server.url());
                let left = behind.reconcile_champion_policy(NAME).await;
                let found = registry.registers(model).await.unwrap();
                assert_eq!(
                    known,
                    found,
                    "after {} steps, of which it saw {steps}: {left:?}",
                    caches.len()
                );
            }
        }
        assert!(caches.len() > 4, "{}", caches.len());
        tells_of_one_promotion(&registry, model).await;
        // The outcome of the epoch says that the version before is refused.
        let refused = registers(&registry, model, "refused").await;
        assert_eq!(refused, Vec::<String>::new());
    });
}

#[test]
fn policies_of_one_name_in_two_namespaces_are_two_owners() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let registry = mlflow_registry(&server.url());
    let model = "of two teams";
    run(async {
        make_model(&registry, model, 3, true).await;
        let of_team = |version: &str| cluster_with_policy(model, |policy| pin(policy, version));
        let (one, two) = (of_team("2"), of_team("3"));
        let always = WriteLease::always();
        let first = operator("prod/one", &one, &server.url(), &always);
        until_settled(&first, &one, &["Pinned"]).await;
        let second = operator("prod/two", &two, &server.url(), &always);
        until_settled(&second, &two, &["AliasOwnedByOther"]).await;
        let blocked = two.policy();
        let said = &ready(&blocked).unwrap().message;
        assert!(said.contains("prod/one/team/fraud"), "{said}");
        assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
        tells_of_one_promotion(&registry, model).await;
    });
}
