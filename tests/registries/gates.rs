//! What holds a champion on a real MLflow: each gate by the cause that is asked it, and what lifts it.

use super::faults::way;
use super::ledger_of_model::{champion, make_model};
use super::mlflow_proxy::{Call, Fate};
use super::mlflow_registry::mlflow_registry;
use super::promotion::at_rest;
use super::run;
use super::world::{
    BUCKET, Objects, cluster_with_policy, operator, operator_with_predictions, pin, policy,
};
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MlflowServer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Moves an alias as a person does, who asks nobody.
pub async fn point(registry: &MlflowRegistry, model: &str, alias: &str, to: &str) {
    let view = registry.view(model).await.unwrap().unwrap();
    let from = view.aliases.get(alias).map(String::as_str);
    let moved = registry.move_alias(model, alias, from, Some(to));
    moved.await.unwrap();
}

/// What the policy says once an operator that has just begun has nothing more to do: it has seen nothing before, so it sees what is.
async fn said(server: &str, objects: &Objects) -> Condition {
    let engine = operator("a", objects, server, &WriteLease::always());
    at_rest(&engine, objects).await
}

fn holds(said: &Condition, reason: &str, parts: &[&str]) {
    // A champion that is held is no trouble: the policy is ready.
    assert_eq!(
        (said.status.as_str(), said.reason.as_str()),
        ("True", reason),
        "{said:?}"
    );
    for part in parts {
        assert!(said.message.contains(part), "{part}: {said:?}");
    }
}

/// A schedule that is due in half a day.
fn far_away() -> String {
    let now = jiff::Timestamp::now().to_zoned(TimeZone::UTC);
    format!("0 {} * * *", (now.hour() + 12) % 24)
}

fn windowed(policy: &mut Value, schedule: &str) {
    policy["spec"]["promotion"] = json!({
        "firstChampion": "Automatic",
        "windows": [{"schedule": schedule, "durationSeconds": 60}],
    });
}

/// A window is asked for a first champion, and not for a pin.
async fn a_window_holds_a_first_champion_until_it_opens(server: &str) {
    let registry = mlflow_registry(server);
    let model = "windowed";
    make_model(&registry, model, 2, false).await;
    point(&registry, model, "challenger", "1").await;
    let objects = cluster_with_policy(model, |policy| windowed(policy, &far_away()));
    let closed = said(server, &objects).await;
    let sentence = [
        "v1 has nothing to be compared with",
        "none of `promotion.windows` is open",
    ];
    holds(&closed, "OutsideWindow", &sentence);
    assert_eq!(champion(&registry, model).await, None);

    objects.apply(&policy(model, |policy| windowed(policy, "* * * * *")));
    holds(&said(server, &objects).await, "UpToDate", &[]);
    assert_eq!(champion(&registry, model).await.as_deref(), Some("1"));

    objects.apply(&policy(model, |policy| {
        windowed(policy, &far_away());
        pin(policy, "2");
    }));
    holds(&said(server, &objects).await, "Pinned", &[]);
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
}

