//! Champions in ConfigMaps, for deployments that follow them, on a real MLflow.

use crate::announcements::{condition, patch, until_condition};
use crate::bed::announcements::{VARIABLES, prepare, published, until_published};
use crate::bed::manifests::model_registry;
use crate::bed::mlflow::Mlflow;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed};
use crate::policies::{looked_at_again, operator_with, pinned, until, until_pinned, with};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::{Value, json};

fn publishing(policy: Value, name: &str) -> Value {
    with(policy, "publish", json!({"configMap": {"name": name}}))
}

/// Writes of ConfigMaps so far.
fn writes(operator: &Operator) -> usize {
    let writes = operator.writes().into_iter();
    writes
        .filter(|write| write.resource == "configmaps")
        .count()
}

async fn until_gone(bed: &Bed, name: &str) {
    let what = format!("the ConfigMap {name} is gone");
    bed.wait(60, &what, async || published(bed, name).await.is_none())
        .await;
}

#[test]
fn the_champion_stands_in_a_config_map_wherever_the_alias_goes() {
    on_bed("published", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        prepare(&bed);
        let operator = operator_with(&bed, &VARIABLES).await;
        bed.apply(&model_registry(&mlflow.url));
        bed.apply(&publishing(pinned(&model, "1"), "fraud-champion"));
        let first = until_published(&bed, "fraud-champion", "1").await;
        let status = until(&bed, "says that it is published", |policy| {
            condition(policy, "Published").is_some_and(|(status, _, _)| status == "True")
        })
        .await
        .status
        .unwrap();
        let recorded = status.champion.unwrap();
        for (key, value) in [
            ("uri", "s3://models/0".to_string()),
            ("model", model.clone()),
            ("alias", "champion".to_string()),
            ("since", recorded.since.0.to_string()),
            ("decisionID", recorded.decision_id.unwrap()),
            ("epoch", recorded.epoch.unwrap().to_string()),
        ] {
            assert_eq!(first.get(key), Some(&value), "{key}: {first:?}");
        }
        let made = bed.find::<ConfigMap>("fraud-champion").await.unwrap();
        assert_eq!(made.labels()["podium.dev/champion-policy"], "fraud");
        assert_eq!(made.owner_references()[0].controller, Some(true));

        // What somebody makes of it does not last, and neither does its absence.
        let edit = json!({"data": {"version": "9", "more": "x"}});
        patch(&bed, ["cm", "fraud-champion"], &edit);
        bed.wait(60, "it is brought back", async || {
            published(&bed, "fraud-champion").await.as_ref() == Some(&first)
        })
        .await;
        bed.kubectl(&[
            "label",
            "cm",
            "fraud-champion",
            "podium.dev/champion-policy-",
        ])
        .unwrap();
        bed.wait(60, "it is labelled again", async || {
            let found = bed.find::<ConfigMap>("fraud-champion").await;
            found.is_some_and(|found| found.labels().contains_key("podium.dev/champion-policy"))
        })
        .await;
        bed.kubectl(&["delete", "cm", "fraud-champion"]).unwrap();
        assert_eq!(until_published(&bed, "fraud-champion", "1").await, first);
        let written = writes(&operator);
        looked_at_again(&bed, "Pinned").await;
        assert_eq!(writes(&operator), written, "nothing changed");

        follows_a_move_by_hand(&bed, &mlflow, &model).await;
        is_renamed_and_goes_with_its_policy(&bed).await;
    });
}

async fn follows_a_move_by_hand(bed: &Bed, mlflow: &Mlflow, model: &str) {
    let unpin = r#"[{"op": "remove", "path": "/spec/pin"}]"#;
    bed.kubectl(&["patch", "chp", "fraud", "--type=json", "-p", unpin])
        .unwrap();
    mlflow.point(model, "champion", "2");
    let second = until_published(bed, "fraud-champion", "2").await;
    assert_eq!(second["uri"], "s3://models/1");
    assert_eq!(second.get("decisionID"), None, "nobody here decided it");
    mlflow.point(model, "champion", "1");
    until_published(bed, "fraud-champion", "1").await;
    mlflow.python(&format!(
        "client.delete_registered_model_alias('{model}', 'champion')"
    ));
    until_gone(bed, "fraud-champion").await;
    until_condition(bed, "Published", "NoChampion").await;
    mlflow.point(model, "champion", "2");
    until_published(bed, "fraud-champion", "2").await;
}

async fn is_renamed_and_goes_with_its_policy(bed: &Bed) {
    let renamed = json!({"spec": {"publish": {"configMap": {"name": "renamed"}}}});
    patch(bed, ["chp", "fraud"], &renamed);
    until_published(bed, "renamed", "2").await;
    until_gone(bed, "fraud-champion").await;
    patch(bed, ["chp", "fraud"], &json!({"spec": {"publish": null}}));
    until_gone(bed, "renamed").await;
    patch(bed, ["chp", "fraud"], &renamed);
    until_published(bed, "renamed", "2").await;
    bed.kubectl(&["delete", "chp", "fraud"]).unwrap();
    until_gone(bed, "renamed").await;
}

#[test]
fn what_is_somebody_elses_is_left_alone_and_holds_nothing_up() {
    on_bed("published-foreign", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 1);
        prepare(&bed);
        bed.kubectl(&["create", "cm", "mine", "--from-literal=a=b"])
            .unwrap();
        let _operator = operator_with(&bed, &VARIABLES).await;
        bed.apply(&model_registry(&mlflow.url));
        bed.apply(&publishing(pinned(&model, "1"), "mine"));
        until_pinned(&bed, "1").await;
        let said = until_condition(&bed, "Published", "ConfigMapNotOurs").await;
        assert!(said.contains("`mine`"), "{said}");
        let untouched = published(&bed, "mine").await.unwrap();
        assert_eq!(untouched, [("a".to_string(), "b".to_string())].into());
        // Once it is gone, nothing is in the way.
        bed.kubectl(&["delete", "cm", "mine"]).unwrap();
        until_published(&bed, "mine", "1").await;
        until_condition(&bed, "Published", "Published").await;
    });
}

#[test]
fn an_operator_without_the_right_promotes_and_names_the_value_that_gives_it() {
    on_bed("published-off", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 1);
        let operator = operator_with(&bed, &[]).await;
        bed.apply(&model_registry(&mlflow.url));
        bed.apply(&publishing(pinned(&model, "1"), "fraud-champion"));
        until_pinned(&bed, "1").await;
        let said = until_condition(&bed, "Published", "PublishingDisabled").await;
        assert!(said.contains("`publish.enabled`"), "{said}");
        assert_eq!(writes(&operator), 0);
    });
}