/// After a move by hand nothing is promoted until its very epoch is acknowledged, and what it moved away from only when it is reconsidered.
async fn a_move_by_hand_holds_until_it_is_acknowledged(server: &str) {
    let registry = mlflow_registry(server);
    let model = "held by hand";
    make_model(&registry, model, 3, true).await;
    point(&registry, model, "challenger", "3").await;
    let holding = |acknowledged: Option<u64>, reconsider: &[&str]| {
        policy(model, |policy| {
            policy["spec"]["promotion"] = json!({"onExternalChange": "Hold"});
            policy["spec"]["reconsider"] = json!(reconsider);
            if let Some(epoch) = acknowledged {
                policy["spec"]["acknowledgedEpoch"] = json!(epoch);
            }
        })
    };
    let objects = cluster_with_policy(model, |policy| *policy = holding(None, &[]));
    // The alias that was there when the policy first looked holds nothing.
    let missing = "v3 cannot be compared with v1";
    holds(&said(server, &objects).await, "EvidenceMissing", &[missing]);

    point(&registry, model, "champion", "2").await;
    // Neither an earlier epoch nor one that has not been lifts it.
    for acknowledged in [None, Some(1), Some(99)] {
        objects.apply(&holding(acknowledged, &[]));
        let sentence = [
            "v3 is not compared with v2",
            "moved from v1 to v2 by somebody else in epoch 2",
            "set `spec.acknowledgedEpoch` to 2",
        ];
        let held = said(server, &objects).await;
        holds(&held, "ExternalChangeHeld", &sentence);
    }
    objects.apply(&holding(Some(2), &[]));
    let missing = "v3 cannot be compared with v2";
    holds(&said(server, &objects).await, "EvidenceMissing", &[missing]);

    point(&registry, model, "challenger", "1").await;
    let sentence = [
        "v1 was refused without evidence on record by somebody else in epoch 2",
        "add \"1\" to `spec.reconsider`",
    ];
    holds(&said(server, &objects).await, "Refused", &sentence);
    objects.apply(&holding(Some(2), &["1"]));
    let missing = "v1 cannot be compared with v2";
    holds(&said(server, &objects).await, "EvidenceMissing", &[missing]);
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
}

/// A pin that a dry run holds back is what the policy shows, and no challenger beside it: that is what receivers are told of.
async fn a_dry_run_shows_the_pin_that_it_holds_back(server: &str) {
    let registry = mlflow_registry(server);
    let model = "dry run";
    make_model(&registry, model, 3, true).await;
    point(&registry, model, "challenger", "3").await;
    let objects = cluster_with_policy(model, |policy| {
        policy["spec"]["promotion"] = json!({"mode": "DryRun"});
        pin(policy, "2");
    });
    let held = said(server, &objects).await;
    holds(&held, "DryRun", &["`spec.pin` names v2"]);
    let status = objects.policy().status.unwrap();
    assert_eq!(status.challenger.as_deref(), Some("2"));
}

/// Which versions are challengers by their age and by their tags. The newest is named, with what it lacks.
async fn challengers_by_versions_are_named(server: &str) {
    let registry = mlflow_registry(server);
    let model = "by versions";
    make_model(&registry, model, 4, false).await;
    point(&registry, model, "champion", "2").await;
    for version in ["1", "3"] {
        let tags = BTreeMap::from([("stage".to_string(), "candidate".to_string())]);
        registry.tag(model, version, tags).await.unwrap();
    }
    let candidates = json!({"stage": "candidate"});
    let cases = [
        (json!({}), "4", "None of the 2 challengers is better"),
        (
            json!({"tags": candidates}),
            "3",
            "v3 cannot be compared with v2",
        ),
        (
            json!({"tags": candidates, "newerThanChampion": false}),
            "3",
            "None of the 2 challengers is better",
        ),
        (
            json!({"newerThanChampion": false}),
            "4",
            "None of the 3 challengers is better",
        ),
    ];
    let by = |versions: &Value| {
        policy(model, |policy| {
            policy["spec"]["challengers"] = json!({"versions": versions});
        })
    };
    let objects = cluster_with_policy(model, |policy| *policy = by(&json!({})));
    for (versions, challenger, part) in cases {
        objects.apply(&by(&versions));
        let held = said(server, &objects).await;
        let named = format!("v{challenger} cannot be compared with v2");
        // The predictions that cannot be had are named by their address.
        let sentence = [&*named, "predictions.parquet", part];
        holds(&held, "EvidenceMissing", &sentence);
        let status = objects.policy().status.unwrap();
        assert_eq!(status.challenger.as_deref(), Some(challenger), "{versions}");
        let evidence = status.conditions.iter();
        let mut evidence = evidence.filter(|c| c.type_ == "EvidenceComplete");
        assert_eq!(evidence.next().unwrap().status, "False");
    }
    objects.apply(&by(&json!({"tags": {"stage": "nobody's"}})));
    let sentence = ["no version is a challenger by `spec.challengers.versions`"];
    holds(&said(server, &objects).await, "NoChallenger", &sentence);
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
}

/// A policy of these predictions, with a cooldown of so many seconds.
pub fn comparing(model: &str, seconds: u64) -> Value {
    policy(model, |policy| {
        let uri = format!("{BUCKET}$(version).csv");
        policy["spec"]["evidence"]["predictions"]["uri"] = json!(uri);
        policy["spec"]["promotion"] = json!({"cooldownSeconds": seconds});
    })
}

/// Predictions of version 1, and of version 2, which tells the labels apart much better.
pub fn write_predictions(directory: &Path) {
    for (version, signal, step) in [("1", 0.1, 31), ("2", 0.4, 53)] {
        let lines = (0..900_u32).map(|row| {
            let (label, noise) = (u32::from(row % 3 == 0), f64::from(row * step % 97) / 97.0);
            let score = signal * f64::from(label) + (1.0 - signal) * noise;
            format!("{row},{label},{score}\n")
        });
        let text = format!("id,label,score\n{}", lines.collect::<String>());
        std::fs::write(directory.join(format!("{version}.csv")), text).unwrap();
    }
}

/// The place of the first request of this kind.
fn place(calls: &[Call], is_it: impl Fn(&Call) -> bool) -> usize {
    calls.iter().position(is_it).unwrap()
}

/// A challenger with evidence is held by the cooldown alone. Once it is over, whoever sees the new champion can read why.
async fn a_cooldown_holds_a_better_challenger_and_its_tags_come_first(server: &str) {
    let registry = mlflow_registry(server);
    let model = "cooling down";
    make_model(&registry, model, 2, true).await;
    point(&registry, model, "challenger", "2").await;
    let files = tempfile::tempdir().unwrap();
    write_predictions(files.path());
    let cooling = |seconds: u64| comparing(model, seconds);
    let objects = cluster_with_policy(model, |policy| *policy = cooling(86_400));
    let (url, passed) = way(server, |_, _| Fate::Pass).await;
    let engine = operator_with_predictions(&objects, &url, files.path());
    let sentence = ["the champion changed less than `promotion.cooldownSeconds` 86400 ago"];
    let held = at_rest(&engine, &objects).await;
    holds(&held, "CoolingDown", &sentence);
    assert_eq!(champion(&registry, model).await.as_deref(), Some("1"));

    objects.apply(&cooling(0));
    holds(&at_rest(&engine, &objects).await, "UpToDate", &[]);
    let view = registry.view(model).await.unwrap().unwrap();
    assert_eq!(view.aliases["champion"], "2");

    let calls = passed.lock().unwrap().clone();
    let moved = place(&calls, |call| call.moves("champion"));
    let tags = &view.versions["2"].tags;
    for key in ["decision", "evidence", "compared-with"] {
        let key = format!("podium.dev/{key}");
        let tagged = place(&calls, |call| {
            call.path == "model-versions/set-tag" && call.body["key"] == key
        });
        assert!(tagged < moved, "{key}: {calls:#?}");
        let written = calls[tagged].body["value"].as_str();
        assert_eq!(tags.get(&key).map(String::as_str), written, "{key}");
    }
    assert_eq!(tags["podium.dev/compared-with"], "1");
    let status = objects.policy().status.unwrap();
    let promoted = status.champion.unwrap();
    assert_eq!(promoted.origin, "Promoted");
    assert_eq!(
        promoted.decision_id.as_ref(),
        tags.get("podium.dev/decision")
    );
    // The digest of the evidence, and not the name of a cause that needs none.
    assert_eq!(tags["podium.dev/evidence"].len(), 20, "{tags:?}");
    let registers = registry.registers(model).await.unwrap();
    assert!(registers.contains_key("look/00000001"), "{registers:#?}");
}

#[test]
fn each_gate_holds_the_champion_until_what_lifts_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let url = server.url();
    run(async {
        tokio::join!(
            a_window_holds_a_first_champion_until_it_opens(&url),
            a_move_by_hand_holds_until_it_is_acknowledged(&url),
            a_dry_run_shows_the_pin_that_it_holds_back(&url),
            challengers_by_versions_are_named(&url),
            a_cooldown_holds_a_better_challenger_and_its_tags_come_first(&url),
        );
    });
}
